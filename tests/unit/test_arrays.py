"""Problems from arrays: the same as from files, shared out as told, and refusals in words."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_breast_cancer, load_wine

import newtonfl as nf
from newtonfl import registry
from newtonfl.checks.evaluate import values
from newtonfl.core.symmetric import triangle
from newtonfl.datasets import arrays
from newtonfl.objectives.losses import Huber

FILE = """
[data]
source = "csv:rows.csv"
[objective]
loss = "{loss}"
l2 = 0.01
intercept = true
nonconvex = {nonconvex}
[clients]
count = 5
split = "{split}"
"""


def drawn(loss="logistic", rows=43):
    draw = np.random.Generator(np.random.Philox(6))
    X = np.round(draw.standard_normal((rows, 4)), 3)
    t = X @ np.array([1.0, -1.0, 0.5, 0.0])
    if loss in ("logistic", "squared-hinge", "probit", "cloglog"):
        return X, (t + draw.standard_normal(rows) > 0).astype(float)
    if loss in ("gamma", "tweedie"):
        return X, np.exp(np.round(t, 3))
    return X, draw.poisson(np.exp(t)).astype(float) if loss == "poisson" else np.round(t, 3)


@pytest.mark.parametrize("loss", registry.known("loss"))
def test_arrays_and_files_are_one_problem(loss, tmp_path):
    """In the same bits, and in the same words."""
    X, y = drawn(loss)
    np.savetxt(tmp_path / "rows.csv", np.column_stack([X, y]), delimiter=",", fmt="%.17g")
    for split, nonconvex in (("blocks", 0.0), ("by-label", 0.25)):
        (tmp_path / "file.toml").write_text(FILE.format(loss=loss, split=split, nonconvex=nonconvex))
        theirs = nf.load(tmp_path / "file.toml")
        ours = nf.from_arrays(X, y, loss, l2=0.01, intercept=True, nonconvex=nonconvex, clients=f"{split}:5")
        assert ours.objective == theirs.objective and ours.dim == theirs.dim == 5
        x = np.linspace(-1, 1, 5)
        for part in ("value", "gradient"):
            assert np.array_equal(getattr(ours.at(x), part), getattr(theirs.at(x), part))


def test_clients_may_be_named_in_any_order():
    """By numbers or strings; a number of them means blocks, at most one a row."""
    X, y = drawn()
    ids = np.array(["c", "a", "b"])[np.arange(43) % 3]
    by_name = nf.from_arrays(X, y, clients=ids)
    by_number = nf.from_arrays(X, y, clients=[{"a": 3, "b": 7, "c": 9}[name] for name in ids])
    x = np.ones(4)
    assert by_name.n_clients == 3 and np.array_equal(by_name.at(x).gradient, by_number.at(x).gradient)
    first = nf.from_arrays(X[ids == "a"], y[ids == "a"], clients=1).at(x).gradient[0]
    np.testing.assert_allclose(by_name.at(x).gradient[0], first * 3 * (ids == "a").mean(), rtol=1e-13)
    assert nf.from_arrays(X, y).n_clients == 8 and nf.from_arrays(X[:5], y[:5], clients=100).n_clients == 5


def test_any_two_labels_and_any_kind_of_rows():
    X, y = drawn()
    x = np.ones(4)
    told = nf.from_arrays(X, y).at(x).gradient
    assert np.array_equal(told, nf.from_arrays(X, np.where(y > 0, "yes", "no")).at(x).gradient)
    sparse = X * (abs(X) > 1)
    ours = nf.from_arrays(scipy.sparse.coo_matrix(sparse), y)
    assert ours.is_sparse and not nf.from_arrays(sparse, y).is_sparse
    np.testing.assert_allclose(ours.at(x).gradient, nf.from_arrays(sparse, y).at(x).gradient, atol=1e-14)
    weighted = nf.from_arrays(X, y, sample_weight=np.where(np.arange(43) < 20, 2.0, 0.0), clients=1)
    np.testing.assert_allclose(weighted.at(x).gradient, nf.from_arrays(X[:20], y[:20], clients=1).at(x).gradient)
    assert "w_j" in weighted.objective and "(1/40)" in weighted.objective


@pytest.mark.parametrize("how", ["dense", "csr", "csr with zeros", "csr unsorted"])
def test_arrays_stay_the_callers_own(how):
    draw = np.random.default_rng(3)
    dense = draw.normal(size=(60, 40)) * (draw.random((60, 40)) < 0.2)
    y, weights = draw.normal(size=60), draw.random(60) + 0.5
    X = dense.copy() if how == "dense" else scipy.sparse.csr_array(dense)
    if how == "csr with zeros":
        X.data[::5] = 0.0
        dense = X.toarray()
    if how == "csr unsorted":
        ends = X.indptr[:-1]
        X = scipy.sparse.csr_array((X.data.copy(), X.indices.copy(), X.indptr))
        for part in (X.data, X.indices):
            part[ends], part[ends + 1] = part[ends + 1].copy(), part[ends].copy()
    parts = [X] if how == "dense" else [X.data, X.indices, X.indptr]
    before = [part.copy() for part in parts]
    p = nf.from_arrays(X, y, "squared", clients=3, sample_weight=weights)
    for part, old in zip(parts, before, strict=True):
        np.testing.assert_array_equal(part, old)
    x = np.linspace(-1, 1, 40)
    value = weights @ (dense @ x - y) ** 2 / weights.sum() / 2
    for array in (*parts[:2], y, weights):
        array[:] = 0
    assert values(p, x).mean() == pytest.approx(value, rel=1e-13)
    rows, labels, kept = p.host
    assert (rows.toarray() if how.startswith("csr") else rows).tolist() == dense.tolist()
    assert labels.any() and kept.all()


@pytest.mark.parametrize("dense", [True, False])
def test_one_process_reads_its_rows_once(monkeypatch, dense):
    monkeypatch.setattr(arrays, "_fingerprint", None)  # there is nobody to compare with
    draw = np.random.default_rng(4)
    X = draw.random((40_000, 25))
    size, y = X.nbytes, np.tile([0.0, 1.0], 20_000)
    if not dense:
        X = scipy.sparse.csr_array(X * (X < 0.4))
        size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    nf.from_arrays(X[:9], y[:9])
    tracemalloc.start()
    p = nf.from_arrays(X, y)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert p.n_clients == 8
    assert kept < 1.7 * size and peak < 2.5 * size  # sparse rows keep longer indices than these


def test_a_loss_of_ones_own_and_a_title():
    X, y = drawn("squared")
    problem = nf.from_arrays(X, y, Huber(0.5), title="Mine")
    assert problem.title == "Mine" and "δ = 0.5" in problem.objective
    same = nf.from_arrays(X, y, "huber", huber_delta=0.5)
    assert np.array_equal(problem.at(np.ones(4)).value, same.at(np.ones(4)).value)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"X": np.ones(43)}, r"X: given shape \(43,\)"),
        ({"X": np.full((43, 4), "a")}, "must be a matrix of real numbers"),
        ({"X": np.full((43, 4), np.nan)}, "not finite"),
        ({"y": np.ones(42)}, r"y: given shape \(42,\), must be \(43,\)"),
        ({"y": np.ones(43)}, "two different labels are needed, and there are 1: 1.0"),
        ({"y": np.arange(43)}, "two different labels are needed, and there are 43: 0, 1, 2, 3, 4, 5, 6, 7, …"),
        ({"y": np.ones(43), "loss": "multinomial"}, "at least two different labels"),
        ({"y": np.full(43, "a"), "loss": "squared"}, "needs finite real numbers"),
        ({"y": -np.ones(43), "loss": "poisson"}, "labels of at least 0; the least is -1"),
        ({"loss": "hinge"}, r"(?s)loss: given 'hinge'.*logistic, squared"),
        ({"sample_weight": np.ones(3)}, r"sample_weight: given shape \(3,\) of float64, must be 43 finite numbers"),
        ({"sample_weight": np.full(43, 1j)}, "of complex128"),
        ({"sample_weight": np.zeros(43)}, "all weights are zero"),
        ({"sample_weight": np.full(43, 1e-310)}, "no row counts, or none can be told apart"),
        ({"sample_weight": np.full(43, 1e307)}, "sum to 4.3e[+]308|sum to inf"),
        (
            {"clients": [None, *["a"] * 42]},
            "clients: client ids: row 0, counted from 0, has no value: given None",
        ),
        ({"clients": np.array([np.nan, *range(42)])}, "clients: client ids must be finite, given nan"),
        ({"clients": np.full(43, b"a")}, "client ids must be numbers or strings"),
        ({"clients": "files:4"}, "clients: given 'files:4'"),
        ({"y": np.full(43, np.nan)}, "y: labels must be finite"),
        (
            {"y": np.array([1, "a"] * 21 + [2], object)},
            "y: labels must all be numbers or all be strings, given int, str",
        ),
        ({"clients": np.arange(3)}, r"clients: given ids of shape \(3,\)"),
        ({"clients": True}, "clients: given True"),
        ({"clients": "by-label"}, "clients: given 'by-label'"),
        ({"clients": "dirichlet:-1:4"}, "BETA must be a number greater than 0"),
        ({"own": True, "clients": 3}, "each rank is a client"),
        ({"l2": -1.0}, "l2: given -1"),
        ({"huber_delta": 0.0, "loss": "huber"}, "huber_delta: given 0"),
        ({"device": "tpu"}, "device: given 'tpu'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(change, fault):
    X, y = drawn()
    words = {"X": X, "y": y, **change}
    with pytest.raises(ValueError, match=fault):
        nf.from_arrays(words.pop("X"), words.pop("y"), **words)


def test_multinomial_is_binary_logistic_for_two_classes():
    """With W = QV, Q = (1, -1)/√2 but for the sign: t_1 - t_0 = √2 Va, so λ here is half of the binary one's."""
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    two = nf.solve(nf.from_arrays(X, y, "multinomial", l2=2e-3), nf.newton(), tol=1e-12)
    one = nf.solve(nf.from_arrays(X, y, l2=1e-3), nf.newton(), tol=1e-12)
    sign = np.sign(two.x @ one.x)
    np.testing.assert_allclose(np.sqrt(2.0) * sign * two.x, one.x, rtol=0, atol=1e-8)
    assert two.history[-1].f == pytest.approx(one.history[-1].f, rel=1e-12)


