"""Every client's own BFGS matrix as a curvature: two vectors move it at both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from newtonfl.comm.messages import Batch, Dense, Message, Nothing
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.curvature.base import Curvature, CurvatureRound, HessianEstimate, with_ridge
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.core.backend import Array, eye, namespace, to_device, to_host, zeros
from newtonfl.core.random import Key
from newtonfl.objectives.base import Problem

_LEAST = 1e-10
"""Of tr(B_i)‖s‖²: where sᵀB_i s is no larger, taking away B_i s leaves rounding."""
_SLACK = 1e-6
"""L_i yᵀs ≥ ‖y‖² for a convex f_i with an L_i-Lipschitz gradient; a y that fails by more is rounding."""


@dataclass
class ClientBFGSState:
    """What clients remember.

    Attributes
    ----------
    bounds : numpy.ndarray, shape (n,)
        L_i.
    matrices : array, shape (n, d, d)
        B_i.
    points, gradient : array, shape (n, d)
        z_i, where the client looked last, and ∇f_i there.
    """

    bounds: Array
    matrices: Array
    points: Array
    gradient: Array


@dataclass(frozen=True)
class ClientBFGS(Curvature[Array, ClientBFGSState]):
    """B_i ← B_i + yyᵀ/(yᵀs) - qqᵀ/(sᵀq) with s = z - z_i, y = ∇f_i(z) - ∇f_i(z_i) and q = B_i s, from B_i⁰ = L_i I.

    BFGS of every client's own function (DAve-QN, arXiv 1906.00506, from memory). A reply holds y/√(yᵀs) and q/√(sᵀq),
    with which both ends move B_i alike; nothing where y or sᵀq is no more than rounding: of a convex f_i, L_i yᵀs ≥
    ‖y‖². The server keeps the mean of the B_i, positive definite up to rounding; the L_i come in the set-up.
    """

    sends: ClassVar[str] = "how ∇f_i has changed, and B_i times that step; L_i, once"
    keeps_matrices = True

    def parameters(self) -> dict[str, str | float]:
        return {}

    def numbers_per_client(self, problem: Problem) -> float:
        return float(problem.dim) ** 2

    def resolved(self, problem: Problem) -> ClientBFGS:
        _ = problem.client_smoothness  # says where it is not known
        problem.check_hessians("dave-qn", of_clients=True, copies=4)  # whole matrices, and new ones beside them
        return self

    def setup_sizes(self, dim: int, part: str, decoded: Sequence[Parts]) -> int:
        return 1

    def reply_sizes(self, state: Array, part: str, clients: Array) -> int:
        return 2 * int(state.shape[0])

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], ClientBFGSState]:
        n, inside = len(problem.clients), problem.local_ridge
        first = np.asarray(problem.client_smoothness, np.float64)
        first = first + (0.0 if inside is None else float(np.max(to_host(inside))))
        matrices = _multiples(to_device(first, x0), problem.dim)
        points = namespace(x0).broadcast_to(x0, (n, problem.dim)) + 0.0
        bounds = Batch(Dense, np.ones(n, np.int64), first)
        return ManyParts({"constant": bounds}, n), ClientBFGSState(first, matrices, points, zeros((n, problem.dim), x0))

    def init_server(self, constants: ProblemConstants, setup_messages: Sequence[Parts], weights: Array) -> Array:
        first = Replies(np.arange(constants.n_clients), setup_messages).scalars("constant")
        return _multiples(to_device(np.array([weights @ first]), constants.like), constants.dim)[0, :, :]

    def encode(self, state: ClientBFGSState, context: CurvatureRound) -> tuple[Sequence[Parts], ClientBFGSState]:
        point, xp = context.point, namespace(state.points)
        z, gradient = xp.broadcast_to(point.x, state.points.shape) + 0.0, point.gradient + 0.0
        n = len(context.point.problem.clients)
        if context.round == 0:  # z_i is z: nothing is known yet
            silent: list[Message] = [Nothing() for _ in range(n)]
            return ManyParts({"curvature": silent}, n), replace(state, points=z, gradient=gradient)
        s, y = z - state.points, gradient - state.gradient
        q = xp.matmul(state.matrices, s[:, :, None])[:, :, 0]
        a, b, squares = (to_host(xp.sum(u * v, axis=1)) for u, v in ((y, s), (s, q), (y, y)))
        traces = to_host(xp.linalg.trace(state.matrices) * xp.sum(s * s, axis=1))
        moves = (a > 0.0) & (state.bounds * a >= (1.0 - _SLACK) * squares) & (b > _LEAST * traces)
        y, q = (v / to_device(np.sqrt(np.where(moves, scale, np.inf)), v)[:, None] for v, scale in ((y, a), (q, b)))
        rows = to_host(xp.concat([y, q], axis=1))
        messages: list[Message] = [Dense(row) if move else Nothing() for row, move in zip(rows, moves, strict=True)]
        matrices = state.matrices + y[:, :, None] * y[:, None, :] - q[:, :, None] * q[:, None, :]
        return ManyParts({"curvature": messages}, n), ClientBFGSState(state.bounds, matrices, z, gradient)

    def aggregate(self, state: Array, replies: Replies, weights: Array, key: Key) -> tuple[Array, HessianEstimate]:
        messages = replies.messages("curvature")
        news = [(w, *_parts(message)) for w, message in zip(weights, messages, strict=True) if message.count]
        if news:
            w, y, q = (np.stack(column) for column in zip(*news, strict=True))
            change = (y * w[:, None]).T @ y - (q * w[:, None]).T @ q
            state = state + to_device(change, state)
        return state, HessianEstimate(state, 0.0)

    def hessian_estimate(self, state: Array, constants: ProblemConstants) -> Array:
        return with_ridge(state, constants)

    def hessian_product(self, state: ClientBFGSState, context: CurvatureRound, i: int, v: Array) -> Array:
        return state.matrices[i, :, :] @ v

    def hessian_product_change(
        self, before: ClientBFGSState, after: ClientBFGSState, context: CurvatureRound, parts: Parts, i: int, v: Array
    ) -> Array:
        return _product(parts["curvature"], v)

    def server_product_change(self, before: Array, after: Array, replies: Replies, j: int, v: Array) -> Array:
        return _product(replies.parts[j]["curvature"], v)


def _multiples(numbers: Array, d: int) -> Array:
    """The identity times each of the `numbers` (n,), shape (n, d, d)."""
    return namespace(numbers).where(eye(d, numbers)[None, :, :], numbers[:, None, None], zeros((), numbers))


def _parts(message: Message) -> tuple[Array, Array]:
    """(y/√(yᵀs), q/√(sᵀq)) of a message."""
    numbers = message.coordinates()[1]
    d = len(numbers) // 2
    return numbers[:d], numbers[d:]


def _product(message: Message, v: Array) -> Array:
    """What a message adds to B_i v."""
    if not message.count:
        return 0.0 * v
    y, q = (to_device(vector, v) for vector in _parts(message))
    return y * (y @ v) - q * (q @ v)
