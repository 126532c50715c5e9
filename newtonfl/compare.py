"""compare(): several methods, or one with several settings, on the same start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newtonfl import costs, names
from newtonfl.backend import Array
from newtonfl.history import History, Record
from newtonfl.methods import Method
from newtonfl.network import Network
from newtonfl.problem import Problem
from newtonfl.reference import optimum
from newtonfl.solver import Reason, Result, solve
from newtonfl.transport import Fault, InProcess

if TYPE_CHECKING:
    from newtonfl.plots import Figure

ACCURACIES = costs.ACCURACIES

Asked = Sequence[str | Method] | Mapping[str, str | Method]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs from the same start, by label.

    Attributes
    ----------
    results : dict of str to Result
    measure : {"gap", "gradient_norm"}
        What became small: f(x) - f*, or ‖∇f(x)‖₂ where f* cannot be known.
    title : str
        Of the problem.
    accuracies : tuple of float
        Falling; a run stopped at the last.
    """

    results: dict[str, Result] = field(repr=False)
    measure: costs.Measure = "gap"
    title: str = ""
    accuracies: tuple[float, ...] = ACCURACIES

    @property
    def histories(self) -> dict[str, History]:
        """The runs' histories, by label."""
        return {label: result.history for label, result in self.results.items()}

    def __str__(self) -> str:
        return self.table()

    def table(self, network: Network | str | None = None) -> str:
        """The table to read: rounds, KiB, kbit by formula, Hessians, seconds to each accuracy; – where not reached.

        Parameters
        ----------
        network : Network, str such as "10Mbps/50ms", or None
            Adds a column: seconds on that network, an estimate on paper.

        Returns
        -------
        str
            Of several lines: a block an accuracy, a line a method, and last how near each came and why it ended.
        """
        ends = {label: _end(result, self.accuracies[-1]) for label, result in self.results.items()}
        return costs.text(self.histories, self.measure, self.accuracies, ends, _network(network))

    def rows(self, network: Network | str | None = None) -> list[dict[str, Any]]:
        """The same as numbers, a `network` among them: a dict a method and accuracy, None where not reached."""
        return costs.rows(self.histories, self.measure, self.accuracies, _network(network))

    def to_csv(self, path: str | Path, network: Network | str | None = None) -> None:
        """Write :meth:`rows`, those of a `network` if one is given, to `path`; what was not reached stays empty."""
        costs.write(self.rows(network), path)

    def plot(self, over: str = "rounds", network: Network | str | None = None) -> Figure:
        """Draw every run's gap, or gradient norm.

        Parameters
        ----------
        over : {"rounds", "bytes_up", "bytes", "formula_bits", "seconds"}
            What the axis from left to right counts: a mean client's, set-up included.
        network : Network, str such as "10Mbps/50ms", or None
            For seconds: adds what that network would take, an estimate on paper.

        Returns
        -------
        matplotlib.figure.Figure
            That no window shows: a notebook shows it as a cell's last value, and it has ``savefig``.

        Raises
        ------
        ValueError
            If `over` is no such word.
        RuntimeError
            If matplotlib is not installed.
        """
        from newtonfl.plots import draw

        return draw(self.histories, over, measure=self.measure, network=_network(network), title=self.title)


def compare(
    problem: Problem,
    methods: Asked,
    *,
    rounds: int = 1000,
    x0: Array | None = None,
    seed: int = 0,
) -> Comparison:
    """Run `methods` on `problem` from the same start, each until f(x) - f* ≤ 1e-12.

    f* is the problem's own, else :func:`newtonfl.optimum` finds it, off the ledger. Where a problem need not be convex
    ‖∇f(x)‖₂ stands for f(x) - f*. Where the problem carries a transport every rank calls this with the same arguments.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    methods : sequence of str or Method, or mapping of label to either
        A str is ``NAME[,KEY=VALUE…]`` as on the command line, and its own label; a Method's is its name.
    rounds : int
        The most rounds for each. An accuracy that was not reached within is told as such, never extrapolated.
    x0 : array, shape (d,), or None
        The start; None is zero.
    seed : int
        Of every method's random draws.

    Returns
    -------
    Comparison
        The results by label, with their table and pictures.

    Raises
    ------
    TypeError
        If `methods` is one text, or holds what is neither text nor Method.
    ValueError
        If a method is unknown or refuses the problem (before any runs), or two have one label.
    Fault
        If another rank failed; the message names rank and phase.

    Examples
    --------
    >>> import newtonfl as nf
    >>> p = nf.load("breast_cancer", clients=4)
    >>> found = nf.compare(p, ["newton-3pc", "newton-3pc,compressor=topk:60", "gd"], rounds=30)
    >>> [row["rounds"] for row in found.rows() if row["method"] == "gd"]
    [None, None, None, None]
    """
    solution = Solution(problem)
    entries = resolve(problem, methods, solution, x0, seed)
    found = dict(each(problem, entries, solution, rounds=rounds, x0=x0, seed=seed))
    return Comparison(found, solution.measure, problem.title)


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
        """f*: the problem's own, else found; None where the problem need not be convex."""
        known = self.problem.f_star
        return self.found[1] if known is None and not self.problem.nonconvex else known

    @property
    def measure(self) -> costs.Measure:
        """What runs are compared by."""
        return "gradient_norm" if self.problem.nonconvex and self.problem.f_star is None else "gap"


