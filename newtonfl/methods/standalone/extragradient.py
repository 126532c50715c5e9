"""Extragradient: a look ahead, and the step from where it began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import ManyParts, Parts, Sizes, nothing_from
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.gradient.base import with_ridge
from newtonfl.components.model.sent import ExactModel
from newtonfl.components.participation import All
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.components.step.setting import StepSizeSetting
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.methods.settings import FIRST_ORDER
from newtonfl.methods.standalone.exact import mean, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class ExtragradientRule(StepSizeRule):
    """γ = 1/(2L): for a monotone F a round takes ‖z - z*‖² down by (1 - γ²L²)‖z - z½‖²."""

    needs_client_smoothness = False
    needs_convexity = True
    formulas: ClassVar[dict[str, str]] = {"theory": "1/(2L)"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        return 0.5 / at.smoothness, {"L": at.smoothness}


@dataclass
class ExtragradientServer:
    """What the server remembers: z, shape (d,), γ, and theory's constants."""

    x: Array
    step_size: StepSize
    constants: ProblemConstants


@dataclass
class ExtragradientClients:
    """Clients remember nothing."""


@dataclass(frozen=True)
class Extragradient(Method):
    """See :func:`extragradient`."""

    stepsize: float | str
    name: str = "extragradient"

    def __post_init__(self) -> None:
        StepSizeSetting.of(self.stepsize)

    @property
    def solves_operators(self) -> bool:
        return True

    def resolved(self, problem: Problem) -> Self:
        StepSizeSetting.of(self.stepsize).check(problem, ExtragradientRule())
        return self

    def parameters(self) -> dict[str, str | float]:
        return {"stepsize": self.stepsize}

    def components(self) -> dict[str, str]:
        return {"sends": "z and z½ down; F_i there up, which is ∇f_i or an operator"}

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], ExtragradientClients]:
        return nothing_from(problem.clients), ExtragradientClients()

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> Any:
        at = StepContext(constants, AnchoredGradient(), ExactModel(), All())
        step_size = StepSizeSetting.of(self.stepsize).init(ExtragradientRule(), at)
        return ExtragradientServer(x0, step_size, constants)

    def theory(self, server: ExtragradientServer) -> list[str]:
        return server.step_size.notes()

    def round(self, server: ExtragradientServer, exchange: Exchange, key: Key) -> ExtragradientServer:
        constants, gamma = server.constants, server.step_size.stepsize

        def F(z: Array) -> Array:
            announcement = Announcement(key.round, {"model": Dense(to_host(z))})
            replies = exchange(announcement, lambda part, clients, decoded: constants.dim)
            return with_ridge(to_device(mean(replies, "gradient"), constants.like), z, constants)

        half = server.x - gamma * F(server.x)
        return replace(server, x=server.x - gamma * F(half))

    def respond(
        self, clients: ExtragradientClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], ExtragradientClients]:
        own = problem.at(received(announcement.to_all["model"], problem)).gradient
        return ManyParts({"gradient": messages(own)}, len(problem.clients)), clients


@method("extragradient", FIRST_ORDER)
def extragradient(*, stepsize: float | str = "theory") -> Extragradient:
    """Extragradient (Korpelevich, 1976; from memory): z½ = z - γF(z), z⁺ = z - γF(z½), for monotone operators.

    It finds z with F(z) = 0 (:class:`newtonfl.FromOperators`), where a plain step z - γF(z) may turn away for ever, and
    minimises with F = ∇f. Any γ < 1/L converges; where F is μ-strongly monotone a round shrinks the error by about
    1 - γμ. The server adds the ridge. Two vectors go up and two down a round, as float64.

    Parameters
    ----------
    stepsize : float or str
        γ: a number, "theory", which is 1/(2L), or a multiple such as "theory*1.5".
    """
    return Extragradient(stepsize)
