"""compare(): several methods, or one with several settings, on the same start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from newtonfl.comm.transport import InProcess
from newtonfl.core.backend import Array
from newtonfl.core.optional import pandas
from newtonfl.experiments.run_methods import MethodSpecs, Solution, resolve, run_methods
from newtonfl.monitors import Monitor
from newtonfl.objectives.base import Problem
from newtonfl.results import costs
from newtonfl.results.costs import Measure
from newtonfl.results.history import History
from newtonfl.results.labels import numbers
from newtonfl.results.network import Network
from newtonfl.solver.arguments import check_problem_argument
from newtonfl.solver.limits import Limits
from newtonfl.solver.result import Reason, Result

if TYPE_CHECKING:
    from newtonfl.results.plots import Figure, Scale

ACCURACIES = costs.ACCURACIES

COUNTED = ("rounds", "bytes_up", "bytes", "formula_bits", "seconds", "gradients", "hessians")
"""What a cost may be."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs from the same start, by label.

    Attributes
    ----------
    runs : dict of str to tuple of Result
        Each method's, one a seed.
    seeds : tuple of int
    measure : {"gap", "gradient_norm"}
        What became small: f(x) - f*, or ‖∇f(x)‖₂ where f* cannot be known.
    title : str
        Of the problem.
    accuracies : tuple of float
        Falling; a run stopped at the last.
    """

    runs: dict[str, tuple[Result, ...]] = field(repr=False)
    seeds: tuple[int, ...] = (0,)
    measure: Measure = "gap"
    title: str = ""
    accuracies: tuple[float, ...] = ACCURACIES

    @property
    def results(self) -> dict[str, Result]:
        """The results of the first seed, by label."""
        return {label: results[0] for label, results in self.runs.items()}

    @property
    def histories(self) -> dict[str, History]:
        """The histories of the first seed, by label."""
        return {label: result.history for label, result in self.results.items()}

    @property
    def repeated(self) -> dict[str, list[History]]:
        """The histories of all seeds, by label."""
        return {label: [result.history for result in results] for label, results in self.runs.items()}

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
            Of several lines: a block an accuracy, a line a method, and last how near each came and why it ended. Of
            several seeds the medians.
        """
        return costs.report(self.repeated, self.measure, self.accuracies, self._ends(), _network(network))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return costs.notebook_table(self.repeated, self.measure, self.accuracies, self._ends())

    def _ends(self) -> dict[str, str]:
        """Why each method's first run ended."""
        return {label: ending(result, self.measure, self.accuracies[-1])[1] for label, result in self.results.items()}

    def rows(self, network: Network | str | None = None) -> list[dict[str, Any]]:
        """The same as numbers, a `network` among them: a dict a method and accuracy, None where not reached.

        Behind them stands what the monitors measured there, as ``monitor_COLUMN``. Where there are several seeds each
        has rows of its own.
        """
        return costs.rows(self.repeated, self.measure, self.accuracies, _network(network), self.seeds)

    def to_pandas(self, network: Network | str | None = None) -> Any:
        """:meth:`rows`, those of a `network` if one is given, as a pandas.DataFrame.

        Raises
        ------
        RuntimeError
            If pandas is not installed.
        """
        return pandas().DataFrame(self.rows(network))

    def costs(self, over: str, accuracy: float, network: Network | str | None = None) -> dict[str, float | None]:
        """What each method took to an accuracy, by label; None where it was not reached. Of several seeds the median.

        Parameters
        ----------
        over : {"rounds", "bytes_up", "bytes", "formula_bits", "seconds", "gradients", "hessians"}
            What is counted: a mean client's, set-up included.
        accuracy : float
            Of f(x) - f*, or of ‖∇f(x)‖₂ where that is compared.
        network : Network, str such as "10Mbps/50ms", or None
            For seconds: adds what that network would take, an estimate on paper.

        Returns
        -------
        dict of str to float or None
            By label.

        Raises
        ------
        ValueError
            If `over` is no such word.
        """
        if over not in COUNTED:
            raise ValueError(f"over: given {over!r}, allowed are {', '.join(COUNTED)}")
        wanted = "network_seconds" if over == "seconds" and network is not None else over
        link = _network(network)
        found = {
            label: costs.median([costs.Cost.to(accuracy, history, self.measure, link) for history in repeated])
            for label, repeated in self.repeated.items()
        }
        return {label: None if cost is None else getattr(cost, wanted) for label, cost in found.items()}

    def to_csv(self, path: str | Path, network: Network | str | None = None) -> None:
        """Write :meth:`rows`, those of a `network` if one is given, to `path`; what was not reached stays empty."""
        costs.write(self.rows(network), path)

    def plot(
        self,
        over: str = "rounds",
        network: Network | str | None = None,
        *,
        y: str | None = None,
        setup: bool = True,
        scale: Scale = "auto",
    ) -> Figure:
        """Draw every run's gap, or gradient norm; of several seeds the median, and a band between the quartiles.

        Parameters
        ----------
        over : {"rounds", "bytes_up", "bytes", "formula_bits", "seconds"}
            What the axis from left to right counts: a mean client's.
        network : Network, str such as "10Mbps/50ms", or None
            For seconds: adds what that network would take, an estimate on paper.
        y : str or None
            From below to above: "gap", "gradient_norm" or another number of the histories, such as a monitor's column;
            None is what runs are compared by.
        setup : bool
            Whether bytes and bits contain the set-up.
        scale : {"auto", "log", "linear"}
            Of the axis from left to right.

        Returns
        -------
        matplotlib.figure.Figure
            That no window shows: a notebook shows it as a cell's last value, and it has ``savefig``.

        Raises
        ------
        ValueError
            If `over` or `scale` is no such word, the histories have no `y`, or f* is not known for a gap.
        RuntimeError
            If matplotlib is not installed.
        """
        from newtonfl.results.plots import draw

        if y == "gap" and self.measure != "gap":
            raise ValueError("y: given 'gap', and f* is not known of what need not be convex")
        look: dict[str, Any] = {"network": _network(network), "title": self.title, "setup": setup, "scale": scale}
        return draw(self.repeated, over, measure=y or self.measure, **look)

    def sweep(self, over: str = "bytes_up", accuracy: float | None = None) -> dict[str, Array]:
        """What an accuracy cost over the one number in which labels differ, such as K in a grid of compressors.

        Parameters
        ----------
        over : str
            As for :meth:`costs`.
        accuracy : float or None
            None is the last.

        Returns
        -------
        dict of str to numpy.ndarray, shape (4, k)
            By label with … for the number: the numbers, rising, and of each the median cost over the seeds and the
            quartiles below and above it; infinite where the accuracy was not reached.

        Raises
        ------
        ValueError
            If `over` is no such word, or no labels differ in one number.
        """
        if over not in COUNTED:
            raise ValueError(f"over: given {over!r}, allowed are {', '.join(COUNTED)}")
        varying = numbers(self.runs)
        if not varying:
            raise ValueError(f"sweep: no two of the labels {', '.join(self.runs)} differ in one number")
        columns: dict[str, list[tuple[float, ...]]] = {}
        for label, (shape, number) in varying.items():
            histories = self.repeated[label]
            found = [costs.Cost.to(accuracy or self.accuracies[-1], history, self.measure) for history in histories]
            taken, middle = [np.inf if cost is None else getattr(cost, over) for cost in found], costs.median(found)
            quartiles = np.quantile(taken, [0.25, 0.75], method="nearest")  # between infinities there is no number
            columns.setdefault(shape, []).append((number, getattr(middle, over, np.inf), *quartiles))
        return {shape: np.array(sorted(rows)).T for shape, rows in columns.items()}

    def plot_sweep(self, over: str = "bytes_up", accuracy: float | None = None) -> Figure:
        """Draw :meth:`sweep`, what an `accuracy` cost `over` a number; refused as it and :meth:`plot` are.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from newtonfl.results.plots import draw_costs

        reached = f"{costs.SYMBOLS[self.measure]} ≤ {accuracy or self.accuracies[-1]:g}"
        return draw_costs(self.sweep(over, accuracy), over, reached, self.title)


def compare(
    problem: Problem,
    methods: MethodSpecs,
    *,
    rounds: int = 1000,
    x0: Array | None = None,
    seed: int = 0,
    seeds: int = 1,
    accuracy: float = ACCURACIES[-1],
    max_bytes: float | str | None = None,
    max_seconds: float | None = None,
    monitors: Sequence[Monitor] = (),
) -> Comparison:
    """Run `methods` on `problem` from the same start, each until f(x) - f* ≤ `accuracy`.

    f* is the problem's own, else :func:`newtonfl.optimum` finds it, off the ledger. Where a problem need not be convex
    ‖∇f(x)‖₂ stands for f(x) - f*. Where the problem carries a transport every rank calls this with the same arguments.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    methods : sequence of str or Method, or mapping of label to either
        A str is ``NAME[,KEY=VALUE…]`` as on the command line, and its own label; a Method's is its name. In a sequence
        ``{A,B}`` within a str stands for both: ``newton-3pc,compressor=topk:{30,60}`` are two methods.
    rounds : int
        The most rounds for each. An accuracy that was not reached within is shown as such, never extrapolated.
    x0 : array, shape (d,), or None
        The start; None is zero.
    seed : int
        Of every method's random draws.
    seeds : int
        How often each method runs: with `seed`, with the number after it, and so on.
    accuracy : float
        At which a method's run ends; those of 1e-3, 1e-6, 1e-9 and 1e-12 that are larger are reported as well.
    max_bytes, max_seconds : float, str or None
        End each method as they end :func:`newtonfl.solve`.
    monitors : sequence of Monitor
        Measure each run after every round, as they do for :func:`newtonfl.solve`: ``plot(y=COLUMN)`` draws their
        columns, and :meth:`Comparison.rows` has them where an accuracy was reached.

    Returns
    -------
    Comparison
        The results by label, with their table and pictures.

    Raises
    ------
    TypeError
        If `problem` is none, or `methods` is one text, or holds what is neither text nor Method.
    ValueError
        If a method is unknown or refuses the problem, or a monitor refuses a method (before any runs), two have one
        label, braces have no partner, `seeds` is not at least 1, or `accuracy` is no positive number.
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
    check_problem_argument(problem, "nf.compare(problem, methods)", methods)
    solution = Solution(problem)
    with (problem.transport or InProcess()).keeping_interrupts():
        with (problem.transport or InProcess()).agreed("checking the limits"):
            limits = Limits(None, max_bytes, max_seconds)
            several, steps = seeds_from(seed, seeds), accuracies_to(accuracy)
        entries = resolve(problem, methods, solution, x0, seed, monitors)
        how: dict[str, Any] = {"rounds": rounds, "x0": x0, "seeds": several, "accuracy": steps[-1]}
        how |= {"max_bytes": limits.max_bytes, "max_seconds": limits.max_seconds, "monitors": monitors}
        found: dict[str, tuple[Result, ...]] = {}
        for label, _, result in run_methods(problem, entries, solution, **how):
            found[label] = (*found.get(label, ()), result)
    return Comparison(found, several, solution.measure, problem.title, steps)


