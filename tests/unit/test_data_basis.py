"""The span of a client's rows: found, of the Hessian's small matrix, and its rotation."""

from __future__ import annotations

import numpy as np
import pytest
from basis_cases import FULL, RANKS, Projected, greeted, hessians
from cases import BASES, DIM, carried, dense_glm, functions_problem, glm, points, sparse_glm

from newtonfl.bases import DataSubspace
from newtonfl.comm.coding import WireError
from newtonfl.comm.messages import Dense, Nothing, Run
from newtonfl.compressors import RankR, TopK
from newtonfl.core.random import Key
from newtonfl.objectives.losses import Logistic


def deficient(m: int, rank: int, seed: int = 0):
    """One client with `m` dense rows of the given rank in dimension 9."""
    draw = np.random.default_rng(seed)
    rows = draw.standard_normal((m, rank)) @ draw.standard_normal((rank, 9))
    return glm(rows, np.sign(draw.standard_normal(m)), [m], Logistic())


@pytest.mark.parametrize("m, rank", [(4, 4), (4, 2), (30, 5), (30, 9), (1, 1), (3, 0)])
def test_the_span_of_the_rows_is_found(m, rank):
    """Orthonormal vectors, as many as the rank: the rows' right singular vectors, which make AᵀA diagonal."""
    problem = deficient(m, rank)
    v = DataSubspace().of(problem).vectors[0]
    assert v.shape == (rank, 9)
    np.testing.assert_allclose(v @ v.T, np.eye(rank), atol=1e-14)
    rows = problem.client_rows(0)
    np.testing.assert_allclose(rows @ v.T @ v, rows, atol=1e-13)
    if rank:
        energy = np.linalg.svd(rows)[1][:rank] ** 2
        np.testing.assert_allclose(v @ rows.T @ rows @ v.T, np.diag(energy), atol=1e-13 * energy[0])
        assert (v[np.arange(rank), np.argmax(np.abs(v), axis=1)] > 0).all()


@pytest.mark.parametrize("make", [sparse_glm, dense_glm])
def test_the_small_matrix_is_that_of_the_hessian(make, monkeypatch):
    """Λ_i = V_iᵀ∇²f_i V_i, from curvatures alone: the Hessian itself is not formed, and one is counted."""
    problem = make()
    coordinates, x = DataSubspace().of(problem), points(problem, 1)[0]
    whole = hessians(problem, x)
    problem.forget()
    point = problem.at(x)
    monkeypatch.setattr(type(point), "hessians", property(lambda point: 1 / 0))
    told = coordinates.coefficients(point)
    assert problem.hessian_counts.tolist() == [1] * 4
    assert np.array_equal(coordinates.coefficients(point).values, told.values)
    assert problem.hessian_counts.tolist() == [1] * 4
    for i, v in enumerate(coordinates.vectors):
        np.testing.assert_allclose(coordinates.core(i, told[i]), v @ whole[i] @ v.T, atol=1e-14)
    assert DataSubspace().sizes(DIM, "initial", coordinates.setup_message(0)) == len(told[0])


@pytest.mark.parametrize("name", ["data", "rotation"])
@pytest.mark.parametrize("r", [1, 4])
def test_matrix_compressors_see_the_small_matrix(name, r):
    """Rank-R of Λ_i: what it tells is the best rank R of the Hessian; a client without rows tells nothing."""
    problem = sparse_glm()
    coordinates, theirs, x = BASES[name].of(problem), greeted(name, problem), points(problem, 1)[0]
    told = coordinates.coefficients(problem.at(x))
    messages = coordinates.compress(RankR(r), told, np.arange(4), Key(0))
    for i, message in enumerate(messages):
        values, u = np.linalg.eigh(problem.at(x).hessian(i))
        expected = (u[:, DIM - r :] * values[DIM - r :]) @ u[:, DIM - r :].T
        arrived = carried(message, int(coordinates.sizes[i]))
        zero = told.replaced(0 * told.values).select(np.array([i]))
        moved = coordinates.select(np.array([i])).add(zero, [arrived], np.ones(1))
        np.testing.assert_allclose(coordinates.matrix(i, moved[0]), expected, atol=1e-13)
        total = theirs.accumulate(np.zeros(FULL), [arrived], np.ones(1), np.array([i]))
        np.testing.assert_allclose(theirs.square(total), expected, atol=1e-13)
    if name == "data":
        assert isinstance(coordinates.compress(Projected(), told, np.arange(4), Key(0))[1], Nothing)
        assert messages[2].formula_bits == 32 * r * RANKS[2]


