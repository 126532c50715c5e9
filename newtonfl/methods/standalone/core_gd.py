"""CORE: gradients as a few numbers along vectors that everybody draws alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import ManyParts, Parts, Sizes, nothing_from
from newtonfl.components.gradient.anchored import AnchoredGradient
from newtonfl.components.model.sent import ExactModel
from newtonfl.components.participation import All
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.components.step.setting import StepSizeSetting
from newtonfl.components.step.step_size import StepSize
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.core.arguments import whole
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.random import SERVER, Key
from newtonfl.methods.settings import FIRST_ORDER
from newtonfl.methods.standalone.exact import for_each, mean, messages
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem


@dataclass(frozen=True)
class CoreRule(StepSizeRule):
    """γ = m/(tr A + (m + 1)L) with A ⪰ ∇²f everywhere, of the norm L.

    Derived here: for ξ from N(0, I), E(ξᵀu)²ξᵀAξ = tr A·‖u‖² + 2uᵀAu, so that E ĝᵀAĝ ≤ (tr A + (m + 1)L)/m·‖∇f‖², and f
    falls by (γ/2)‖∇f‖² a round on average; under the PŁ condition f - f* by 1 - γμ. For m up to 3 tr A/L - 1 it is no
    less than the paper's m/(4 tr A) (arXiv 2309.13307, from memory), and beyond it tends to 1/L.

    Parameters
    ----------
    m : int
        How many vectors a round has.
    """

    m: int
    needs_client_smoothness = False
    formulas: ClassVar[dict[str, str]] = dict.fromkeys(("theory", "theory-pl"), "m/(tr A + (m + 1)L)")

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        trace = at.constants.curvature_trace() + float(at.constants.ridge.sum())
        gamma = self.m / (trace + (self.m + 1) * at.smoothness)
        return gamma, {"L": at.smoothness, "trace": trace, "m": float(self.m)}


@dataclass
class CoreServer:
    """What the server remembers.

    Attributes
    ----------
    x : numpy.ndarray, shape (d,)
        The iterate.
    products : numpy.ndarray, shape (m,), or None
        p̄ of the last round, which the clients do not know yet; None before the first.
    step_size : StepSize
        γ.
    constants : ProblemConstants
    """

    x: Array
    products: Array | None
    step_size: StepSize
    constants: ProblemConstants


@dataclass
class CoreClients:
    """What clients remember, on the host: x, shape (n, d), and γ, shape (n,)."""

    x: Array
    stepsize: Array


@dataclass(frozen=True)
class Core(Method):
    """See :func:`core_gd`."""

    directions: int
    stepsize: float | str
    name: str = "core-gd"

    def __post_init__(self) -> None:
        StepSizeSetting.of(self.stepsize)

    @property
    def shares_draws(self) -> bool:
        return True

    def resolved(self, problem: Problem) -> Self:
        StepSizeSetting.of(self.stepsize).check(problem, CoreRule(self.directions))
        return self

    def parameters(self) -> dict[str, str | float]:
        return {"directions": self.directions, "stepsize": self.stepsize}

    def components(self) -> dict[str, str]:
        return {"sends": "∇f_i along directions that all draw alike", "ridge": "clients"}

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def announcement_sizes(self, dim: int) -> Sizes:
        size = {"stepsize": 1, "product": self.directions}
        return lambda part, clients, decoded: size.get(part, dim)

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], CoreClients]:
        rows = to_host(for_each(x0, problem)) + 0.0
        return nothing_from(problem.clients), CoreClients(rows, np.zeros(len(rows)))

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> CoreServer:
        constants = replace(constants, ridge_inside=True)
        at = StepContext(constants, AnchoredGradient(), ExactModel(), All())
        step_size = StepSizeSetting.of(self.stepsize).init(CoreRule(self.directions), at)
        return CoreServer(to_host(x0), None, step_size, constants)

    def theory(self, server: CoreServer) -> list[str]:
        return server.step_size.notes()

    def round(self, server: CoreServer, exchange: Exchange, key: Key) -> CoreServer:
        gamma = server.step_size.stepsize
        first = server.products is None
        parts: Parts = {"stepsize": Dense(np.array([gamma]))} if first else {"product": Dense(server.products)}
        replies = exchange(Announcement(key.round, parts), lambda part, clients, decoded: self.directions)
        products = mean(replies, "product")
        return replace(server, x=self._step(server.x, products, gamma, key), products=products)

    def respond(
        self, clients: CoreClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        parts, x, gamma = announcement.to_all, clients.x, clients.stepsize
        if "stepsize" in parts:
            gamma = gamma * 0.0 + parts["stepsize"].coordinates()[1]
        else:
            before = key.at(announcement.round - 1)
            own = self._step(x[0, :], parts["product"].coordinates()[1], float(gamma[0]), before)
            x = np.broadcast_to(own, x.shape)
        point = problem.with_local_ridge().at(to_device(x[0, :], problem.like))
        # One product a client, of the same shape whoever else is in the process: the same bits.
        products = np.matmul(self._vectors(problem.dim, key), to_host(point.gradient)[:, :, None])
        replies = ManyParts({"product": messages(products)}, len(products))
        return replies, CoreClients(x, gamma)

    def _step(self, x: Array, products: Array, gamma: float, key: Key) -> Array:
        """x - γĝ, ĝ = (1/m)Σ_j p̄_j ξ_j: the server's and the clients', in the same bits."""
        after: Array = x - gamma / self.directions * (products @ self._vectors(len(x), key))
        return after

    def _vectors(self, dim: int, key: Key) -> Array:
        """ξ_1 … ξ_m of the round of `key`, shape (m, d): the same to everybody."""
        return key.of(SERVER).to("directions").generator().standard_normal((self.directions, dim))


@method("core-gd", FIRST_ORDER)
def core_gd(*, directions: int = 16, stepsize: float | str = "theory") -> Core:
    """CORE-GD (Yue, Zhao, Fang, He, Wang, Lin, Zhu, arXiv 2309.13307): m numbers up and m numbers down a round.

    All draw the same ξ_1 … ξ_m from N(0, I) in a round; client i sends p_ij = ⟨∇f_i(x), ξ_j⟩, the server their means
    p̄_j over the clients, and everybody steps x⁺ = x - γĝ with ĝ = (1/m)Σ_j p̄_j ξ_j, whose mean is ∇f(x). The algorithm
    is from memory. What counts is tr A of A ⪰ ∇²f in the place of dL: good where the spectrum decays fast.

    The ridge stands in every client's function: of the data part alone ĝ would not vanish at x*. A client receives the
    run's seed in the set-up, eight bytes, and γ in round 0. The step is that of
    :class:`newtonfl.methods.standalone.core_gd.CoreRule`. Numbers are sent as float64.

    Parameters
    ----------
    directions : int
        m, how many vectors are drawn.
    """
    return Core(whole("directions", directions), stepsize)
