"""5GCS: local training as an inexact proximal step of each client's dual."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.coding import WireError
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.participation import Participation, Uniform
from newtonfl.components.protocol import Announcement, Exchange, ProblemConstants
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Compressor, Identity, RandK
from newtonfl.core.arguments import whole
from newtonfl.core.backend import Array, to_host, zeros
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import a_compressor, omega
from newtonfl.methods.local.base import MOST_STEPS, LocalMethod, LocalServer
from newtonfl.methods.settings import LOCAL, CompressorForm, ParticipationForm
from newtonfl.methods.standalone.exact import decoded, for_each, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem

MOST_BY_THEORY = 10_000
"""More local steps are for whoever asks for them."""


@dataclass(frozen=True)
class FiveGCSRule(StepSizeRule):
    """γ = 1/(2τn) with τ = (8/3)√((1+ω)Lμ/(n·E|S|)).

    Parameters
    ----------
    compressor : Compressor
    participation : Participation
    """

    compressor: Compressor
    participation: Participation
    needs_smoothness = False
    formulas: ClassVar[dict[str, str]] = {"theory": "(3/16)√(share/((1+ω) max L_i μ))"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        share, w = self.participation.share(at.constants.n_clients), omega(self.compressor, at.constants.dim)
        found = {"L_max": at.most, "mu": at.convexity, "omega": w, "share": share}
        return 0.1875 * math.sqrt(share / ((1.0 + w) * at.most * at.convexity)), found


@dataclass
class FiveGCSServer(LocalServer):
    """What the server remembers.

    Attributes
    ----------
    v : numpy.ndarray, shape (d,)
        Σ u_m, the sum of the clients' duals.
    """

    v: Array


@dataclass
class FiveGCSClients:
    """What clients remember: 1/(L_F + τ), τ, μ and K, shape (n, 4); u_m, shape (n, d)."""

    numbers: Array
    u: Array


@dataclass(frozen=True)
class FiveGCS(LocalMethod):
    """See :func:`five_gcs` and :func:`five_gcs_cc`."""

    steps: int | Literal["theory"] = "theory"
    compressor: Compressor = Identity()
    _numbers: ClassVar[dict[str, int]] = {"stepsize": 4}

    def __post_init__(self) -> None:
        super().__post_init__()
        a_compressor("compressor", self.compressor)
        if self.steps != "theory":
            whole("steps", self.steps, MOST_STEPS)

    def rule(self) -> FiveGCSRule:
        return FiveGCSRule(self.compressor, self.participation)

    def components(self) -> dict[str, str]:
        return {"sends": "x̂ down; Q of the change of the local dual up", "ridge": "clients"}

    def resolved(self, problem: Problem) -> Self:
        problem.check_convex(self.name)
        if not problem.strong_convexity > 0.0:
            raise ValueError(f"{self.name}: needs a μ above 0: give an l2 > 0 on every coordinate")
        try:
            _ = problem.client_smoothness
        except ValueError:
            raise ValueError(f"{self.name}: its local steps need the clients' L_i, and this problem has none") from None
        made = replace(super().resolved(problem), compressor=self.compressor.for_dimension(problem.dim))
        Coordinates(np.full(problem.n_clients, problem.dim)).check(made.compressor)
        omega(made.compressor, problem.dim)  # refuses a biased one
        return made

    def first_state(self, problem: Problem, x0: Array) -> FiveGCSClients:
        n = len(problem.clients)
        return FiveGCSClients(zeros((n, 4), problem.like), zeros((n, problem.dim), problem.like))

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> FiveGCSServer:
        made = super().init_server(constants, x0, setup_messages)
        server = FiveGCSServer(made.x, made.step_size, made.constants, np.zeros(constants.dim))
        self.client_constants(server)  # says where theory asks for too many local steps
        return server

    def client_constants(self, server: Any) -> Array:
        at, n = self.context(server.constants), server.constants.n_clients
        tau, smooth = 1.0 / (2.0 * n * server.step_size.stepsize), (at.most - at.convexity) / n
        whole_vectors = math.sqrt(1.0 + omega(self.compressor, server.constants.dim)) / tau  # 1/τ without a compressor
        return np.array([1.0 / (smooth + tau), tau, at.convexity, self.local_steps(smooth * whole_vectors)])

    def local_steps(self, ratio: float) -> float:
        """K; by theory ⌈L_F/(eτ)⌉, `ratio` being L_F/τ."""
        if self.steps != "theory":
            return float(self.steps)
        steps = ratio / math.e
        if not steps <= MOST_BY_THEORY:
            raise ValueError(
                f"{self.name}: steps=theory asks for {steps:.3g} local steps with this stepsize: give a smaller one, "
                "or steps=NUMBER"
            )
        return max(1.0, math.ceil(steps))

    def contraction_rate(self, server: Any) -> float:
        step, tau, mu, _ = np.atleast_2d(self.client_constants(server)).T
        learns = self.probabilities(server.constants) * tau * step / (1.0 + omega(self.compressor, len(server.x)))
        descends = server.step_size.stepsize * mu[0]
        return min(float(learns.min()), float(descends / (1.0 + descends)))

    def probabilities(self, constants: ProblemConstants) -> Array:
        """How likely clients are to be asked, shape (1,) or (n,)."""
        return np.array([self.participation.share(constants.n_clients)])

    def round(self, server: FiveGCSServer, exchange: Exchange, key: Key) -> FiveGCSServer:
        constants, gamma = server.constants, server.step_size.stepsize
        dim, S = constants.dim, self.drawn(server.constants, key)
        x = (server.x - gamma * server.v) / (1.0 + gamma * constants.strong_convexity)
        announcement = self.announced(replace(server, x=x), key, S)
        replies = exchange(announcement, lambda part, clients, decoded: dim)
        many, growth = len(replies.clients), 1.0 + omega(self.compressor, dim)
        if not many:
            return replace(server, x=x)
        space, changes, ones = Coordinates(np.full(many, dim)), replies.messages("change"), np.ones(many)
        scales = ones if S is None else self.sampling_scales(constants, replies.clients)
        ahead = space.accumulate(np.zeros(dim), changes, scales)
        v = server.v + space.accumulate(np.zeros(dim), changes, ones) / growth
        return replace(server, x=x - gamma * ahead, v=v)

    def sampling_scales(self, constants: ProblemConstants, clients: Array) -> Array:
        """By what the changes of the `clients` drawn stand for those of all, shape (|S|,)."""
        return np.full(len(clients), constants.n_clients / len(clients))

    def local(
        self, clients: FiveGCSClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        numbers = self.numbers(clients.numbers, announcement, problem)
        step, tau, mu = numbers[:, :1], numbers[:, 1:2], numbers[:, 2:3]
        count = float(to_host(numbers)[0, 3]) if len(problem.clients) else 1.0
        if not 1 <= count <= MOST_STEPS or count != int(count):
            raise WireError(f"round {announcement.round}: {count:g} local steps, must be 1 to {MOST_STEPS}")
        x = y = for_each(received(announcement.to_all["model"], problem), problem)

        def dual(y: Array, number: int) -> Array:
            """∇F_m(y) with F_m = (f_m - μ/2‖·‖²)/n."""
            return (self.gradient(problem, y, key, number) - mu * y) / problem.n_clients

        for number in range(int(count)):
            y = y - step * (dual(y, number) + tau * (y - x) - clients.u)
        n, space = len(problem.clients), Coordinates(np.full(len(problem.clients), problem.dim))
        change = equal_blocks(dual(y, int(count)) - clients.u)
        sent = space.compress(self.compressor, change, problem.clients, key.to("change"))
        u = clients.u + decoded(sent, problem.dim, x) / (1.0 + omega(self.compressor, problem.dim))
        return ManyParts({"change": sent}, n), FiveGCSClients(numbers, u)


@method("5gcs", LOCAL)
def five_gcs(
    *,
    stepsize: float | str = "theory",
    steps: int | Literal["theory"] = "theory",
    participation: ParticipationForm = Uniform(0.5),
) -> FiveGCS:
    """5GCS (Grudzień, Malinovsky and Richtárik, arXiv 2212.14370): accelerated in exchanges, with sampled clients.

    With F_m = (f_m - μ/2‖·‖²)/n, duals u_m and v = Σu_m: x̂ = (x - γv)/(1 + γμ) goes to S; client m takes K gradient
    steps of length 1/(L_F + τ) from x̂ on F_m(y) + τ/2‖y - x̂ - u_m/τ‖² with L_F = (L - μ)/n, and u_m ← ∇F_m(y); x⁺ = x̂
    - γ(n/|S|)Σ_S(u_m⁺ - u_m).

    γ = 1/(2τn), and by theory τ = (8/3)√(Lμ/(n|S|)): then, with K of the order of √(|S|L/(nμ)) log κ, n/|S| + √(nκ/|S|)
    rounds a digit. Constants are from memory of the paper.

    What is sent: x̂ down, the change of u_m up.

    Parameters
    ----------
    steps : int or "theory"
        K. "theory" is ⌈L_F/(eτ)⌉, the paper's order without its logarithm, and ours: where F_m has a curvature a, what
        is left of y after K steps adds less than a(1 - a/L_F)^K ≤ L_F/(eK) to ∂u_m/∂x̂ = aτ/(a + τ), and γ bears 2τ.
        With much fewer it diverges.
    """
    return FiveGCS(stepsize, "full", cast(Participation, participation), "5gcs", steps)


@method("5gcs-cc", LOCAL)
def five_gcs_cc(
    *,
    compressor: CompressorForm = RandK("0.1d"),
    stepsize: float | str = "theory",
    steps: int | Literal["theory"] = "theory",
    participation: ParticipationForm = Uniform(0.5),
) -> FiveGCS:
    """5GCS-CC (arXiv 2306.03240): 5GCS with compressed messages.

    u_m ← u_m + Q(∇F_m(y) - u_m)/(1 + ω) and x⁺ = x̂ - γ(n/|S|)Σ_S Q(∇F_m(y) - u_m).

    By theory τ is √(1 + ω) times 5GCS's, which is derived here and has held in our checks; the method is from memory of
    "Improving accelerated federated learning with compression and importance sampling" by the same authors.

    What is sent: x̂ down, Q of the change of u_m up.

    Parameters
    ----------
    compressor : Compressor or str
        Q, unbiased, say RandK("0.1d") or "natural".
    steps : int or "theory"
        K; "theory" is that of 5gcs.
    """
    drawn = cast(Participation, participation)
    return FiveGCS(stepsize, "full", drawn, "5gcs-cc", steps, cast(Compressor, compressor))
