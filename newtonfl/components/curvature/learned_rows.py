"""The curvature of Newton-Learn (Islamov, Qian and Richtárik, arXiv 2102.07158): φ″ is learned at every data row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from newtonfl.bases import Coordinates, Symmetric, TriangleCoordinates
from newtonfl.comm.messages import FLOAT_BITS, Dense, LowRank, Message
from newtonfl.comm.parts import Parts, column
from newtonfl.components.curvature.base import Curvature, CurvatureRound, HessianEstimate, with_ridge
from newtonfl.components.protocol import ProblemConstants, Replies
from newtonfl.core.backend import Array, namespace, to_device, to_host, zeros
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.core.symmetric import triangle
from newtonfl.mechanisms import Mechanism, Memory
from newtonfl.objectives.base import Point, Problem
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.point import Owner
from newtonfl.objectives.rows import DenseRows
from newtonfl.objectives.sparse_rows import SparseRows


@dataclass
class ServerRowsState:
    """The server's side of learned rows; arrays of shape (d(d + 1)/2,), packed triangles.

    Attributes
    ----------
    mean : array
        H = (1/n) Σ_i Σ_j h_ij a_ij a_ijᵀ.
    gram : array
        S = (1/n) Σ_i Σ_j w_ij a_ij a_ijᵀ, or 0 where the method has no use for it.
    coordinates : TriangleCoordinates
    """

    mean: Array
    gram: Array
    coordinates: TriangleCoordinates


@dataclass(frozen=True)
class NewtonLearn(Curvature[ServerRowsState, Memory]):
    """H_i = Σ_j h_ij a_ij a_ijᵀ with h_i ← [h_i + η C(h_i(z) - h_i)]₊: NL1's curvature (Algorithm 1).

    h_ij(z) = w_ij φ″(a_ijᵀz), w_ij the row's weight in f_i: 1/m on the papers' equal blocks. The clients keep h_i; the
    server receives the rows whose h_ij moved and by how much, and keeps H alone. The step uses H as it was before
    this round's message. Nobody may be away in a round.

    Parameters
    ----------
    mechanism : Mechanism
        EF21, of which the compressor and the rate η count. Rows are its coordinates.
    """

    mechanism: Mechanism
    sends: ClassVar[str] = "∇²f_i at the start, then its rows whose φ″ moved, and by how much"

    @property
    def shares_draws(self) -> bool:
        return self.mechanism.shares_draws

    def resolved(self, problem: Problem) -> Self:
        glm = _rows_and_loss(problem)
        self._check(glm)
        mechanism = self.mechanism.for_dimension(problem.dim)
        mechanism.check(Coordinates(np.diff(glm.rows.offsets)))
        return replace(self, mechanism=mechanism)

    def _check(self, problem: GLM) -> None:
        if problem.ridge.max() <= 0:
            raise ValueError("nl1 needs λ > 0, given l2 = 0: its matrix H + λI can be singular without. Use nl2")

    def parameters(self) -> dict[str, str | float]:
        return self.mechanism.preset_settings()

    def _kept(self, h: Array, problem: GLM) -> Array:
        """h with the positive part taken: a compressor may overshoot, and H must stay positive semidefinite."""
        return namespace(h).clip(h, 0.0, None)

    # -- clients

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], Memory]:
        point = problem.at(x0)
        setup_messages: Sequence[Parts] = [{"initial": message} for message in _each(point.hessians)]
        return setup_messages, self.mechanism.init_memory(_curvatures(point))

    def encode(self, state: Memory, context: CurvatureRound) -> tuple[Sequence[Parts], Memory]:
        problem = _rows_and_loss(context.point.problem)
        before, space = state.estimate, Coordinates(state.estimate.sizes)
        copy = Memory(before.replaced(before.values + 0.0), own=state.own)
        sent = self.mechanism.send(copy, _curvatures(context.point), space, problem.clients, context.key)
        after = before.replaced(self._kept(sent.memory.estimate.values, problem))
        # After the positive part: what the server adds is what h_i has rows_moved by.
        changes = Blocks(to_host((after - before).values), before.offsets)
        parts: list[Parts] = [
            {"curvature": _rows_message(problem, i, change, message)}
            for i, (change, message) in enumerate(zip(changes, sent.messages, strict=True))
        ]
        return parts, Memory(after, own=sent.memory.own)

    # -- the server

    def setup_sizes(self, dim: int, part: str, decoded: Sequence[Parts]) -> Array | int:
        return triangle(dim).size

    def reply_sizes(self, state: ServerRowsState, part: str, clients: Array) -> Array | int:
        return 1 if part == "bound" else state.coordinates.total_size

    def init_server(
        self, constants: ProblemConstants, setup_messages: Sequence[Parts], weights: Array
    ) -> ServerRowsState:
        coordinates = Symmetric(isometric=False).from_setup(constants.dim, setup_messages)
        nothing = zeros(coordinates.total_size, constants.like)
        mean = coordinates.accumulate(nothing, column(setup_messages, "initial"), weights)
        return ServerRowsState(mean, nothing, coordinates)

    def aggregate(
        self, state: ServerRowsState, replies: Replies, weights: Array, key: Key
    ) -> tuple[ServerRowsState, HessianEstimate]:
        hessian = HessianEstimate(state.coordinates.square(self._estimate(state, replies)), 0.0)
        mean = state.coordinates.accumulate(state.mean + 0.0, replies.messages("curvature"), weights)
        return replace(state, mean=mean), hessian

    def hessian_estimate(self, state: ServerRowsState, constants: ProblemConstants) -> Array:
        return with_ridge(state.coordinates.square(state.mean), constants)

    def _estimate(self, state: ServerRowsState, replies: Replies) -> Array:
        """The step's matrix, packed."""
        return state.mean


