"""Every client's own BFGS matrix as a curvature: two vectors move it at both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from newtonfl.comm.messages import Batch, Dense, Message, Nothing
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.components.curvature.base import Curvature, CurvatureRound, HessianEstimate, with_ridge
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.core.backend import Array, eye, namespace, to_device, to_host, zeros
from newtonfl.core.random import Key
from newtonfl.objectives.base import Problem

_LEAST = 1e-12
"""Of ‖y‖‖s‖: a yᵀs that is no larger is rounding, and moves nothing."""


@dataclass
class ClientBFGSState:
    """What clients remember.

    Attributes
    ----------
    matrices : array, shape (n, d, d)
        B_i.
    points, gradient : array, shape (n, d)
        z_i, where the client looked last, and ∇f_i there.
    """

    matrices: Array
    points: Array
    gradient: Array


@dataclass(frozen=True)
class ClientBFGS(Curvature[Array, ClientBFGSState]):
    """B_i ← B_i + yyᵀ/(yᵀs) - qqᵀ/(sᵀq) with s = z - z_i, y = ∇f_i(z) - ∇f_i(z_i) and q = B_i s, from B_i⁰ = L_i I.

    BFGS of every client's own function (DAve-QN, arXiv 1906.00506, from memory). A reply holds y, q, yᵀs and sᵀq, with
    which both ends move B_i alike; nothing where yᵀs is not above 0 by more than rounding. The server keeps the mean of
    the B_i, which is positive definite, and the L_i come in the set-up, a number each.
    """

    sends: ClassVar[str] = "how ∇f_i has changed, and B_i times that step; L_i, once"
    keeps_matrices = True

    def parameters(self) -> dict[str, str | float]:
        return {}

    def numbers_per_client(self, problem: Problem) -> float:
        return float(problem.dim) ** 2

    def resolved(self, problem: Problem) -> ClientBFGS:
        _ = problem.client_smoothness  # says where it is not known
        return self

    def setup_sizes(self, dim: int, part: str, decoded: Sequence[Parts]) -> int:
        return 1

    def reply_sizes(self, state: Array, part: str, clients: Array) -> int:
        return 2 * int(state.shape[0]) + 2

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], ClientBFGSState]:
        n, inside = len(problem.clients), problem.local_ridge
        first = np.asarray(problem.client_smoothness, np.float64)
        first = first + (0.0 if inside is None else float(np.max(to_host(inside))))
        matrices = _multiples(to_device(first, x0), problem.dim)
        points = namespace(x0).broadcast_to(x0, (n, problem.dim)) + 0.0
        bounds = Batch(Dense, np.ones(n, np.int64), first)
        return ManyParts({"constant": bounds}, n), ClientBFGSState(matrices, points, zeros((n, problem.dim), x0))

    def init_server(self, constants: ProblemConstants, setup_messages: Sequence[Parts], weights: Array) -> Array:
        first = Replies(np.arange(constants.n_clients), setup_messages).scalars("constant")
        return _multiples(to_device(np.array([weights @ first]), constants.like), constants.dim)[0, :, :]

    def encode(self, state: ClientBFGSState, context: CurvatureRound) -> tuple[Sequence[Parts], ClientBFGSState]:
        point, xp = context.point, namespace(state.points)
        z, gradient = xp.broadcast_to(point.x, state.points.shape) + 0.0, point.gradient + 0.0
        n = len(context.point.problem.clients)
        if context.round == 0:  # z_i is z: nothing is known yet
            silent: list[Message] = [Nothing() for _ in range(n)]
            return ManyParts({"curvature": silent}, n), ClientBFGSState(state.matrices, z, gradient)
        s, y = z - state.points, gradient - state.gradient
        q = xp.matmul(state.matrices, s[:, :, None])[:, :, 0]
        a, b = to_host(xp.sum(y * s, axis=1)), to_host(xp.sum(s * q, axis=1))
        sizes = to_host(xp.linalg.vector_norm(y, axis=1) * xp.linalg.vector_norm(s, axis=1))
        moves = (a > _LEAST * sizes) & (b > 0.0)
        rows = np.column_stack([to_host(y), to_host(q), a, b])
        messages: list[Message] = [Dense(row) if move else Nothing() for row, move in zip(rows, moves, strict=True)]
        a, b = (to_device(np.where(moves, scale, np.inf), y)[:, None, None] for scale in (a, b))
        matrices = state.matrices + y[:, :, None] * y[:, None, :] / a - q[:, :, None] * q[:, None, :] / b
        return ManyParts({"curvature": messages}, n), ClientBFGSState(matrices, z, gradient)

    def aggregate(self, state: Array, replies: Replies, weights: Array, key: Key) -> tuple[Array, HessianEstimate]:
        messages = replies.messages("curvature")
        news = [(w, *_parts(message)) for w, message in zip(weights, messages, strict=True) if message.count]
        if news:
            w, y, q, a, b = (np.stack(column) for column in zip(*news, strict=True))
            change = (y * (w / a)[:, None]).T @ y - (q * (w / b)[:, None]).T @ q
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


def _parts(message: Message) -> tuple[Array, Array, float, float]:
    """(y, q, yᵀs, sᵀq) of a message."""
    numbers = message.coordinates()[1]
    d = len(numbers) // 2 - 1
    return numbers[:d], numbers[d : 2 * d], float(numbers[-2]), float(numbers[-1])


def _product(message: Message, v: Array) -> Array:
    """What a message adds to B_i v."""
    if not message.count:
        return 0.0 * v
    y, q, a, b = _parts(message)
    y, q = to_device(y, v), to_device(q, v)
    return y * ((y @ v) / a) - q * ((q @ v) / b)
