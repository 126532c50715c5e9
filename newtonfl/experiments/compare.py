"""compare(): several methods, or one with several settings, on the same start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from newtonfl.comm.transport import InProcess
from newtonfl.core.backend import Array
from newtonfl.experiments.run_methods import MethodSpecs, Solution, resolve, run_methods
from newtonfl.objectives.base import Problem
from newtonfl.results import costs
from newtonfl.results.history import History
from newtonfl.results.network import Network
from newtonfl.solver.arguments import check_problem_argument
from newtonfl.solver.limits import Limits
from newtonfl.solver.result import Reason, Result

if TYPE_CHECKING:
    from newtonfl.results.plots import Figure

ACCURACIES = costs.ACCURACIES


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
        ends = {label: ending(result, self.measure, self.accuracies[-1])[1] for label, result in self.results.items()}
        return costs.report(self.histories, self.measure, self.accuracies, ends, _network(network))

    def rows(self, network: Network | str | None = None) -> list[dict[str, Any]]:
        """The same as numbers, a `network` among them: a dict a method and accuracy, None where not reached."""
        return costs.rows(self.histories, self.measure, self.accuracies, _network(network))

    def costs(self, over: str, accuracy: float, network: Network | str | None = None) -> dict[str, float | None]:
        """What each method took to an accuracy, by label; None where it was not reached.

        Parameters
        ----------
        over : {"rounds", "bytes_up", "bytes", "formula_bits", "seconds", "hessians"}
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
        words = ("rounds", "bytes_up", "bytes", "formula_bits", "seconds", "hessians")
        if over not in words:
            raise ValueError(f"over: given {over!r}, allowed are {', '.join(words)}")
        wanted = "network_seconds" if over == "seconds" and network is not None else over
        found = {
            label: costs.Cost.to(accuracy, history, self.measure, _network(network))
            for label, history in self.histories.items()
        }
        return {label: None if cost is None else getattr(cost, wanted) for label, cost in found.items()}

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
        from newtonfl.results.plots import draw

        return draw(self.histories, over, measure=self.measure, network=_network(network), title=self.title)


def compare(
    problem: Problem,
    methods: MethodSpecs,
    *,
    rounds: int = 1000,
    x0: Array | None = None,
    seed: int = 0,
    max_bytes: float | str | None = None,
    max_seconds: float | None = None,
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
        The most rounds for each. An accuracy that was not reached within is shown as such, never extrapolated.
    x0 : array, shape (d,), or None
        The start; None is zero.
    seed : int
        Of every method's random draws.
    max_bytes, max_seconds : float, str or None
        End each method as they end :func:`newtonfl.solve`.

    Returns
    -------
    Comparison
        The results by label, with their table and pictures.

    Raises
    ------
    TypeError
        If `problem` is none, or `methods` is one text, or holds what is neither text nor Method.
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
    check_problem_argument(problem, "nf.compare(problem, methods)", methods)
    solution = Solution(problem)
    with (problem.transport or InProcess()).keeping_interrupts():
        with (problem.transport or InProcess()).agreed("checking the limits"):
            limits = Limits(None, max_bytes, max_seconds)
        entries = resolve(problem, methods, solution, x0, seed)
        how: dict[str, Any] = {"rounds": rounds, "x0": x0, "seed": seed}
        how |= {"max_bytes": limits.max_bytes, "max_seconds": limits.max_seconds}
        found = dict(run_methods(problem, entries, solution, **how))
    return Comparison(found, solution.measure, problem.title)


def ending(result: Result, measure: costs.Measure = "gap", accuracy: float = ACCURACIES[-1]) -> tuple[bool, str]:
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
