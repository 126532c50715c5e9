"""L-SVRG: a minibatch's gradient, corrected by the same rows' and the whole gradient at an anchor."""

from __future__ import annotations

from dataclasses import dataclass

from newtonfl.components.context import ClientRound
from newtonfl.components.gradient.oracle import Oracle
from newtonfl.components.gradient.page import own_coins
from newtonfl.core.arguments import a_count
from newtonfl.core.backend import Array, namespace, to_device, zeros
from newtonfl.mechanisms.constants import a_probability
from newtonfl.objectives.base import Point, Problem


@dataclass
class AnchorState:
    """∇f_i(w_i) and the anchor w_i, shape (n, d) each."""

    gradient: Array
    point: Array


@dataclass(frozen=True)
class LSVRG(Oracle[AnchorState]):
    """v_i = ∇f_iB(x) - ∇f_iB(w_i) + ∇f_i(w_i), B the same rows twice; then w_i ← x with probability p.

    Loopless SVRG (Kovalev, Horváth, Richtárik, arXiv 1901.08689), by every client, with rows and a coin of its own;
    w_i⁰ = x⁰. Unbiased, and its variance vanishes as x and w_i come to x*.

    Parameters
    ----------
    batch : int
        How many rows B has, drawn anew each round without replacement. A client with no more is always exact.
    p : float
        p in (0, 1].

    Raises
    ------
    ValueError
        If `batch` is no whole number of at least 1, or p no such probability.
    """

    batch: int
    p: float = 0.1
    remembers = True

    def __post_init__(self) -> None:
        a_count("batch", self.batch, 1)
        a_probability("p", self.p)

    def init_clients(self, x0: Array, n: int) -> AnchorState:
        return AnchorState(zeros((n, x0.shape[0]), x0), zeros((n, x0.shape[0]), x0))

    def draw(self, state: AnchorState, point: Point, context: ClientRound) -> tuple[Array, AnchorState]:
        if context.round == 0:
            return point.gradient, AnchorState(point.gradient, context.z)
        problem, key = point.problem, context.key.to("batch")
        assert isinstance(problem, Problem)
        here, there = (problem.at_uncached(x).sampled_gradient(int(self.batch), key) for x in (context.z, state.point))
        estimate = state.gradient + (here - there)
        moving = own_coins(context.key.to("anchor coin"), problem.clients, self.p)
        if not moving.any():
            return estimate, state
        xp, moves = namespace(estimate), to_device(moving[:, None], estimate)
        gradient = xp.where(moves, point.gradient_of(moving), state.gradient)
        return estimate, AnchorState(gradient, xp.where(moves, context.z, state.point))

    def check(self, problem: Problem) -> None:
        problem.check_rows()

    def parameters(self) -> dict[str, str | float]:
        return {"batch": self.batch, "p": self.p}
