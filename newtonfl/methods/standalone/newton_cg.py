"""Newton-CG: Newton's system solved on the server by conjugate gradients, whose products the clients compute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from newtonfl.comm.messages import Dense
from newtonfl.comm.parts import ManyParts, Parts, Received, Sizes, nothing_from
from newtonfl.components.protocol import Announcement, Exchange, Method, ProblemConstants
from newtonfl.components.step.backtracking import Backtracking
from newtonfl.components.step.trials import finite
from newtonfl.core.arguments import whole
from newtonfl.core.backend import Array, to_host
from newtonfl.core.random import Key
from newtonfl.kernels import conjugate_gradients
from newtonfl.methods.standalone.exact import for_each, mean, messages, received
from newtonfl.methods.typed import method
from newtonfl.objectives.base import Problem

Preconditioned = Literal["none", "jacobi"]

_ETA = 0.5
_FAR = 1e10
_GAMMA, _ALPHA = 0.9, (1.0 + math.sqrt(5.0)) / 2.0


@method("newton-cg")
def newton_cg(
    *,
    preconditioner: Preconditioned = "none",
    products: int = 200,
    line_search: int = 5,
    armijo: float = 1e-4,
    backtrack: float = 0.5,
) -> NewtonCG:
    """Newton-CG: x⁺ = x + γˢp with ‖∇²f(x)p + ∇f(x)‖ ≤ η‖∇f(x)‖ by conjugate gradients. Only vectors travel.

    The server runs conjugate gradients, and an exchange a step asks the clients for ∇²f_i(x)v: the scheme of DiSCO
    (Zhang and Xiao, ICML 2015, arXiv 1501.00263), whose preconditioner, one client's Hessian, this is not, nor its
    damping: p is searched by backtracking, as in Algorithm 7.1 (line search Newton-CG) of Nocedal and Wright, Numerical
    Optimization, 2nd edition. Right for very many columns, and from anywhere.

    η is the second choice of Eisenstat and Walker (SIAM J. Sci. Comput. 17, 1996), ½ at first and then
    0.9 (‖∇f(x^k)‖/‖∇f(x^{k-1})‖)^1.618, at most ½, and not much below the last: no unit of f or x matters. No system is
    solved beyond half the ‖∇f‖ at which the solve ends, as in C. T. Kelley's program nsola. With such η the rate is
    superlinear where ∇²f(x*) is positive definite. Where ∇²f is singular along a direction, p is long and the
    search says how far.

    What is sent: x down, f_i and ∇f_i up, and with ``preconditioner=jacobi`` the diagonal of ∇²f_i; d down and d up a
    product; p down, the values at x and all trial steps up. With c products that is (c + 2)d + 1 down, and (c + 1)d or
    (c + 2)d numbers and `line_search` + 2 up. The ridge is the server's.

    Parameters
    ----------
    preconditioner : {"none", "jacobi"}
        Whether the system is scaled by the diagonal of ∇²f: for columns of different scales.
    products : int
        The most products of a round.
    line_search : int
        How many trial steps one exchange asks for, at least 1; where none will do, the next as many are asked for.
    armijo : float
        c in (0, ½], the share of the predicted decrease that a step must reach.
    backtrack : float
        γ: a trial step is γ times the one before.
    """
    return NewtonCG(preconditioner, whole("products", products), Backtracking(armijo, backtrack, line_search))


@dataclass(frozen=True)
class NewtonCGServer:
    """What the server remembers, on the host.

    Attributes
    ----------
    x : numpy.ndarray, shape (d,)
        The iterate.
    constants : ProblemConstants
        With the ‖∇f‖ at which the solve ends.
    norm, eta : float
        ‖∇f‖ and η of the round before; nan and ½ before the first.
    """

    x: Array
    constants: ProblemConstants
    norm: float = math.nan
    eta: float = _ETA


@dataclass
class NewtonCGClients:
    """What clients remember: the iterate that they received, shape (n, d)."""

    model: Array


@dataclass(frozen=True)
class NewtonCG(Method):
    """See :func:`newton_cg`."""

    preconditioner: Preconditioned
    products: int
    search: Backtracking
    name: str = "newton-cg"

    def resolved(self, problem: Problem) -> Self:
        problem.check_convex(self.name)
        return self

    def parameters(self) -> dict[str, str | float]:
        return {"preconditioner": self.preconditioner, "products": self.products, **self.search.parameters()}

    def components(self) -> dict[str, str]:
        return {"sends": "f_i and ∇f_i; ∇²f_i times a vector, each; f_i at trial steps", "ridge": "server"}

    def setup_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: dim

    def announcement_sizes(self, dim: int) -> Sizes:
        return lambda part, clients, decoded: 1 if part == "trials" else dim

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], NewtonCGClients]:
        return nothing_from(problem.clients), NewtonCGClients(for_each(x0, problem))

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> NewtonCGServer:
        return NewtonCGServer(to_host(x0), constants)

    def round(self, server: NewtonCGServer, exchange: Exchange, key: Key) -> NewtonCGServer:
        x, ridge = server.x, server.constants.ridge
        length = {"value": 1, "trials": 1 + self.search.trials}

        def ask(**vectors: Array) -> dict[str, Array]:
            announcement = Announcement(key.round, {part: Dense(vector) for part, vector in vectors.items()})
            replies = exchange(announcement, lambda part, clients, decoded: length.get(part, len(x)))
            return Received({part: mean(replies, part) for part in replies.parts[0]}, f"round {key.round}, the replies")

        def product(v: Array) -> Array:
            return ask(direction=v)["product"] + ridge * v

        def values(first: int) -> Array:
            trials = x + self.search.steps(first)[:, None] * p
            found = ask(direction=p, trials=np.array([float(first)]))["trials"]
            return found + 0.5 * np.sum(ridge * trials**2, axis=1)

        at_x = ask(model=x)
        g = at_x["gradient"] + ridge * x
        norm = float(np.linalg.norm(g))
        if norm == 0.0:
            return server
        eta = max(forcing(norm, server.norm, server.eta), min(_ETA, 0.5 * server.constants.tol / norm))
        diagonal = self._diagonal(at_x, ridge)
        p, flat = conjugate_gradients(product, g, eta, self.products, lambda r: r / diagonal)
        p = -(p if flat is None else p + _far_along(flat, p))
        step = self.search.search(float(g @ p), values)
        return replace(server, x=x + step * p, norm=norm, eta=eta)

    def _diagonal(self, at_x: dict[str, Array], ridge: Array) -> Array:
        """The preconditioner's; 1 where ∇²f has none."""
        if self.preconditioner == "none":
            return np.ones_like(ridge)
        diagonal = at_x["diagonal"] + ridge
        return np.where(diagonal > 0.0, diagonal, 1.0)

    def respond(
        self, clients: NewtonCGClients, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], NewtonCGClients]:
        parts = announcement.to_all
        if "model" in parts:
            x = received(parts["model"], problem)
            point = problem.at(x)
            columns = {"value": point.value[:, None], "gradient": point.gradient}
            if self.preconditioner == "jacobi":
                columns["diagonal"] = point.hessian_diagonal()
            return _replies(columns), replace(clients, model=for_each(x, problem))
        point = problem.at(clients.model[0, :])
        direction = received(parts["direction"], problem)
        if "trials" not in parts:
            return _replies({"product": point.hessian_product(direction)}), clients
        steps = self.search.steps(int(parts["trials"].coordinates()[1][0]))
        return _replies({"trials": finite(point.value_along(direction, steps.tolist()))}), clients


def _far_along(flat: Array, p: Array) -> Array:
    """What to add to `p` where the model has no curvature along `flat`: it has no minimiser there, and f may have one.

    The line search says how far. It is so long that the search comes back from it, and does not have to go on.
    """
    return _FAR * max(1.0, float(np.linalg.norm(p))) / float(np.linalg.norm(flat)) * flat


def forcing(norm: float, before: float, eta: float) -> float:
    """η of a round from ‖∇f‖ of this and the last, and the last η."""
    if math.isnan(before):
        return _ETA
    fresh, least = _GAMMA * math.pow(norm / before, _ALPHA), _GAMMA * math.pow(eta, _ALPHA)
    return min(_ETA, max(fresh, least if least > 0.1 else 0.0))


def _replies(tables: dict[str, Array]) -> Sequence[Parts]:
    columns = {part: messages(table) for part, table in tables.items()}
    return ManyParts(columns, len(next(iter(columns.values()))))