@pytest.mark.slow
def test_multinomial_serves_first_order_methods_and_cubic_steps():
    """It has rows to draw from, L_i and L_*i."""
    X, y = load_wine(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    problem = nf.from_arrays(X, y, "multinomial", l2=1e-2, clients=4)
    best = nf.optimum(problem)[1]
    for method, rounds, gap in (
        (nf.ef21(stepsize="theory*16"), 300, 2e-2),
        (nf.ef21_sgd(batch=20), 200, 0.5),
        (nf.fednl_cr(), 60, 1e-7),
    ):
        result = nf.solve(problem, method, rounds=rounds, tol=0.0)
        assert result.history[-1].f - best < gap, method.name
    assert nf.solve(problem, nf.gd(), rounds=2000, tol=1e-6).converged
    with pytest.raises(ValueError, match="basis=data is for losses of one margin a row"):
        nf.solve(problem, nf.bl1())


@pytest.mark.parametrize("text", ["", "newton-3pc,", "newton-3pc,=3", "newton-3pc,a=1,a=2", "newton-3pc,topk:3"])
def test_methods_that_cannot_be_parsed(text):
    with pytest.raises(ValueError, match="method"):
        registry.method(*registry.parse(text))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gd", "ef21,compressor=topk:30", "clag", "adacgd", "marina", "diana", "m-fac"])
def test_first_order_serves_dimensions_whose_hessians_fit_nowhere(method):
    """d = 200,000: a table of the triangle alone would take 149 GiB."""
    draw = np.random.Generator(np.random.Philox(8))
    X = scipy.sparse.random_array((60, 200_000), density=1e-4, format="csr", rng=draw)
    problem = nf.from_arrays(X, draw.random(60) > 0.5, l2=1e-2, clients=3)
    result = nf.solve(problem, registry.method(*registry.parse(method)), rounds=3, tol=0.0)
    assert result.rounds == 3 and result.history[-1].f < result.history[0].f


def test_a_hessian_that_does_not_fit_is_told_in_words(monkeypatch):
    def full(dim):
        raise MemoryError("Unable to allocate")

    monkeypatch.setattr(np, "triu_indices", full)
    with pytest.raises(MemoryError, match="a Hessian of dimension d = 977 has 477,753 entries, too many"):
        _ = triangle(977).upper


def test_a_hair_leaves_flat_places():
    """All of Huber's residuals lie in its straight part at the start, and the intercept has no curvature there."""
    draw = np.random.Generator(np.random.Philox(2))
    X = draw.standard_normal((200, 3))
    y = 500.0 + X @ np.array([3.0, -2.0, 0.0]) + draw.standard_normal(200)
    problem = nf.from_arrays(X, y, "huber", l2=1e-3, intercept=True)
    assert nf.solve(problem, nf.newton_3pc()).reason is nf.Reason.SINGULAR
    found = nf.solve(problem, nf.newton_3pc(line_search=5, armijo=0.1))
    assert found.converged and found.x[3] == pytest.approx(500.0, abs=0.5)