def seeds_from(seed: int, count: int) -> tuple[int, ...]:
    """`count` seeds from `seed` on.

    Raises
    ------
    ValueError
        If `count` is not at least 1.
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise ValueError(f"seeds: given {count!r}, must be a whole number of at least 1: how often each method runs")
    return tuple(range(seed, seed + int(count)))


def accuracies_to(accuracy: float) -> tuple[float, ...]:
    """What is reported of runs that end at an `accuracy`: the usual ones above it, and itself.

    Raises
    ------
    ValueError
        If it is no positive number.
    """
    if isinstance(accuracy, bool) or not isinstance(accuracy, int | float | np.number) or not 0.0 < accuracy < np.inf:
        raise ValueError(f"accuracy: given {accuracy!r}, must be a positive number")
    return (*(usual for usual in ACCURACIES if usual > accuracy), float(accuracy))


def ending(result: Result, measure: Measure = "gap", accuracy: float = ACCURACIES[-1]) -> tuple[bool, str]:
    """Whether a run of a comparison got where it was to get, and why it ended, as a sentence.

    Parameters
    ----------
    result : Result
        Of such a run: it is stopped from outside when `accuracy` is reached, or by a signal.
    measure : {"gap", "gradient_norm"}
        What is to become small.
    accuracy : float
        The last that was asked for.

    Returns
    -------
    converged : bool
    sentence : str
    """
    if result.reason is Reason.STOPPED and costs.reached(result.history[-1], accuracy, measure):
        return True, f"{accuracy:g} is reached"
    return result.converged, str(result.reason)


def _network(network: Network | str | None) -> Network | None:
    return Network.parse(network) if isinstance(network, str) else network
