"""Bases: coordinates keep the norm that they promise, give the matrix back, and are understood by the server."""

from __future__ import annotations

import numpy as np
import pytest
from basis_cases import EACH, FULL, PLAIN, RANKS, WHOLE, Projected, greeted, hessians
from cases import BASES, COMPRESSORS, DIM, as_dense, carried, dense_glm, points, sparse_glm, vectors

from newtonfl.bases import PSD, Coordinates, Decoded, Support, Symmetric, equal_blocks
from newtonfl.comm.messages import Dense, LowRank, Nothing, Run, Several, Sparse
from newtonfl.compressors import Identity, RankR, TopK
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key


@EACH
def test_the_norm_is_the_frobenius_norm(name):
    """Of every client; and where coordinates are isometric it is the 2-norm of the coordinates themselves."""
    problem = sparse_glm()
    coordinates = BASES[name].of(problem)
    for x in points(problem, 3):
        told, frobenius = coordinates.coefficients(problem.at(x)), np.linalg.norm(hessians(problem, x), axis=(1, 2))
        np.testing.assert_allclose(coordinates.norms(told), frobenius, rtol=1e-13)
        if name not in PLAIN:
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
        if name not in PLAIN:
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
            assert ours.setup_message(i)["support"].formula_bits == 0
    elif name in ("data", "rotation"):
        for ours_i, theirs_i, rank in zip(ours.vectors, theirs.vectors, RANKS, strict=True):
            np.testing.assert_array_equal(theirs_i, ours_i)
            assert len(ours_i) == (rank if name == "data" else DIM)
        bits = [ours.setup_message(i)["subspace"].formula_bits for i in range(problem.n_clients)]
        assert bits == [32 * DIM * len(v) for v in ours.vectors]
    else:
        assert theirs.supports is None and ours.setup_message(0) == {}


def test_what_follows_a_support_has_its_length():
    """An initial Hessian has as many coordinates as the support told before it; a support fits in d(d+1)/2."""
    problem = sparse_glm()
    support = Support().of(problem).setup_message(0)
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
    memory_rates, weights = np.array([1.0, 0.5, 0.25, 0.125]), np.array([0.5, 0.25, 0.125, 0.125])
    moved = ours.add(start.replaced(start.values.copy()), messages, memory_rates)
    for i, message in enumerate(messages):
        indices, values = message.coordinates()
        expected = start[i].copy()
        expected[indices] += memory_rates[i] * values
        np.testing.assert_array_equal(moved[i], expected)
    total = theirs.accumulate(np.zeros(FULL), messages, weights * memory_rates)
    steps = [ours.matrix(i, moved[i]) - ours.matrix(i, start[i]) for i in range(4)]
    np.testing.assert_allclose(theirs.square(total), np.tensordot(weights, steps, 1), atol=1e-13)


@WHOLE
def test_a_rank_message_tells_its_matrix(name):
    """told() gives the matrix's coordinates, and so do the client's and the server's way of receiving it."""
    problem = dense_glm()
    coordinates, draw = BASES[name].of(problem), np.random.default_rng(0)
    messages = [LowRank(draw.standard_normal((2, DIM)), np.array([1.0, -1.0])) for _ in range(4)]
    for message in messages:
        indices, values = coordinates.decode(message)
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
        alone = compressor.compress(vector, Key(5).of(client))
        (i, told), (j, expected) = message.coordinates(), alone.coordinates()
        assert np.array_equal(told, expected) and np.array_equal(i, j)
        whole = 32 * (len(vector) if name == "data" else FULL)
        assert message.formula_bits == (whole if kind in ("identity", "clip") else alone.formula_bits)
        assert kind != "randk" or message.formula_bits == 32 * 5


@pytest.mark.parametrize("name", sorted(BASES.keys() - {"data"}))
def test_diagonal_matrices(name):
    """diag(v) in every client's coordinates, where these hold the diagonal; c·I in every bit."""
    coordinates, diagonal = BASES[name].of(sparse_glm()), np.arange(1.0, DIM + 1)
    if not coordinates.diagonal:
        coordinates = BASES[name].with_diagonal().of(sparse_glm())
    blocks = coordinates.diagonal_blocks(diagonal, np.zeros(0))
    scalar = coordinates.diagonal_blocks(0.25 * np.ones(DIM), np.zeros(0))
    for i in range(4):
        np.testing.assert_allclose(coordinates.matrix(i, blocks[i]), np.diag(diagonal), atol=1e-14)
        np.testing.assert_array_equal(coordinates.core(i, scalar[i]), 0.25 * np.eye(DIM))


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


