"""Bases: coordinates keep the norm that they promise, give the matrix back, and are understood by the server."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from cases import BASES, COMPRESSORS, DIM, as_dense, carried, dense_glm, points, sparse_glm, vectors

from newtonfl.bases import Coordinates, Support, Symmetric, TriangleCoordinates, equal_blocks
from newtonfl.blocks import Blocks
from newtonfl.compressors import Compressor, Identity, RankR, TopK
from newtonfl.keys import Key
from newtonfl.messages import Dense, LowRank, Nothing, Sparse
from newtonfl.triangle import triangle
from newtonfl.wire import Kind, Packet, decode, encode

FULL = triangle(DIM).size
EACH = pytest.mark.parametrize("name", BASES)
WHOLE = pytest.mark.parametrize("name", ["symmetric", "symmetric-plain"])


def hessians(problem, x) -> np.ndarray:
    """Every client's dense Hessian, shape (n, d, d)."""
    return np.stack([problem.at(x).hessian(i) for i in range(problem.n_clients)])


def greeted(name: str, problem) -> TriangleCoordinates:
    """The server's coordinates, from greetings that went over the wire."""
    basis, ours = BASES[name], BASES[name].of(problem)
    heard = []
    for i in range(problem.n_clients):
        sent = encode(Packet(Kind.GREETING, 0, i, 0, ours.greeting(i)))
        packet, _ = decode(memoryview(sent), lambda part, client, before: basis.sizes(problem.dim, part, before))
        heard.append(packet.parts)
    return basis.heard(problem.dim, heard)


@EACH
def test_the_norm_is_the_frobenius_norm(name):
    """Of every client; and where coordinates are isometric it is the 2-norm of the coordinates themselves."""
    problem = sparse_glm()
    coordinates = BASES[name].of(problem)
    for x in points(problem, 3):
        told, frobenius = coordinates.coefficients(problem.at(x)), np.linalg.norm(hessians(problem, x), axis=(1, 2))
        np.testing.assert_allclose(coordinates.norms(told), frobenius, rtol=1e-13)
        if name != "symmetric-plain":
            np.testing.assert_allclose([np.linalg.norm(vector) for vector in told], frobenius, rtol=1e-13)
        spectral = np.linalg.norm(hessians(problem, x), 2, axis=(1, 2))
        np.testing.assert_allclose(coordinates.spectral_norms(told), spectral, rtol=1e-12, atol=1e-15)
        negative = told.replaced(-told.values)
        np.testing.assert_allclose(coordinates.spectral_norms(negative), spectral, rtol=1e-12, atol=1e-15)


def test_plain_coordinates_are_the_entries():
    """Row by row of the upper triangle, the diagonal included; isometric ones are √2 times that off the diagonal."""
    problem = dense_glm()
    x = points(problem, 1)[0]
    rows, columns = np.triu_indices(DIM)
    entries = hessians(problem, x)[:, rows, columns]
    scale = np.where(rows == columns, 1.0, np.sqrt(2))
    plain, scaled = (BASES[name].of(problem).coefficients(problem.at(x)) for name in ("symmetric-plain", "symmetric"))
    np.testing.assert_array_equal(plain.values, entries.ravel())
    np.testing.assert_array_equal(scaled.values, (entries * scale).ravel())


@EACH
def test_the_matrix_comes_back_from_its_coordinates(name):
    """matrix() inverts coefficients(), and is exactly symmetric; any vector of coordinates is some matrix."""
    problem = sparse_glm()
    coordinates = BASES[name].of(problem)
    for x in points(problem, 2):
        told, whole = coordinates.coefficients(problem.at(x)), hessians(as_dense(problem), x)
        for i in range(problem.n_clients):
            matrix = coordinates.matrix(i, told[i])
            np.testing.assert_allclose(matrix, whole[i], rtol=0, atol=1e-12)
            np.testing.assert_array_equal(matrix, matrix.T)
    draw = np.random.default_rng(0)
    one, other = vectors(coordinates, draw), vectors(coordinates, draw)
    for i in range(problem.n_clients):  # a linear map that keeps the inner product, or the entries
        a, b = coordinates.matrix(i, one[i]), coordinates.matrix(i, other[i])
        np.testing.assert_allclose(coordinates.matrix(i, one[i] + 2 * other[i]), a + 2 * b, atol=1e-13)
        if name != "symmetric-plain":
            assert np.sum(a * b) == pytest.approx(one[i] @ other[i], abs=1e-12)


