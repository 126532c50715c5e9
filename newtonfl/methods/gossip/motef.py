"""BEER, MoTEF and MoTEF-VR: gradients tracked over a graph, with compressed differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, cast

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.coding import Precision
from newtonfl.comm.messages import Message
from newtonfl.components.gradient.oracle import Minibatch
from newtonfl.components.graph import Graph
from newtonfl.components.mixed import Mixed
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.setting import StepSizeSetting
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Compressor, TopK
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import a_compressor, a_probability, contraction, made_contractive
from newtonfl.methods.gossip.base import Gossip, Observer
from newtonfl.methods.settings import GOSSIP, Batch, CompressorForm, GraphForm, TheoryOr
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass
class TrackingClients:
    """What clients remember: (η, γ), shape (n, 2); all else has shape (n, d).

    Attributes
    ----------
    numbers : array
        η and γ.
    x, momentum, tracker : array
        x_i, m_i and v_i.
    model_shadow, mixed_model : array
        h_i, which the neighbours know too, and Σ_j w_ij h_j.
    tracker_shadow, mixed_tracker : array
        The same of v_i: g_i.
    """

    numbers: Array
    x: Array
    momentum: Array
    tracker: Array
    model_shadow: Array
    mixed_model: Array
    tracker_shadow: Array
    mixed_tracker: Array


@dataclass(frozen=True)
class TrackingRule(StepSizeRule):
    """η = min{δρ, 1/3}/max L_i.

    The theorems (BEER, arXiv 2201.13320; MoTEF, arXiv 2405.20114) have steps of an order, c·δρ and c·δρ³λ over L, with
    constants c too small for use; this one is no theorem's, and has held in our checks.

    Parameters
    ----------
    share : float
        δρ.
    """

    share: float
    formulas: ClassVar[dict[str, str]] = {"theory": "min{δρ, 1/3}/max L_i, which no theorem gives,"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        return min(self.share, 1.0 / 3.0) / at.most, {"L_max": at.most, "delta_rho": self.share}


@dataclass(frozen=True)
class GradientTracking(Gossip):
    """See :func:`beer`, :func:`motef` and :func:`motef_vr`."""

    compressor: Compressor = TopK("0.1d")
    gamma: TheoryOr = "theory"
    lam: float = 1.0
    batch: Batch = "full"
    corrected: bool = False
    share: float = math.nan
    numbers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        a_compressor("compressor", self.compressor)
        a_probability("lam", self.lam)
        if not isinstance(self.gamma, str):
            a_probability("gamma", self.gamma)
        if self.batch != "full":
            Minibatch(self.batch)  # says what it refuses

    def rule(self) -> TrackingRule:
        return TrackingRule(self.share)

    def components(self) -> dict[str, str]:
        return {
            "sends": "C of how far x_i, and v_i that tracks the mean of the ∇f_i, are from their shadows",
            "ridge": "clients",
        }

    def resolved(self, problem: Problem) -> Self:
        if self.batch != "full":
            problem.check_rows()
        compressor = made_contractive(self.compressor.for_dimension(problem.dim))
        Coordinates(np.full(1, problem.dim)).check(compressor)
        made = super().resolved(problem)  # says where clients are not connected
        try:
            share = contraction(compressor, problem.dim) * self.graph.spectrum(problem.n_clients)[0]
        except ValueError:  # one without a δ
            if self.gamma == "theory" or StepSizeSetting.of(self.stepsize).theory:
                raise
            share = math.nan
        return replace(made, compressor=compressor, share=share)

    def client_constants(self, step_size: StepSize, constants: ProblemConstants) -> Array:
        return np.array([step_size.stepsize, self.share if self.gamma == "theory" else float(self.gamma)])

    def consensus_stepsize(self, server: Observer) -> float:
        return float(self.client_constants(server.step_size, server.constants)[1])

    def first_state(self, problem: Problem, x: Array, numbers: Array) -> TrackingClients:
        # M⁰ = V⁰: the mean of V - M never changes, so that v̄ would be off for ever by what it is off at the start.
        first = problem.at_uncached(x).gradient
        return TrackingClients(numbers, x, first, first + 0.0, *(0.0 * x for _ in range(4)))

    def encode(
        self, clients: TrackingClients, problem: Problem, key: Key
    ) -> tuple[dict[str, Sequence[Message]], TrackingClients]:
        eta, gamma = clients.numbers[:, :1], clients.numbers[:, 1:]
        x = clients.x + gamma * (clients.mixed_model - clients.model_shadow) - eta * clients.tracker
        model = self.compressed(self.compressor, x - clients.model_shadow, problem, key.to("model"))
        momentum = self._momentum(clients, x, problem, key)
        mixed = gamma * (clients.mixed_tracker - clients.tracker_shadow)
        tracker = clients.tracker + mixed + momentum - clients.momentum
        change = self.compressed(self.compressor, tracker - clients.tracker_shadow, problem, key.to("gradient"))
        return {"model": model, "gradient": change}, replace(clients, x=x, momentum=momentum, tracker=tracker)

    def _momentum(self, clients: TrackingClients, x: Array, problem: Problem, key: Key) -> Array:
        """M⁺, of the gradients at X⁺ and, in the variance-reduced form, at X from the same rows."""
        new = self.gradient(problem, x, self.batch, key)
        if self.lam == 1.0:
            return new
        if self.corrected:
            return new + (1.0 - self.lam) * (clients.momentum - self.gradient(problem, clients.x, self.batch, key))
        return (1.0 - self.lam) * clients.momentum + self.lam * new

    def mix(self, clients: TrackingClients, mixed: Mixed, problem: Problem, key: Key) -> TrackingClients:
        return replace(
            clients,
            model_shadow=clients.model_shadow + mixed.sent["model"],
            mixed_model=clients.mixed_model + mixed.mixed["model"],
            tracker_shadow=clients.tracker_shadow + mixed.sent["gradient"],
            mixed_tracker=clients.mixed_tracker + mixed.mixed["gradient"],
        )


@method("beer", GOSSIP)
def beer(
    *,
    graph: GraphForm = "ring",
    compressor: CompressorForm = TopK("0.1d"),
    stepsize: float | str = "theory",
    gamma: TheoryOr = "theory",
    wire: Precision = "float64",
) -> GradientTracking:
    """BEER (Zhao, Li, Li, Richtárik, Chi, arXiv 2201.13320): gradient tracking with two compressed vectors, no server.

    X⁺ = X + γ(W - I)H - ηV, q = C(X⁺ - H) is sent and H ← H + q; V⁺ = V + γ(W - I)G + ∇F(X⁺) - ∇F(X), r = C(V⁺ - G) is
    sent and G ← G + r, from V⁰ = ∇F(X⁰), H⁰ = G⁰ = 0. It is :func:`motef` with λ = 1 and whole gradients. γ is
    δρ of the compressor's δ and the graph's spectral gap ρ, and ηL = min{δρ, 1/3}, which no theorem gives and has held
    in our checks: with whole vectors on a complete graph ηL = 1 diverges.

    What is sent: q_i and r_i to every neighbour.
    """
    return GradientTracking(stepsize, cast(Graph, graph), wire, "beer", cast(Compressor, compressor), gamma)


@method("motef", GOSSIP)
def motef(
    *,
    graph: GraphForm = "ring",
    compressor: CompressorForm = TopK("0.1d"),
    stepsize: float | str = "theory",
    gamma: TheoryOr = "theory",
    lam: float = 0.9,
    batch: Batch = "full",
    wire: Precision = "float64",
) -> GradientTracking:
    """MoTEF (Islamov, Gao, Stich, arXiv 2405.20114): BEER with momentum, for gradients of minibatches.

    M⁺ = (1-λ)M + λ∇F(X⁺; Ξ) stands where BEER has ∇F(X⁺): the rest is :func:`beer`. M⁰ = V⁰ = ∇F(X⁰) here, whole: the
    mean of V - M never changes, so any other start with M⁰ ≠ V⁰ converges to another point than the minimiser.
    Minibatches leave a floor; whole gradients do not.

    What is sent: q_i and r_i to every neighbour.

    Parameters
    ----------
    lam : float
        λ in (0, 1], the weight of the newest gradient.
    """
    return GradientTracking(
        stepsize, cast(Graph, graph), wire, "motef", cast(Compressor, compressor), gamma, lam, batch
    )


@method("motef-vr", GOSSIP)
def motef_vr(
    *,
    graph: GraphForm = "ring",
    compressor: CompressorForm = TopK("0.1d"),
    stepsize: float | str = "theory",
    gamma: TheoryOr = "theory",
    lam: float = 0.9,
    batch: Batch = "full",
    wire: Precision = "float64",
) -> GradientTracking:
    """MoTEF-VR (Islamov, Gao, Stich, arXiv 2405.20114): MoTEF whose momentum is corrected by the same rows at X.

    M⁺ = ∇F(X⁺; Ξ) + (1-λ)(M - ∇F(X; Ξ)), the rest being :func:`motef`. With whole gradients M = ∇F(X), and
    it is :func:`beer` for every λ.

    What is sent: q_i and r_i to every neighbour.

    Parameters
    ----------
    lam : float
        λ in (0, 1].
    """
    compress = cast(Compressor, compressor)
    return GradientTracking(stepsize, cast(Graph, graph), wire, "motef-vr", compress, gamma, lam, batch, corrected=True)