@dataclass(frozen=True)
class Majorised(NewtonLearn):
    """βA - 2γS ⪰ ∇²f(z), A = H + 2γS: the curvature of NL2 and CNL (Algorithms 2 and 3).

    β = max_ij (h_ij(z) + 2γw_ij)/(h_ij + 2γw_ij), of which client i sends its β_i; h_i moves without a positive part.
    The papers suppose abs(h_ij) ≤ γw_ij, which holds by itself for Rand-K and Top-K; h_ij is clipped there where
    another compressor overshoots, so that the bound always holds. S is sent once, at the set-up.

    Parameters
    ----------
    gamma : float
        γ ≥ φ″: the loss's bound, from the problem.
    """

    gamma: float = 0.0
    sends: ClassVar[str] = f"{NewtonLearn.sends}; Σ_j w_ij a_ij a_ijᵀ, once; β_i"

    def resolved(self, problem: Problem) -> Self:
        return replace(super().resolved(problem), gamma=_rows_and_loss(problem).loss.curvature_bound)

    def _check(self, problem: GLM) -> None:
        if not np.isfinite(problem.loss.curvature_bound):
            raise ValueError(f"NL2 needs a bound γ of φ″, and {problem.loss.formula} has none")

    def _kept(self, h: Array, problem: GLM) -> Array:
        most = self.gamma * problem.row_weights
        return namespace(h).clip(h, -most, most)

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], Memory]:
        setup_messages, state = super().init_clients(problem, x0, key)
        glm = _rows_and_loss(problem)
        grams = _each(glm.rows.grams(glm.row_weights))
        return [{**message, "gram": gram} for message, gram in zip(setup_messages, grams, strict=True)], state

    def encode(self, state: Memory, context: CurvatureRound) -> tuple[Sequence[Parts], Memory]:
        bounds = [Dense(bound) for bound in to_host(self._bounds(state.estimate, context.point))[:, None]]
        parts, state = super().encode(state, context)
        return [{**part, "bound": bound} for part, bound in zip(parts, bounds, strict=True)], state

    def _bounds(self, h: Blocks, point: Point) -> Array:
        """β_i of every client, shape (n,); 0 where no row has a weight."""
        xp, weights = namespace(h.values), _rows_and_loss(point.problem).row_weights
        counts = weights > 0
        least = xp.where(counts, h.values + 2.0 * self.gamma * weights, 1.0)
        ratios = xp.where(counts, (_curvatures(point).values + 2.0 * self.gamma * weights) / least, 0.0)
        return xp.stack([xp.max(xp.concat([block, zeros(1, block)])) for block in h.replaced(ratios)])

    def init_server(
        self, constants: ProblemConstants, setup_messages: Sequence[Parts], weights: Array
    ) -> ServerRowsState:
        state = super().init_server(constants, setup_messages, weights)
        grams = column(setup_messages, "gram")
        return replace(state, gram=state.coordinates.accumulate(state.gram, grams, weights))

    def _estimate(self, state: ServerRowsState, replies: Replies) -> Array:
        beta = float(replies.scalars("bound").max())
        return beta * state.mean + 2.0 * self.gamma * (beta - 1.0) * state.gram  # = βA - 2γS


def _rows_and_loss(problem: Owner) -> GLM:
    """The problem, if it has rows."""
    if not isinstance(problem, GLM):
        raise ValueError(
            f"Newton-Learn learns φ″ at every data row, and {problem.objective} has no rows with a loss of one margin"
        )
    return problem


def _curvatures(point: Point) -> Blocks:
    """w_ij φ″(a_ijᵀz) of every client's rows."""
    return Blocks(point.curvatures, _rows_and_loss(point.problem).rows.offsets)  # type: ignore[attr-defined]


def _each(packed: Blocks) -> Sequence[Message]:
    """A message for every client's packed triangle."""
    return [Dense(values) for values in Blocks(to_host(packed.values), packed.offsets)]


def _rows_message(problem: GLM, i: int, change: Array, sent: Message) -> Message:
    """Σ_j change_j a_ij a_ijᵀ of the i-th client held here, of whose rows the compressor has `sent` some.

    The rows that moved, each times √abs(change_j), where they are no more numbers than the matrix; else the matrix.
    The papers count the compressor's bits, and d numbers for each row that it chose, moved or not.
    """
    rows_moved, dim = np.flatnonzero(change), problem.dim
    indices, _ = sent.coordinates()
    counted = FLOAT_BITS * dim * (len(rows_moved) if indices is None else len(indices)) + sent.formula_bits
    bits = min(counted, FLOAT_BITS * triangle(dim).size)
    rows, by = _host_rows(problem, i, rows_moved), change[rows_moved]
    if 2 * len(rows_moved) <= dim:
        return LowRank(np.sqrt(np.abs(by))[:, None] * rows, np.sign(by), formula_bits=bits)
    return Dense(((rows.T * by) @ rows).ravel()[triangle(dim).upper], formula_bits=bits)


def _host_rows(problem: GLM, i: int, chosen: Array) -> Array:
    """Some rows of the i-th client held here as a dense NumPy array, shape (chosen, d)."""
    rows = problem.rows
    if isinstance(rows, SparseRows):
        return rows.block(i)[chosen].toarray()
    assert isinstance(rows, DenseRows)
    block = rows.block(i)
    return to_host(namespace(block).take(block, to_device(chosen, block), axis=0))