CHOSEN = [[2], [0, 3], [1, 2, 3], [0, 1, 2, 3], []]


@EACH
@pytest.mark.parametrize("chosen", CHOSEN, ids=str)
def test_coordinates_of_some_clients_are_theirs_among_all(name, chosen):
    """In the same bits: sizes, coefficients at a problem of these clients alone, norms, matrices, places, messages."""
    problem, chosen = sparse_glm(), np.array(chosen, dtype=np.int64)
    whole, x = BASES[name].of(problem), points(problem, 1)[0]
    blocks = whole.coefficients(problem.at(x))
    _ = whole.isometry  # a cached array of the whole must not be taken for the part's
    some, part = whole.select(chosen), problem.select(chosen)
    told = some.coefficients(part.at(x))
    assert some.sizes.tolist() == whole.sizes[chosen].tolist() == told.sizes.tolist()
    np.testing.assert_array_equal(told.values, blocks.select(chosen).values)
    np.testing.assert_array_equal(some.norms(told), whole.norms(blocks)[chosen])
    np.testing.assert_array_equal(some.spectral_norms(told), whole.spectral_norms(blocks)[chosen])
    np.testing.assert_array_equal(
        some.diagonal_blocks(np.zeros(DIM), x).offsets, whole.diagonal_blocks(np.zeros(DIM), x).select(chosen).offsets
    )
    for compressor in [c for c in COMPRESSORS.values() if c.acts_on == "vector" or not name.startswith("support")]:
        messages = some.compress(compressor, told, chosen, Key(1))
        expected = whole.compress(compressor, blocks, np.arange(4), Key(1))
        for i, message in zip(chosen, messages, strict=True):
            for a, b in zip(some.decode(message), whole.decode(expected[i]), strict=True):
                assert np.array_equal(a, b)
        moved = some.add(told.replaced(told.values.copy()), messages, np.full(len(chosen), 0.5))
        everyone = whole.add(blocks.replaced(blocks.values.copy()), expected, np.full(4, 0.5))
        np.testing.assert_array_equal(moved.values, everyone.select(chosen).values)
    for j, i in enumerate(chosen):
        np.testing.assert_array_equal(some.matrix(j, told[j]), whole.matrix(i, blocks[i]))
        assert whole.setup_message(i).keys() == some.setup_message(j).keys()
        for indices in (None, np.arange(len(told[j]))[::2]):
            values = told[j] if indices is None else told[j][indices]
            news = Decoded(np.array([len(values)]), indices, values)
            pairs = zip(some.place(np.array([j]), news), whole.place(np.array([i]), news), strict=True)
            for a, b in pairs:
                assert np.array_equal(a.indices, b.indices) and np.array_equal(a.values, b.values)
    gradients = whole.gradients().of_gradients(problem.at(x).gradient)
    theirs = some.gradients().of_gradients(part.at(x).gradient)
    np.testing.assert_array_equal(theirs.values, gradients.select(chosen).values)
    again = whole.gradients().select(chosen)
    assert again.sizes.tolist() == some.gradients().sizes.tolist() == theirs.sizes.tolist()
    assert whole.select(np.arange(4)) is whole


@EACH
def test_applying_a_vector_is_its_matrix_times_x(name):
    problem = sparse_glm()
    coordinates, draw = BASES[name].of(problem), np.random.default_rng(0)
    blocks, x = vectors(coordinates, draw), draw.standard_normal(DIM)
    for i, vector in enumerate(blocks):
        np.testing.assert_allclose(coordinates.apply(i, vector, x), coordinates.matrix(i, vector) @ x, atol=1e-13)