def resolve(
    problem: Problem, methods: Asked, solution: Solution, x0: Array | None = None, seed: int = 0
) -> dict[str, Method]:
    """The methods by label, with every setting made definite; a refusal names the label.

    A method that asks for the optimum gets it. Each joins once, so that a refusal that only the join or the first
    step size finds comes before anything runs.
    """
    transport = problem.transport or InProcess()
    with transport.agreed("reading the methods"):
        asked = _labelled(methods)
        wanting = {label for label, given in asked.items() if isinstance(given, str) and _needs_optimum(given)}
        made = {label: _made(label, given, {}) for label, given in asked.items() if label not in wanting}
    extra = {"optimum": solution.x} if wanting else {}
    with transport.agreed("checking the methods"):
        made |= {label: _made(label, asked[label], extra) for label in asked if label in wanting}
        entries = {label: _resolved(label, made[label], problem) for label in asked}
    for label, method in entries.items():
        try:
            solve(problem, method, tol=0.0, rounds=0, x0=x0, seed=seed)
        except Fault as error:
            raise Fault(f"method {label}: {error}", error.bad_input) from error
        except ValueError as error:
            raise _named(label, error) from error
    return entries


def each(
    problem: Problem,
    entries: Mapping[str, Method],
    solution: Solution,
    *,
    rounds: int = 1000,
    x0: Array | None = None,
    seed: int = 0,
    callback: Callable[[str, Record], object] | None = None,
) -> Iterator[tuple[str, Result]]:
    """Run one method after the other, and yield each result with its label; ``callback(label, record)`` hears all."""
    known, f_star = problem.f_star, solution.f
    for label, method in entries.items():

        def enough(record: Record, label: str = label) -> bool:
            if callback is not None:
                callback(label, record)
            return costs.reached(record, ACCURACIES[-1], solution.measure)

        problem.f_star = f_star  # for the records' gaps
        try:
            result = solve(problem, method, tol=0.0, rounds=rounds, x0=x0, seed=seed, callback=enough)
        finally:
            problem.f_star = known
        yield label, result


def _labelled(methods: Asked) -> dict[str, str | Method]:
    if isinstance(methods, str):
        raise TypeError(f"methods: given the one text {methods!r}, must be a list of texts or Methods")
    if isinstance(methods, Mapping):
        pairs = [*methods.items()]
    else:
        pairs = [(given.name if isinstance(given, Method) else str(given), given) for given in methods]
    if not pairs:
        raise ValueError("methods: given none, must be at least one")
    labels = [label for label, _ in pairs]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise ValueError(f"methods: given {twice!r} twice; give other settings, or a mapping with two labels")
    return dict(pairs)


def _needs_optimum(given: str) -> bool:
    name, settings = names.parse(given)
    if names.asks_for_optimum(name) and "optimum" in settings:
        raise ValueError(f"{given}: optimum is given, and {name} gets it by itself")
    return names.asks_for_optimum(name)


def _made(label: str, given: str | Method, extra: dict[str, Any]) -> Method:
    if isinstance(given, Method):
        return given
    if not isinstance(given, str):
        raise TypeError(f"methods: given {type(given).__name__} as {label!r}, must be a text or a Method")
    name, settings = names.parse(given)
    try:
        return names.method(name, {**settings, **extra})
    except ValueError as error:
        raise _named(label, error) from error


def _resolved(label: str, method: Method, problem: Problem) -> Method:
    try:
        return method.resolved(problem)
    except ValueError as error:
        raise _named(label, error) from error


def _named(label: str, error: ValueError) -> ValueError:
    return ValueError(f"method {label}: {error}")


def _end(result: Result, accuracy: float) -> str:
    return f"{accuracy:g} is reached" if result.reason is Reason.STOPPED else str(result.reason)


def _network(given: Network | str | None) -> Network | None:
    return Network.parse(given) if isinstance(given, str) else given