@EACH
def test_the_server_learns_the_coordinates_from_the_greetings(name):
    """Sizes and supports come back; a support counts nothing in the papers' formulas."""
    problem = sparse_glm()
    ours, theirs = BASES[name].of(problem), greeted(name, problem)
    assert theirs.sizes.tolist() == ours.sizes.tolist() and theirs.dim == DIM
    assert (theirs.isometric, theirs.diagonal) == (ours.isometric, ours.diagonal)
    assert theirs.total_size == FULL
    if name.startswith("support"):
        for i in range(problem.n_clients):
            np.testing.assert_array_equal(theirs.supports[i], problem.support(ours.diagonal)[i])
            assert ours.greeting(i)["support"].formula_bits == 0
    else:
        assert theirs.supports is None and ours.greeting(0) == {}


def test_what_follows_a_support_has_its_length():
    """An initial Hessian has as many coordinates as the support told before it; a support fits in d(d+1)/2."""
    problem = sparse_glm()
    support = Support().of(problem).greeting(0)
    assert Support().sizes(DIM, "support", {}) == FULL
    assert Support().sizes(DIM, "initial", support) == len(problem.support(False)[0])
    assert Symmetric().sizes(DIM, "initial", {}) == FULL


@EACH
@pytest.mark.parametrize("weights", [np.full(4, 0.25), np.array([0.1, 0.2, 0.3, 0.4])], ids=["equal", "unequal"])
def test_the_server_adds_the_clients_hessians(name, weights):
    """Σ weight_i ∇²f_i from dense messages in every client's own coordinates."""
    problem = sparse_glm()
    x, ours, theirs = points(problem, 1)[0], BASES[name].of(problem), greeted(name, problem)
    told = [carried(Dense(vector), len(vector)) for vector in ours.coefficients(problem.at(x))]
    total = theirs.accumulate(np.zeros(FULL), told, weights)
    expected = np.tensordot(weights, hessians(as_dense(problem), x), 1)
    np.testing.assert_allclose(theirs.square(total), expected, rtol=0, atol=1e-12)


@EACH
def test_clients_and_server_place_sparse_messages_alike(name):
    """Some coordinates of each client, at a rate of its own: the server's sum is that of the clients' matrices."""
    problem = sparse_glm()
    ours, theirs, draw = BASES[name].of(problem), greeted(name, problem), np.random.default_rng(0)
    start = vectors(ours, draw)
    messages = []
    for size in ours.sizes:
        indices = np.flatnonzero(draw.random(size) < 0.5)
        messages.append(Sparse(indices, draw.standard_normal(len(indices))))
    messages[2] = Nothing()
    rates, weights = np.array([1.0, 0.5, 0.25, 0.125]), np.array([0.5, 0.25, 0.125, 0.125])
    moved = ours.add(start.replaced(start.values.copy()), messages, rates)
    for i, message in enumerate(messages):
        indices, values = message.coordinates()
        expected = start[i].copy()
        expected[indices] += rates[i] * values
        np.testing.assert_array_equal(moved[i], expected)
    total = theirs.accumulate(np.zeros(FULL), messages, weights * rates)
    steps = [ours.matrix(i, moved[i]) - ours.matrix(i, start[i]) for i in range(4)]
    np.testing.assert_allclose(theirs.square(total), np.tensordot(weights, steps, 1), atol=1e-13)


@WHOLE
def test_a_rank_message_tells_its_matrix(name):
    """told() gives the matrix's coordinates, and so do the client's and the server's way of receiving it."""
    problem = dense_glm()
    coordinates, draw = BASES[name].of(problem), np.random.default_rng(0)
    messages = [LowRank(draw.standard_normal((2, DIM)), np.array([1.0, -1.0])) for _ in range(4)]
    for message in messages:
        indices, values = coordinates.told(message)
        assert indices is None
        np.testing.assert_allclose(coordinates.matrix(0, values), message.matrix(), rtol=1e-15, atol=1e-15)
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    total = coordinates.accumulate(np.zeros(FULL), messages, weights)
    expected = np.tensordot(weights, [message.matrix() for message in messages], 1)
    np.testing.assert_allclose(coordinates.square(total), expected, atol=1e-14)
    start = vectors(coordinates, draw)
    moved = coordinates.add(start.replaced(start.values.copy()), messages, weights)
    for i, message in enumerate(messages):
        step = coordinates.matrix(i, moved[i]) - coordinates.matrix(i, start[i])
        np.testing.assert_allclose(step, weights[i] * message.matrix(), atol=1e-14)


@dataclass(frozen=True)
class Projected(Compressor):
    """A matrix compressor that draws: X q qᵀ X for a random q."""

    acts_on = "symmetric"

    def contract(self, size):
        raise NotImplementedError

    def compress(self, v, key):
        return LowRank((v @ key.generator().standard_normal(len(v)))[None, :], np.ones(1))


