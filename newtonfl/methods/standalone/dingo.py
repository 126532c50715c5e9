"""DINGO (Crane and Roosta, NeurIPS 2019, arXiv 1901.05134): descent of the gradient's norm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import Parts, Sizes, nothing_from
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.components.step.base import NoStep
from newtonfl.components.step.trials import finite
from newtonfl.core.arguments import within
from newtonfl.core.backend import Array, namespace, to_host
from newtonfl.core.random import Key
from newtonfl.kernels import eigh
from newtonfl.methods.standalone.exact import for_each, mean, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Point, Problem

STEPS = tuple(2.0**-j for j in range(11))
"""The trial steps of the papers that compare with DINGO."""

_FIRST_ROUNDS, _FIRST_STEP = 4, 1e-2  # the quirk


@method("dingo")
def dingo(
    *, theta: float = 1e-4, phi: float = 1e-6, rho: float = 1e-4, quirks: Literal["none", "authors"] | None = None
) -> Dingo:
    """DINGO: x⁺ = x + αp with p made of local Newton directions, so that ‖∇f‖ falls (arXiv 1901.05134, Algorithm 1).

    With g = ∇f(x), H_i = ∇²f_i(x), H their mean, H̃_i = [H_i; φI] and g̃ = [g; 0], every client sends H_i g, H_i†g
    and H̃_i†g̃. Then

        case 1   p = -mean H_i†g      where ⟨Hg, -p⟩ ≥ θ‖g‖², else
        case 2   p = -mean H̃_i†g̃     where ⟨Hg, -p⟩ ≥ θ‖g‖², else
        case 3   p = mean p_i,  p_i = -H̃_i†g̃ - λ_i (H̃_iᵀH̃_i)⁻¹Hg  with the least λ_i ≥ 0 such that ⟨Hg, -p_i⟩ ≥ θ‖g‖²,

    and α is the first of 1, ½, …, 2⁻¹⁰ with ‖∇f(x + αp)‖² ≤ ‖g‖² + 2αρ⟨p, Hg⟩. Every one of ρ, θ and φ gives a
    strict fall of ‖∇f‖ for a short enough step; where none of these is, the run ends (NoStep).

    The ridge stands in every f_i, hence in every H_i: the pseudo-inverse of the data part alone is another method.

    What is sent: an exchange a trial, x + αp down and ∇f_i(x + αp) up. The gradient of the step that was taken is the
    next round's g, so that a round costs a client 4d + d·(halvings) numbers up and 2d + d·(halvings) down, and d more
    each way in case 3. The papers' count is 7d + 2d·(halvings) + 2d·(case-3 clients) for both ways together: d above
    ours in cases 1 and 2, for case 3's exchange is counted always.

    Parameters
    ----------
    theta : float
        θ > 0, how much of a descent direction p must be.
    phi : float
        φ > 0, the regularisation of cases 2 and 3.
    rho : float
        0 < ρ < 1, the line search's.
    quirks : {"none", "authors"} or None
        ``authors`` does as the FedNL authors' program, to reproduce its runs: steps of at most 1e-2 in the first four
        rounds, whatever the line search found, and 2⁻¹⁰ where it found none. None is "none".
    """
    least, most = within("theta", theta, 0.0, np.inf), within("rho", rho, 0.0, 1.0)
    return Dingo(least, within("phi", phi, 0.0, np.inf), most, quirks or "none")


@dataclass
class DingoServer:
    """What the server remembers: the iterate x and ∇f(x), None before the first round; shapes (d,), on the host."""

    x: Array
    gradient: Array | None


@dataclass
class DingoClients:
    """What clients remember: the last point and the last global gradient that they received, shapes (n, d)."""

    model: Array
    gradient: Array


@dataclass(frozen=True)
class Dingo(Method):
    """See :func:`dingo`."""

    theta: float
    phi: float
    rho: float
    quirks: Literal["none", "authors"]
    name: str = "dingo"

    def resolved(self, problem: Problem) -> Self:
        problem.check_hessians(self.name, of_clients=True)
        return self

    def parameters(self) -> dict[str, str | float]:
        return {"theta": self.theta, "phi": self.phi, "rho": self.rho, "quirks": self.quirks}

    def components(self) -> dict[str, str]:
        return {"sends": "∇f_i; H_i g, H_i†g and H̃_i†g̃; p_i in case 3; ∇f_i at a trial, each", "ridge": "clients"}

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], DingoClients]:
        return nothing_from(problem.clients), DingoClients(for_each(x0, problem), for_each(0.0 * x0, problem))

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> DingoServer:
        return DingoServer(to_host(x0), None)

    def round(self, server: DingoServer, exchange: Exchange, key: Key) -> DingoServer:
        x = server.x
        g = self._gradient_at(x, exchange, key) if server.gradient is None else server.gradient
        p, slope = self._direction(g, exchange, key)
        for step in STEPS:
            gradient = self._gradient_at(x + step * p, exchange, key)
            if gradient @ gradient <= g @ g + 2.0 * step * self.rho * slope:
                break
        else:
            if self.quirks == "none":
                raise NoStep(f"no step of 1, ½, …, {STEPS[-1]:g} along DINGO's direction shortens the gradient")
        if self.quirks == "authors" and key.round < _FIRST_ROUNDS and step > _FIRST_STEP:
            step = _FIRST_STEP
            gradient = self._gradient_at(x + step * p, exchange, key)
        return DingoServer(x + step * p, gradient)

    def _gradient_at(self, x: Array, exchange: Exchange, key: Key) -> Array:
        return mean(exchange(Announcement(key.round, {"model": Dense(x)}), _dim(x)), "gradient")

    def _direction(self, g: Array, exchange: Exchange, key: Key) -> tuple[Array, float]:
        """p and ⟨p, Hg⟩."""
        replies = exchange(Announcement(key.round, {"gradient": Dense(g)}), _dim(g))
        product = mean(replies, "product")
        for part in ("direction", "damped"):  # cases 1 and 2
            p = -mean(replies, part)
            if -(p @ product) >= self.theta * (g @ g):
                return p, float(p @ product)
        if not product.any():
            raise NoStep("∇²f ∇f = 0: the gradient's norm has no descent direction here")
        replies = exchange(Announcement(key.round, {"product": Dense(product)}), _dim(g))
        p = mean(replies, "direction")
        return p, float(p @ product)

    def respond(
        self, clients: DingoClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], DingoClients]:
        problem, parts = problem.with_local_ridge(), announcement.to_all
        if "model" in parts:
            x = received(parts["model"], problem)
            replies: list[Parts] = [{"gradient": message} for message in messages(finite(problem.at(x).gradient))]
            return replies, replace(clients, model=for_each(x, problem))
        point, clients_here = problem.at(clients.model[0, :]), range(len(problem.clients))
        if "gradient" in parts:
            g = received(parts["gradient"], problem)
            return [self._three(point, i, g) for i in clients_here], replace(clients, gradient=for_each(g, problem))
        g, product = clients.gradient[0, :], received(parts["product"], problem)
        return [{"direction": Dense(to_host(self._third(point, i, g, product)))} for i in clients_here], clients

    def _three(self, point: Point, i: int, g: Array) -> Parts:
        """H_i g, H_i†g and H̃_i†g̃ = (H_i² + φ²I)⁻¹H_i g, all from one eigendecomposition."""
        values, vectors = eigh(point.hessian(i))
        along = vectors.T @ g
        pseudo = _where_above(values, 1.0 / values)
        damped = values / (values**2 + self.phi * self.phi)
        three = {"product": values, "direction": pseudo, "damped": damped}
        return {part: Dense(to_host(vectors @ (scale * along))) for part, scale in three.items()}

    def _third(self, point: Point, i: int, g: Array, product: Array) -> Array:
        """p_i of case 3."""
        values, vectors = eigh(point.hessian(i))
        inverse = 1.0 / (values**2 + self.phi * self.phi)  # of H̃_iᵀH̃_i, in the eigenvectors' coordinates
        p = -(vectors @ (inverse * values * (vectors.T @ g)))
        steeper = vectors @ (inverse * (vectors.T @ product))
        lacking = self.theta * (g @ g) + p @ product
        xp = namespace(g)
        return p - xp.where(lacking > 0.0, lacking / (product @ steeper), xp.zeros_like(lacking)) * steeper


def _dim(x: Array) -> Sizes:
    return lambda part, clients, decoded: len(x)


def _where_above(values: Array, inverse: Array) -> Array:
    """`inverse` where the eigenvalue is one, and not a zero with rounding; 0 elsewhere."""
    xp = namespace(values)
    size = xp.abs(values)
    cutoff = values.shape[0] * float(np.finfo(np.float64).eps) * xp.max(size)
    return xp.where(size > cutoff, inverse, xp.zeros_like(inverse))
