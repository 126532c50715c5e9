"""ADIANA: DIANA with Nesterov's acceleration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.coding import NotFinite
from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import Parts, Sizes, nothing_from
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.base import with_ridge
from newtonfl.components.model.sent import ExactModel
from newtonfl.components.participation import All
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.components.step.setting import StepSizeSetting
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.compressors import Compressor, RandK
from newtonfl.core.backend import Array, to_host, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import SERVER, Key
from newtonfl.mechanisms.constants import a_compressor, a_probability, omega
from newtonfl.methods.settings import FIRST_ORDER, CompressorForm, Ridge, TheoryOr
from newtonfl.methods.spec import check_choice, to_text
from newtonfl.methods.standalone.exact import received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class AdianaRule(StepSizeRule):
    """η = min{1/(2L), n/(64ωL(2p(ω+1)+1)²)} with L the largest L_i (arXiv 2002.11364).

    Parameters
    ----------
    omega, p : float
        ω of the compressor, and how likely w moves.
    """

    omega: float
    p: float
    formulas: ClassVar[dict[str, str]] = dict.fromkeys(("theory", "theory-pl"), "min{1/(2L), n/(64ωL(2p(ω+1)+1)²)}")

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        most, w = at.most, self.omega
        noise = 64.0 * w * most * (2.0 * self.p * (w + 1.0) + 1.0) ** 2
        eta = min(1.0 / (2.0 * most), at.constants.n_clients / noise if noise else math.inf)
        return eta, {"L_max": most, "omega": w, "p": self.p}


def move_chance(omega: float, n: int) -> float:
    """p = min{1, max{α/2, (α/2)(√(n/(32ω)) - 1)}} with α = 1/(1+ω)."""
    half = 0.5 / (1.0 + omega)
    return min(1.0, max(half, half * (math.sqrt(n / (32.0 * omega)) - 1.0))) if omega else 1.0


@dataclass
class AdianaServer:
    """What the server remembers; arrays of shape (d,).

    Attributes
    ----------
    x : array
        y of the paper, the iterate.
    z, w : array
        The momentum's sequence, and the point at which the shifts look.
    w_is_known : bool
        Whether the clients know w.
    mean : array
        h = mean h_i.
    step_size : StepSize
        η.
    constants : ProblemConstants
    """

    x: Array
    z: Array
    w: Array
    w_is_known: bool
    mean: Array
    step_size: StepSize
    constants: ProblemConstants


@dataclass
class AdianaClients:
    """What clients remember: ∇f_i(w), shape (n, d), and h_i, a block each."""

    anchor: Array
    shift: Blocks


@dataclass(frozen=True)
class Adiana(Method):
    """See :data:`adiana`."""

    compressor: Compressor
    stepsize: float | str
    p: float | Literal["theory"]
    ridge: Literal["server", "clients"]
    moves: float = 1.0
    name: str = "adiana"

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        check_choice("ridge", self.ridge, ("server", "clients"))
        StepSizeSetting.of(self.stepsize)
        if isinstance(self.p, str):
            check_choice("p", self.p, ("theory",))
        else:
            a_probability("p", self.p)

    def parameters(self) -> dict[str, str | float]:
        return {"compressor": to_text(self.compressor), "stepsize": self.stepsize, "p": self.p, "ridge": self.ridge}

    def components(self) -> dict[str, str]:
        return {"sends": "x, and w where it has moved, down; Q(∇f_i(x) - h_i) and Q(∇f_i(w) - h_i) up"}

    def resolved(self, problem: Problem) -> Self:
        problem.check_convex(self.name)
        made = replace(self, compressor=self.compressor.for_dimension(problem.dim))
        _space(problem.n_clients, problem.dim).check(made.compressor)
        rule = made._rule(problem.n_clients, problem.dim)
        StepSizeSetting.of(self.stepsize).check(problem, rule)
        return replace(made, moves=rule.p)

    def expected_silent_rounds(self, n_clients: int) -> float:
        # The sequences swing about the solution with the pace at which w moves.
        return 1.0 / self.moves - 1.0

    def _rule(self, n: int, dim: int) -> AdianaRule:
        w = omega(self.compressor, dim)
        return AdianaRule(w, move_chance(w, n) if isinstance(self.p, str) else self.p)

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], AdianaClients]:
        problem = self._view(problem)
        anchor = problem.at(x0).gradient + 0.0  # w = x⁰
        return nothing_from(problem.clients), AdianaClients(anchor, equal_blocks(0.0 * anchor))

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> AdianaServer:
        constants = replace(constants, ridge_inside=self.ridge == "clients")
        at = StepContext(constants, AnchoredGradient(), ExactModel(), All())
        step_size = StepSizeSetting.of(self.stepsize).init(self._rule(constants.n_clients, constants.dim), at)
        return AdianaServer(x0, x0, x0, True, zeros(constants.dim, constants.like), step_size, constants)

    def theory(self, server: AdianaServer) -> list[str]:
        return server.step_size.notes()

    def round(self, server: AdianaServer, exchange: Exchange, key: Key) -> AdianaServer:
        constants, space = server.constants, _space(server.constants.n_clients, server.constants.dim)
        p, eta, mu = (
            self._rule(constants.n_clients, constants.dim).p,
            server.step_size.stepsize,
            constants.strong_convexity,
        )
        theta1 = min(0.25, math.sqrt(eta * mu / p))
        together = 2.0 * (theta1 + eta * mu)
        if mu > 0.0 and together == 0.0:  # of a step so small that nothing is left of its root
            raise NotFinite(f"round {key.round}: no weights belong to a step of {eta:g}")
        gamma = eta / together if mu > 0 else 0.0
        beta = 1.0 - gamma * mu

        x = theta1 * server.z + 0.5 * server.w + (0.5 - theta1) * server.x
        parts: Parts = {"model": Dense(to_host(x))}
        if not server.w_is_known:
            parts["anchor"] = Dense(to_host(server.w))
        replies = exchange(Announcement(key.round, parts), lambda part, clients, decoded: constants.dim)
        weights = np.full(constants.n_clients, 1.0 / constants.n_clients)
        g = with_ridge(space.accumulate(server.mean + 0.0, replies.messages("gradient"), weights), x, constants)
        mean = space.accumulate(server.mean, replies.messages("change"), self._rate(constants.dim) * weights)

        y = x - eta * g
        z = beta * server.z + (1.0 - beta) * x + (gamma / eta) * (y - x)
        moves = bool(key.of(SERVER).to("anchor coin").generator().random() < p)
        # w moves to the y from before this step.
        return AdianaServer(y, z, server.x if moves else server.w, not moves, mean, server.step_size, constants)

    def _rate(self, dim: int) -> float:
        """α."""
        return 1.0 / (1.0 + omega(self.compressor, dim))

    def _view(self, problem: Problem) -> Problem:
        return problem.with_local_ridge() if self.ridge == "clients" else problem

    def respond(
        self, clients: AdianaClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        problem = self._view(problem)
        to_all, ids = announcement.to_all, problem.clients
        space, shift = _space(len(ids), problem.dim), clients.shift
        gradient, anchor = problem.at(received(to_all["model"], problem)).gradient, clients.anchor
        if "anchor" in to_all:
            anchor = problem.at_uncached(received(to_all["anchor"], problem)).gradient

        def sent(gradient: Array, purpose: str) -> Any:
            return space.compress(self.compressor, equal_blocks(gradient + 0.0) - shift, ids, key.to(purpose))

        news, changes = sent(gradient, "gradient"), sent(anchor, "anchor")
        after = space.add(shift, changes, np.full(len(ids), self._rate(problem.dim)))
        replies: list[Parts] = [{"gradient": n, "change": c} for n, c in zip(news, changes, strict=True)]
        return replies, AdianaClients(anchor, after)


def _space(n: int, dim: int) -> Coordinates:
    return Coordinates(np.full(n, dim))


@method("adiana", FIRST_ORDER)
def adiana(
    *,
    compressor: CompressorForm = RandK("0.1d"),
    stepsize: float | str = "theory",
    p: TheoryOr = "theory",
    ridge: Ridge = "server",
) -> Adiana:
    """ADIANA (Li, Kovalev, Qian, Richtárik, arXiv 2002.11364): accelerated DIANA, Q unbiased; three sequences.

    x = θ₁z + θ₂w + (1-θ₁-θ₂)y is asked: g = h + mean Q(∇f_i(x) - h_i); y⁺ = x - ηg, z⁺ = βz + (1-β)x + (γ/η)(y⁺ - x);
    h_i ← h_i + αQ(∇f_i(w) - h_i), and w⁺ = y with probability p. θ₂ = ½, θ₁ = min{¼, √(ημ/p)}, γ = η/(2(θ₁ + ημ)), β =
    1 - γμ, α = 1/(1+ω). Two messages go up in a round: the papers that compare count one. Linear for strongly convex
    f: of the order of ω + √(κω/n·(1 + …)) rounds for each digit. Numbers are sent as float64.

    Parameters
    ----------
    compressor : Compressor or str
        Q, unbiased, say RandK("0.1d") or "natural".
    stepsize : float or str
        η: a number, "theory", or a multiple such as "theory*16".
    p : float or "theory"
        p in (0, 1], how likely w moves; "theory" is min{1, max{α/2, (α/2)(√(n/(32ω)) - 1)}}.
    """
    return Adiana(cast(Compressor, compressor), stepsize, p, ridge)