@WHOLE
@pytest.mark.parametrize("compressor", [RankR(2), Projected()], ids=["rank", "random"])
def test_a_matrix_compressor_sees_the_matrix(name, compressor):
    """It is handed the matrix that a client's vector stands for, under the client's own key."""
    coordinates, clients = BASES[name].of(dense_glm()), np.array([4, 7, 8, 11])
    blocks = vectors(coordinates, np.random.default_rng(0))
    for i, message in enumerate(coordinates.compress(compressor, blocks, clients, Key(0))):
        expected = compressor.compress(coordinates.matrix(i, blocks[i]), Key(0).of(clients[i]))
        np.testing.assert_array_equal(message.vectors, expected.vectors)
        np.testing.assert_array_equal(message.signs, expected.signs)


@EACH
@pytest.mark.parametrize("kind", [kind for kind, compressor in COMPRESSORS.items() if compressor.acts_on == "vector"])
def test_vector_compressors_see_each_clients_coordinates(name, kind):
    """One message a client, made of its own vector under its own key; a dense one counts the whole triangle."""
    coordinates, compressor = BASES[name].of(sparse_glm()), COMPRESSORS[kind]
    blocks, clients = vectors(coordinates, np.random.default_rng(0)), np.array([4, 7, 8, 11])
    messages = coordinates.compress(compressor, blocks, clients, Key(5))
    for vector, client, message in zip(blocks, clients, messages, strict=True):
        (i, told), (j, expected) = (m.coordinates() for m in (message, compressor.compress(vector, Key(5).of(client))))
        assert np.array_equal(told, expected) and np.array_equal(i, j)
        assert message.formula_bits == 32 * (FULL if kind == "identity" else compressor.k)


@EACH
def test_diagonal_matrices(name):
    """diag(v) in every client's coordinates, where these hold the diagonal."""
    coordinates, diagonal = BASES[name].of(sparse_glm()), np.arange(1.0, DIM + 1)
    if not coordinates.diagonal:
        coordinates = BASES[name].with_diagonal().of(sparse_glm())
    blocks = coordinates.diagonal_blocks(diagonal, np.zeros(0))
    for i in range(4):
        np.testing.assert_array_equal(coordinates.matrix(i, blocks[i]), np.diag(diagonal))


def test_bases_with_the_diagonal():
    """Support gains it; the whole triangle has it."""
    assert Support().with_diagonal() == Support(diagonal=True)
    assert Symmetric().with_diagonal() == Symmetric()
    assert not Support().of(sparse_glm()).diagonal and Support(diagonal=True).of(sparse_glm()).diagonal


@pytest.mark.parametrize("diagonal", [False, True])
def test_the_support_refuses_matrix_compressors_in_words(diagonal):
    """It holds chosen entries; what to use instead is told."""
    coordinates = Support(diagonal).of(sparse_glm())
    with pytest.raises(ValueError, match=r"rank:1 compresses whole matrices.*support.*use basis=symmetric"):
        coordinates.check(RankR(1))
    coordinates.check(TopK(3))
    for name in ("symmetric", "symmetric-plain"):
        BASES[name].of(sparse_glm()).check(RankR(1))


def test_vectors_refuse_matrix_compressors_in_words():
    """A gradient is no matrix."""
    with pytest.raises(ValueError, match="rank:1 compresses matrices, and these are vectors"):
        Coordinates(np.array([3])).check(RankR(1))
    Coordinates(np.array([3])).check(Identity())


def test_dense_rows_refuse_the_support():
    """In words, when the basis is laid out."""
    with pytest.raises(ValueError, match=r"basis=support needs sparse rows"):
        Support().of(dense_glm())


def test_plain_vectors():
    """Coordinates of gradients: the 2-norm, the mean in client order, and rows of a matrix as blocks."""
    draw = np.random.default_rng(0)
    matrix = draw.standard_normal((3, 5))
    space, blocks = Coordinates(np.full(3, 5)), equal_blocks(matrix)
    assert isinstance(blocks, Blocks) and space.total_size == 5
    np.testing.assert_allclose(space.norms(blocks), np.linalg.norm(matrix, axis=1), rtol=1e-14)
    messages = [Dense(matrix[0]), Sparse(np.array([1, 4]), matrix[1, [1, 4]]), Nothing()]
    total = space.accumulate(np.ones(5), messages, np.array([0.5, 0.25, 0.25]))
    expected = 1 + 0.5 * matrix[0] + 0.25 * matrix[1] * np.array([0, 1, 0, 0, 1])
    np.testing.assert_allclose(total, expected, rtol=1e-15)
