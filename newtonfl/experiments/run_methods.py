"""The methods of a comparison: made definite first, then run one after the other on the same start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from types import MappingProxyType
from typing import Any

from newtonfl import registry
from newtonfl.comm.transport import Fault, InProcess
from newtonfl.core.backend import Array
from newtonfl.experiments.grids import expand
from newtonfl.methods import Method
from newtonfl.methods.argument import as_method
from newtonfl.monitors import Monitor
from newtonfl.objectives.base import Problem
from newtonfl.results import costs
from newtonfl.results.record import Record
from newtonfl.solver.optimum import optimum
from newtonfl.solver.result import Result
from newtonfl.solver.solve import solve

MethodSpecs = Sequence[str | Method] | Mapping[str, str | Method]
"""Methods as a user names them: texts or Methods, with labels of their own or without."""


class Solution:
    """x* and f*, found once, when first asked for: by every rank at the same time."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @cached_property
    def found(self) -> tuple[Array, float]:
        """x* and f(x*)."""
        return optimum(self.problem)

    @property
    def x(self) -> Array:
        """x*."""
        return self.found[0]

    @cached_property
    def f(self) -> float | None:
        """f*: the problem's own, else found; None where the problem need not be convex, or has no f."""
        known = self.problem.f_star
        return self.found[1] if known is None and self._can_be_found else known

    @property
    def measure(self) -> costs.Measure:
        """What runs are compared by."""
        return "gap" if self._can_be_found or self.problem.f_star is not None else "gradient_norm"

    @property
    def _can_be_found(self) -> bool:
        return not (self.problem.nonconvex or self.problem.is_operator or self.problem.nonsmooth)


def resolve(
    problem: Problem,
    methods: MethodSpecs,
    solution: Solution,
    x0: Array | None = None,
    seed: int = 0,
    monitors: Sequence[Monitor] = (),
) -> dict[str, Method]:
    """The methods by label, with every setting made definite; a refusal, by a monitor as well, names the label.

    A method that asks for the optimum gets it. Each joins once, so that a refusal that only the join or the first
    step size finds comes before anything runs.
    """
    transport = problem.transport or InProcess()
    with transport.agreed("reading the methods"):
        named = _labelled(methods)
        wanting = {label for label, spec in named.items() if isinstance(spec, str) and _needs_optimum(spec)}
        made = {label: _made(label, spec, {}) for label, spec in named.items() if label not in wanting}
    extra = {"optimum": solution.x} if wanting else {}
    with transport.agreed("checking the methods"):
        made |= {label: _made(label, named[label], extra) for label in named if label in wanting}
        entries = {label: _resolved(label, made[label], problem) for label in named}
    for label, method in entries.items():
        try:
            solve(problem, method, tol=0.0, rounds=0, x0=x0, seed=seed, monitors=monitors)
        except Fault as error:
            raise Fault(f"method {label}: {error}", error.bad_input) from error
        except ValueError as error:
            raise _named(label, error) from error
    return entries


def run_methods(
    problem: Problem,
    entries: Mapping[str, Method],
    solution: Solution,
    *,
    rounds: int = 1000,
    x0: Array | None = None,
    seeds: Sequence[int] = (0,),
    accuracy: float = costs.ACCURACIES[-1],
    callback: Callable[[str, int, Record], object] | None = None,
    max_bytes: float | str | None = None,
    max_seconds: float | None = None,
    monitors: Sequence[Monitor] = (),
    known: Mapping[tuple[str, int], Result] = MappingProxyType({}),
) -> Iterator[tuple[str, int, Result]]:
    """Run one method after the other, with each of the `seeds`, and yield each result with its label and seed.

    A run ends at the `accuracy`. ``callback(label, seed, record)`` gets every record; a true return stops that run. The
    limits are each run's, as :func:`newtonfl.solve` has them. What is `known`, by label and seed, is not run.
    """
    for label, seed in product(entries, seeds):
        if (label, seed) in known:
            yield label, seed, known[label, seed]
            continue

        def enough(record: Record, label: str = label, seed: int = seed) -> bool:
            stopped = callback is not None and callback(label, seed, record)
            return bool(stopped) or costs.reached(record, accuracy, solution.measure)

        result = solve(
            problem, entries[label], tol=0.0, rounds=rounds, x0=x0, seed=seed, callback=enough, f_star=solution.f,
            max_bytes=max_bytes, max_seconds=max_seconds, monitors=monitors,
        )  # fmt: skip
        yield label, seed, result


def _labelled(methods: MethodSpecs) -> dict[str, str | Method]:
    if isinstance(methods, str):
        raise TypeError(f"methods: given the one text {methods!r}, must be a list of texts or Methods: [{methods!r}]")
    if isinstance(methods, Method) or not isinstance(methods, Iterable):
        raise TypeError(
            f"methods: given {getattr(methods, 'name', methods)!r} alone, must be a list of texts or Methods"
        )
    if isinstance(methods, Mapping):
        pairs = [*methods.items()]
    else:
        specs = [one for spec in methods for one in (expand(spec) if isinstance(spec, str) else [spec])]
        pairs = [(spec.name if isinstance(spec, Method) else str(spec), spec) for spec in specs]
    if not pairs:
        raise ValueError("methods: given none, must be at least one")
    labels = [label for label, _ in pairs]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise ValueError(f"methods: given {twice!r} twice; give other settings, or a mapping with two labels")
    return dict(pairs)


def _needs_optimum(spec: str) -> bool:
    name, keywords = registry.parse(spec)
    if registry.asks_for_optimum(name) and "optimum" in keywords:
        raise ValueError(f"{spec}: optimum is given, and {name} gets it by itself")
    return registry.asks_for_optimum(name)


def _made(label: str, spec: str | Method, extra: dict[str, Any]) -> Method:
    if not isinstance(spec, str) or not spec.strip():
        return as_method(spec)
    name, keywords = registry.parse(spec)
    try:
        method: Method = registry.method(name, {**keywords, **extra})
        return method
    except ValueError as error:
        raise _named(label, error) from error


def _resolved(label: str, method: Method, problem: Problem) -> Method:
    try:
        return method.for_problem(problem)
    except ValueError as error:
        raise _named(label, error) from error


def _named(label: str, error: ValueError) -> ValueError:
    return ValueError(f"method {label}: {error}")
