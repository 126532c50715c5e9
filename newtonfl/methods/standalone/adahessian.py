"""AdaHessian (Yao, Gholami, Shen, Mustafa, Keutzer and Mahoney, AAAI 2021, arXiv 2006.00719): a running diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import ManyParts, Parts, Sizes, nothing_from
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.core.arguments import within
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.random import SERVER, Key
from newtonfl.methods.standalone.exact import mean, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem

Diagonal = Literal["exact", "probed"]


@method("adahessian")
def adahessian(
    *,
    eta: float = 0.15,
    diagonal: Diagonal = "exact",
    power: float = 1.0,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> AdaHessian:
    """AdaHessian: Adam whose second moment is that of the Hessian's diagonal D (arXiv 2006.00719).

        m ← β₁m + (1 - β₁)∇f,    v ← β₂v + (1 - β₂)D∘D,    x⁺ = x - η m̂/(v̂^{κ/2} + ε),

    all entry by entry, with m̂ = m/(1 - β₁ᵗ), v̂ = v/(1 - β₂ᵗ) in round t, counted from 1, and κ the ``power``. D is
    z∘(∇²f(x)z) for random signs z (Hutchinson; its expectation is the diagonal), or the diagonal itself: where a
    Hessian is Σ φ″ a aᵀ over rows it costs no more, and is the default here. The paper's averages over blocks belong
    to the layers of a network, and are not here.

    It has no line search and needs no bound on ∇f: η is a share of a Newton step with the diagonal alone. Linear for a
    strongly convex f and a small enough η, the slower the less of the Hessian its diagonal is. The ridge stands in
    every f_i.

    What is sent: x down, ∇f_i and D_i up, that is d down and 2d up. All draw the same z, from the run's seed, which
    travels in the set-up once.

    Parameters
    ----------
    eta : float
        η > 0.
    diagonal : {"exact", "probed"}
        Whether D is the diagonal, or z∘(∇²f z).
    power : float
        κ > 0: 1 divides by the diagonal, less by less of it.
    beta1 : float
        0 < β₁ < 1, how long the gradient is remembered.
    beta2 : float
        0 < β₂ < 1, how long the diagonal is.
    epsilon : float
        ε > 0, in f's unit over x's squared to the power κ.
    """
    return AdaHessian(
        within("eta", eta, 0.0, np.inf),
        diagonal,
        within("power", power, 0.0, np.inf),
        within("beta1", beta1, 0.0, 1.0),
        within("beta2", beta2, 0.0, 1.0),
        within("epsilon", epsilon, 0.0, np.inf),
    )


@dataclass
class AdaHessianServer:
    """What the server remembers, on the host: the iterate x and the moments m and v, shapes (d,)."""

    x: Array
    first: Array
    second: Array


@dataclass(frozen=True)
class AdaHessian(Method):
    """See :func:`adahessian`."""

    eta: float
    diagonal: Diagonal
    power: float
    beta1: float
    beta2: float
    epsilon: float
    name: str = "adahessian"

    def resolved(self, problem: Problem) -> Self:
        problem.check_convex(self.name)
        return self

    def parameters(self) -> dict[str, str | float]:
        moments = {"beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon}
        return {"eta": self.eta, "diagonal": self.diagonal, "power": self.power, **moments}

    def components(self) -> dict[str, str]:
        what = "diagonals of ∇²f_i" if self.diagonal == "exact" else "z∘(∇²f_i z), z of random signs"
        return {"sends": f"∇f_i and {what}", "ridge": "clients"}

    @property
    def shares_draws(self) -> bool:
        return self.diagonal == "probed"

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], None]:
        return nothing_from(problem.clients), None  # they remember nothing

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> AdaHessianServer:
        zeros = np.zeros(constants.dim)
        return AdaHessianServer(to_host(x0), zeros, zeros)

    def round(self, server: AdaHessianServer, exchange: Exchange, key: Key) -> AdaHessianServer:
        announcement = Announcement(key.round, {"model": Dense(server.x)})
        replies = exchange(announcement, lambda part, clients, decoded: len(server.x))
        m = self.beta1 * server.first + (1.0 - self.beta1) * mean(replies, "gradient")
        v = self.beta2 * server.second + (1.0 - self.beta2) * mean(replies, "diagonal") ** 2
        t = key.round + 1
        scale = (v / (1.0 - self.beta2**t)) ** (0.5 * self.power) + self.epsilon
        return AdaHessianServer(server.x - self.eta * (m / (1.0 - self.beta1**t)) / scale, m, v)

    def respond(
        self, clients: None, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], None]:
        problem = problem.with_local_ridge()
        point = problem.at(received(announcement.to_all["model"], problem))
        if self.diagonal == "exact":
            diagonals = point.hessian_diagonal()
        else:
            z = to_device(signs(key, problem.dim), problem.like)
            diagonals = z * point.hessian_product(z)
        columns = {"gradient": messages(point.gradient), "diagonal": messages(diagonals)}
        return ManyParts(columns, len(problem.clients)), None


def signs(key: Key, dim: int) -> Array:
    """The round's z, shape (d,): ±1, the same for every client."""
    return 2.0 * key.of(SERVER).to("signs").generator().integers(0, 2, dim) - 1.0