def test_a_rotation_is_the_data_basis_with_exact_zeros():
    """Q_i is orthogonal, the coefficients outside the span are zero in every bit, and Top-K tells the same matrix."""
    problem = sparse_glm()
    data, rotation, x = DataSubspace().of(problem), DataSubspace(complete=True).of(problem), points(problem, 1)[0]
    for q, v in zip(rotation.vectors, data.vectors, strict=True):
        np.testing.assert_allclose(q @ q.T, np.eye(DIM), atol=1e-14)
        np.testing.assert_array_equal(q[: len(v)], v)
    small, whole = data.coefficients(problem.at(x)), rotation.coefficients(problem.at(x))
    for i, rank in enumerate(RANKS):
        expected = np.zeros((DIM, DIM))
        expected[:rank, :rank] = data.core(i, small[i])
        np.testing.assert_array_equal(rotation.core(i, whole[i]), expected)
    for k in (1, 5, 20):
        ours = data.compress(TopK(k), small, np.arange(4), Key(0))
        theirs = rotation.compress(TopK(k), whole, np.arange(4), Key(0))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a.values, b.values)
        weights = np.full(4, 0.25)
        one, other = (c.accumulate(np.zeros(FULL), m, weights) for c, m in ((data, ours), (rotation, theirs)))
        np.testing.assert_allclose(one, other, atol=1e-15)


@pytest.mark.parametrize("ridge", [0.3, np.linspace(0.0, 0.6, DIM)], ids=["scalar", "diagonal"])
def test_a_rotation_holds_the_ridge_of_the_clients(ridge):
    problem = sparse_glm(ridge=ridge).with_local_ridge()
    coordinates, x = DataSubspace(complete=True).of(problem), points(problem, 1)[0]
    for chosen in (np.arange(4), np.array([1, 2])):
        some, told = coordinates.select(chosen), coordinates.select(chosen).coefficients(problem.select(chosen).at(x))
        for j, i in enumerate(chosen):
            np.testing.assert_allclose(some.matrix(j, told[j]), problem.at(x).hessian(i), atol=1e-14)


def test_the_data_basis_refuses_in_words():
    """What has no rows, what is not in their span, and greetings that tell of no vectors."""
    for basis in (DataSubspace(), DataSubspace(complete=True)):
        with pytest.raises(ValueError, match=r"basis=data needs data rows.*use basis=symmetric"):
            basis.of(functions_problem()[0])
    with pytest.raises(ValueError, match=r"basis=data learns what lies in the span.*ridge=server"):
        DataSubspace().of(sparse_glm().with_local_ridge())
    with pytest.raises(ValueError, match=r"basis=data learns what lies in the span"):
        DataSubspace().with_diagonal()
    assert DataSubspace(complete=True).with_diagonal() == DataSubspace(complete=True)
    with pytest.raises(ValueError, match=r"basis=data: a diagonal matrix does not lie"):
        DataSubspace().of(sparse_glm()).diagonal_blocks(np.ones(DIM), np.zeros(0))
    assert not DataSubspace().of(sparse_glm()).diagonal_blocks(np.zeros(DIM), np.zeros(0)).values.any()
    good = {"subspace": Run(0, np.zeros(2 * DIM), DIM**2)}
    wrong = [{}, {"subspace": Dense(np.zeros(DIM**2))}, {"subspace": Run(0, np.zeros(DIM + 1), DIM**2)}]
    for setup_message in [*wrong, {"subspace": Run(1, np.zeros(DIM), DIM**2)}]:
        with pytest.raises(WireError, match=r"set-up, client 1, subspace"):
            DataSubspace().from_setup(DIM, [good, setup_message])
    for setup_message in ({}, good, {"subspace": Dense(np.zeros(DIM))}):
        with pytest.raises(WireError, match=r"set-up, client 0, subspace"):
            DataSubspace(complete=True).from_setup(DIM, [setup_message])
    assert DataSubspace(complete=True).sizes(DIM, "initial", {"subspace": Dense(np.zeros(DIM**2))}) == FULL
