"""PAGE: a gradient that is computed whole now and then, and moved by minibatches in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from newtonfl.components.client_state import put_clients
from newtonfl.components.context import ClientRound
from newtonfl.components.gradient.oracle import Oracle
from newtonfl.components.protocol import ProblemConstants
from newtonfl.core.arguments import a_count
from newtonfl.core.backend import Array, namespace, to_device, zeros
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import a_probability
from newtonfl.objectives.base import Point, Problem


@dataclass
class PageState:
    """v_i, and the x at which it is an estimate of ∇f_i(x); shape (n, d) each."""

    gradient: Array
    point: Array


@dataclass(frozen=True)
class Page(Oracle[PageState]):
    """v_i ← ∇f_i(x⁺) with probability p, else v_i + ∇f_iB(x⁺) - ∇f_iB(x), B the same rows twice.

    PAGE (Li, Bao, Zhang, Richtárik, arXiv 2008.10898), by every client: with rows of its own, and a coin of its own
    where p is a number. In round 0 all coins show heads.

    Parameters
    ----------
    batch : int
        How many rows B has, drawn anew each round without replacement. A client with no more is always exact.
    p : float or None
        p in (0, 1]; None has all clients follow the server's coin "gradient".

    Raises
    ------
    ValueError
        If `batch` is no whole number of at least 1, or p no such probability.
    """

    batch: int
    p: float | None = 0.1
    remembers = True

    def __post_init__(self) -> None:
        a_count("batch", self.batch, 1)
        if self.p is not None:
            a_probability("p", self.p)

    def init_clients(self, x0: Array, n: int) -> PageState:
        return PageState(zeros((n, x0.shape[0]), x0), zeros((n, x0.shape[0]), x0))

    def draw(self, state: PageState, point: Point, context: ClientRound) -> tuple[Array, PageState]:
        heads = self._heads(point.problem.clients, context)
        tails, gradient = np.flatnonzero(~heads), point.gradient_of(heads) if heads.any() else state.gradient
        if len(tails):
            xp, chosen = namespace(gradient), to_device(tails, gradient)
            theirs, key = cast(Problem, point.problem).select(tails), context.key.to("batch")
            here, there = (
                theirs.at_uncached(xp.take(x, chosen, axis=0)).sampled_gradient(int(self.batch), key)
                for x in (context.z, state.point)
            )
            gradient = put_clients(gradient, tails, xp.take(state.gradient, chosen, axis=0) + (here - there))
        return gradient, PageState(gradient, context.z)

    def _heads(self, clients: Array, context: ClientRound) -> Array:
        """Whose coins show heads, shape (n,) of bool."""
        if context.round == 0 or self.p is None:
            return np.full(len(clients), context.round == 0 or context.coins["gradient"])
        return own_coins(context.key.to("page coin"), clients, self.p)

    def variance(self, constants: ProblemConstants) -> Array:
        """N_i with E‖(∇f_iB(x) - ∇f_iB(y)) - (∇f_i(x) - ∇f_i(y))‖² ≤ N_i‖x - y‖², shape (n,).

        b of m rows without replacement have (m-b)/(b(m-1)) times the variance of one, which is at most ℒ_i²‖x - y‖²
        (:attr:`newtonfl.objectives.base.Problem.row_smoothness`).
        """
        smoothness, rows = constants.row_smoothness().T
        share = np.maximum(rows - self.batch, 0.0) / (self.batch * np.maximum(rows - 1.0, 1.0))
        return share * smoothness**2

    def check(self, problem: Problem) -> None:
        problem.check_rows()

    def parameters(self) -> dict[str, str | float]:
        own: dict[str, str | float] = {"batch": self.batch}
        return own if self.p is None else {**own, "p": self.p}


def own_coins(key: Key, clients: Array, p: float) -> Array:
    """Whose own coins show heads, each with probability p, shape (n,) of bool."""
    return np.array([key.of(client).generator().random() for client in clients]) < p
