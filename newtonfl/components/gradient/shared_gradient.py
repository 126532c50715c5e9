"""MARINA's gradient: one estimate for all, moved by compressed changes, and now and then sent whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Message
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.aggregation import Aggregator, Mean
from newtonfl.components.aggregation.base import an_aggregator
from newtonfl.components.context import ClientRound, ServerRound
from newtonfl.components.gradient.base import Gradient, GradientEstimate, with_ridge
from newtonfl.components.gradient.oracle import Full, Oracle
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.compressors import Compressor, Identity
from newtonfl.core.arguments import a_length
from newtonfl.core.backend import Array, norm, to_host, zeros
from newtonfl.core.ragged import Blocks, offsets_of
from newtonfl.kernels import norms
from newtonfl.mechanisms import Encoder
from newtonfl.mechanisms.constants import a_compressor, a_probability, omega
from newtonfl.objectives.base import Point, Problem


@dataclass
class ServerMeanState:
    """The server's side.

    Attributes
    ----------
    mean : array, shape (d,)
        g.
    point : array, shape (d,)
        The x that g is about.
    alpha : float
        α of the clipping, infinite where there is none.
    """

    mean: Array
    point: Array
    alpha: float


@dataclass
class ClientMeanState:
    """The clients' side.

    Attributes
    ----------
    gradient : array, shape (n, d)
        ∇f_i at the last x, as the oracle had it.
    oracle : state of the oracle
        What the oracle remembers; its own type.
    """

    gradient: Array
    oracle: object


@dataclass(frozen=True)
class SharedGradient(Gradient[ServerMeanState, ClientMeanState]):
    """g ← mean ∇f_i(x⁺) with probability p, else g + mean Q(∇f_i(x⁺) - ∇f_i(x)) (MARINA, arXiv 2102.07845).

    On heads of the server's coin all clients send their gradients, on tails those that take part send the compressed
    change, and the mean is over them (PP-MARINA). All receive the model, in every round: they need the last gradient.

    Where clients may be Byzantine another rule stands for the mean, and the server clips what they send on tails:
    g + Agg{clip_λ(Q(∇f_i(x⁺) - ∇f_i(x)))}, with λ = α‖x⁺ - x‖ and clip_λ(v) = min{1, λ/‖v‖}·v (Byz-VR-MARINA-PP, arXiv
    2311.14127).

    Parameters
    ----------
    compressor : Compressor
        Q, unbiased.
    p : float
        p in (0, 1].
    whole : Compressor
        How a gradient is sent whole.
    oracle : Oracle
        What a client takes for its gradient: ∇f_i, or :class:`~newtonfl.components.gradient.page.Page` by the same
        coin, whose changes are minibatches' (VR-MARINA).
    aggregator, tails : Aggregator
        Agg on heads, and on tails.
    clip : float or {"theory", "none"}
        α, above 0; "theory" is twice the largest L_i, "none" clips nothing.
    """

    compressor: Compressor
    p: float = 0.1
    whole: Compressor = field(default_factory=Identity)
    oracle: Oracle[Any] = field(default_factory=Full)
    aggregator: Aggregator = field(default_factory=Mean)
    tails: Aggregator = field(default_factory=Mean)
    clip: float | Literal["theory", "none"] = "none"
    partial = True
    reaches_all: ClassVar[bool] = True

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        a_probability("p", self.p)
        an_aggregator("aggregator", self.aggregator)
        an_aggregator("tails", self.tails)
        if not isinstance(self.clip, str):
            a_length("clip", self.clip)
        elif self.clip not in ("theory", "none"):
            raise ValueError(f"clip: given {self.clip!r}, must be a number, theory or none")

    @property
    def least_replies(self) -> int:
        return self.tails.least

    @property
    def exact(self) -> bool:
        return self.oracle.exact

    @property
    def bernoulli_probabilities(self) -> dict[str, float]:
        return {"gradient": self.p}

    @property
    def sends(self) -> str:  # type: ignore[override]
        return f"∇f_i now and then, else {'its change' if self.exact else 'the change of drawn rows'}, compressed"

    @property
    def shares_draws(self) -> bool:
        return self.compressor.correlated

    def requires_all(self, coins: dict[str, bool]) -> bool:
        return coins["gradient"]

    def resolved(self, problem: Problem) -> Self:
        self.oracle.check(problem)
        self.aggregator.check(problem.n_clients, "clients")
        if self.clip == "theory":
            try:
                _ = problem.client_smoothness
            except ValueError as error:
                raise ValueError(f"clip=theory is made of the clients' L_i: {error}; give clip=NUMBER") from None
        made = self.compressor.for_clients(problem.n_clients).for_dimension(problem.dim)
        made.mean_constants(problem.dim, problem.n_clients)  # says so where it is biased
        return replace(self, compressor=made)

    def init_clients(self, x0: Array, space: Coordinates) -> ClientMeanState:
        n = len(space.sizes)
        return ClientMeanState(zeros((n, x0.shape[0]), x0), self.oracle.init_clients(x0, n))

    def encode(
        self, state: ClientMeanState, point: Point, context: ClientRound
    ) -> tuple[Sequence[Parts], ClientMeanState]:
        gradient, oracle = self.oracle.draw(state.oracle, point, context)
        encoder = Encoder(context.space, point.problem.clients, context.key)
        if context.coins["gradient"]:
            messages = encoder.compress(self.whole, context.space.of_gradients(gradient))
        else:
            messages = encoder.compress(self.compressor, context.space.of_gradients(gradient - state.gradient))
        return ManyParts({"gradient": messages}, len(messages)), ClientMeanState(gradient, oracle)

    def init_server(self, constants: ProblemConstants, x0: Array) -> ServerMeanState:
        if self.clip == "theory":
            inside = float(constants.ridge.max()) if constants.ridge_inside else 0.0
            alpha = 2.0 * (float(constants.client_smoothness().max()) + inside)
        else:
            alpha = math.inf if self.clip == "none" else float(self.clip)
        return ServerMeanState(zeros(constants.dim, x0), x0, alpha)

    def aggregate(
        self, state: ServerMeanState, replies: Replies, context: ServerRound, constants: ProblemConstants
    ) -> tuple[ServerMeanState, GradientEstimate]:
        x, messages = context.point, replies.messages("gradient")
        if context.coins["gradient"]:
            aggregator, base, scales = self.aggregator, zeros(constants.dim, constants.like), np.ones(len(messages))
        else:
            aggregator, base, scales = self.tails, state.mean, self._clipping(state, messages, context.space, x)
        g = aggregator.added(base, messages, context.space, replies.clients, scales, context.key)
        return ServerMeanState(g, x, state.alpha), GradientEstimate(x, with_ridge(g, x, constants))

    def _clipping(self, state: ServerMeanState, messages: Sequence[Message], space: Coordinates, x: Array) -> Array:
        """min{1, λ/‖v_i‖} of every message, shape (messages,)."""
        if self.clip == "none" or not len(messages):
            return np.ones(len(messages))
        news, most = space.decode_all(messages), state.alpha * norm(to_host(x - state.point))
        with np.errstate(over="ignore"):  # a length beyond all doubles is clipped to nothing
            sent = norms(Blocks(news.values, offsets_of(news.counts)))
        longer = sent > most
        return np.where(longer, most / np.where(longer, sent, 1.0), 1.0)

    def parameters(self) -> dict[str, str | float]:
        robust = {"aggregator": str(self.aggregator), "tails": str(self.tails), "clip": self.clip}
        plain = (self.aggregator, self.tails, self.clip) == (Mean(), Mean(), "none")
        return {"compressor": str(self.compressor), "p": self.p, **({} if plain else robust)}

    def constants(self, constants: ProblemConstants, share: float) -> tuple[float, float]:
        n = constants.n_clients
        if self.compressor.correlated:
            lost, _ = self.compressor.mean_constants(constants.dim, n)
        else:
            lost = variance(omega(self.compressor, constants.dim), n, share)
        return self.p, (1.0 - self.p) * lost

    def check(self, space: Coordinates) -> None:
        space.check(self.compressor)


def variance(omega: float, n: int, share: float) -> float:
    """v of a mean over τ = share·n of n clients, drawn without replacement, each compressed with variance ω.

    E‖(1/τ)Σ_S Q(Δ_i) - mean Δ_i‖² ≤ v·mean‖Δ_i‖² with v = (ω + (n-τ)/(n-1))/τ: ω/n where all take part, and never
    above the (1+ω)/τ of draws with replacement.
    """
    tau = share * n
    return (omega + ((n - tau) / (n - 1) if n > 1 else 0.0)) / tau