@EACH
@pytest.mark.parametrize("every", [1, 2], ids=["all", "some"])
def test_the_server_adds_the_clients_gradients(name, every):
    """Σ weight_i ∇f_i from messages in the space where gradients are told; all of d, or the rank where data span."""
    problem, weights = sparse_glm(), np.array([0.1, 0.2, 0.3, 0.4])
    x = points(problem, 1)[0]
    ours, theirs = BASES[name].of(problem).gradients(), greeted(name, problem).gradients()
    assert ours.sizes.tolist() == theirs.sizes.tolist() == (RANKS if name == "data" else [DIM] * 4)
    told = ours.of_gradients(problem.at(x).gradient)
    messages = [carried(Dense(vector), len(vector)) for vector in told]
    if every == 2:
        messages = [Sparse(np.arange(len(vector))[::2], vector[::2]) for vector in told]
        told = told.replaced(np.concatenate([np.where(np.arange(len(v)) % 2, 0.0, v) for v in told]))
    total = theirs.accumulate(np.zeros(theirs.total_size), messages, weights)
    if every == 1:
        np.testing.assert_allclose(total, weights @ problem.at(x).gradient, atol=1e-14)
    else:
        spans = BASES[name].of(problem).vectors if name == "data" else [np.eye(DIM)] * 4
        expected = sum(w * v.T @ vector for w, v, vector in zip(weights, spans, told, strict=True))
        np.testing.assert_allclose(total, expected, atol=1e-14)


def test_several_messages_tell_their_sum():
    """On the union of their coordinates; everywhere where one of them is; terms added in their order."""
    space = Coordinates(np.array([6]))
    a, b = Sparse(np.array([1, 4]), np.array([0.1, 0.2])), Sparse(np.array([0, 4]), np.array([0.3, 1e17]))
    around = Run(5, np.array([-1e17, 0.5]), 6)
    indices, values = space.decode(Several([a, Nothing(), b, around]))
    assert indices.tolist() == [0, 1, 4, 5] and values.tolist() == [0.8, 0.1, 0.2 + 1e17, -1e17]
    dense = np.array([1e17, 0.0, 0.0, 0.0, -1e17, 1.0])
    indices, values = space.decode(Several([b, Dense(dense), a]))
    assert indices is None and values.tolist() == [1e17, 0.1, 0.0, 0.0, 0.2, 1.0]
    indices, values = space.decode(Several([Nothing(), Nothing()]))
    assert len(indices) == len(values) == 0 and values.dtype == np.float64


@WHOLE
def test_several_messages_with_a_matrix(name):
    """Vectors and matrices add up in the coordinates; both ends hold the same bits."""
    coordinates, draw = BASES[name].of(dense_glm(n=1)), np.random.default_rng(0)
    sparse = Sparse(np.array([0, 3, 8]), draw.standard_normal(3))
    rank = LowRank(draw.standard_normal((2, DIM)), np.array([1.0, -1.0]))
    message = Several([sparse, rank])
    indices, values = coordinates.decode(message)
    expected = coordinates.decode(rank)[1].copy()
    expected[sparse.indices] += sparse.values
    assert indices is None
    np.testing.assert_allclose(values, expected, rtol=1e-15)
    start = vectors(coordinates, draw)
    moved = coordinates.add(start.replaced(start.values.copy()), [message], np.ones(1))
    total = coordinates.accumulate(start.values.copy(), [carried(message, FULL)], np.ones(1))
    np.testing.assert_array_equal(moved.values, total)


def test_the_coefficients_of_the_positive_semidefinite_basis():
    """h_jl = A_jl and h_jj = A_jj - Σ_{l≠j} A_jl; the k-th matrix is (e_j + e_l)(e_j + e_l)ᵀ, or e_j e_jᵀ."""
    problem = dense_glm()
    coordinates, x = PSD().of(problem), points(problem, 1)[0]
    told, (rows, columns) = coordinates.coefficients(problem.at(x)), np.triu_indices(DIM)
    for i, a in enumerate(hessians(problem, x)):
        expected = a - np.diag(a.sum(axis=1) - np.diag(a))
        np.testing.assert_allclose(told[i], expected[rows, columns], atol=1e-15)
    for k, e in enumerate(np.eye(FULL)):
        u = np.clip(np.eye(DIM)[rows[k]] + np.eye(DIM)[columns[k]], 0, 1)
        np.testing.assert_array_equal(coordinates.matrix(0, e), np.outer(u, u))


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
