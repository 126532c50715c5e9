"""Sparse rows of very many columns, few of which any row has: the same solution at the cost of those few."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from mpi_launch import launch
from sklearn.linear_model import LogisticRegression

import newtonfl as nf
from newtonfl.comm.coding import encode_indices

PROGRAM = Path(__file__).parents[1] / "support" / "mpi_programs" / "sparse_columns.py"
WIDE = 10**5
METHODS = ["newton", "newton-3pc", "fednl", "nl1", "bl3", "giant", "dingo", "fib-ios"]
KEEPING = {"bl3", "giant", "dingo", "fib-ios"}
"""Of these, those whose clients keep all entries, however sparse their rows are."""
DRAW = np.random.Generator(np.random.Philox(23))
KEPT = np.sort(DRAW.choice(WIDE, 300, replace=False))


def rows(kept=KEPT, width=WIDE, count=60, entries=8):
    """Rows with `entries` entries each, in the columns `kept`."""
    draw = np.random.Generator(np.random.Philox(24))
    columns = np.concatenate([draw.choice(len(kept), entries, replace=False) for _ in range(count)])
    at = (np.repeat(np.arange(count), entries), kept[columns])
    return scipy.sparse.csr_array((draw.standard_normal(count * entries), at), shape=(count, width))


X = rows()
Y = np.arange(60) % 2
Z = Y + 0.5 * (np.arange(60) % 3)


def solution(A, y, alpha):
    """Ridge regression without intercept: Aᵀ(AAᵀ + alpha·N·I)⁻¹y minimises (1/N) Σ (a_jᵀw - y_j)²/2 + (alpha/2)‖w‖²."""
    return A.T @ np.linalg.solve((A @ A.T).toarray() + alpha * len(y) * np.eye(len(y)), y)


def test_the_solution_is_scikit_learns():
    """In 1e5 columns, with the default method, whose Hessian of that dimension would take 40 GB."""
    ours = nf.FederatedLogisticRegression(alpha=1e-2).fit(X, Y)
    theirs = LogisticRegression(C=1 / (1e-2 * 60), tol=1e-12, max_iter=10_000).fit(X, Y)
    assert ours.coef_.shape == (1, WIDE) and ours.n_features_in_ == WIDE
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-6)
    assert set(np.flatnonzero(ours.coef_)) <= set(X.indices)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"X has 300 features, but .* is expecting 100000"):
        ours.predict(X[:, KEPT])


def test_what_is_told_is_the_problem_of_all_columns():
    model = nf.FederatedRidge(alpha=1e-2, fit_intercept=False).fit(X, Z)
    w = model.coef_
    np.testing.assert_allclose(w, solution(X, Z, 1e-2), rtol=0, atol=1e-8)
    assert model.objective_ == "(1/60) Σ_j (aᵀx - y)²/2 + (0.01/2)‖x‖²"
    assert model.history_[-1].f == pytest.approx(np.mean((X @ w - Z) ** 2) / 2 + 0.005 * w @ w, rel=1e-12)
    assert model.history_[0].gradient_norm == pytest.approx(np.linalg.norm(X.T @ Z) / 60, rel=1e-12)


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["a", "b"]])
@pytest.mark.parametrize("how", ["multinomial", "ovr"])
def test_every_class_has_all_columns(labels, how):
    y = np.array(labels)[np.arange(60) % len(labels)]
    wide = nf.FederatedLogisticRegression(alpha=1e-2, multi_class=how).fit(X, y)
    narrow = nf.FederatedLogisticRegression(alpha=1e-2, multi_class=how).fit(X[:, np.unique(X.indices)], y)
    np.testing.assert_allclose(wide.coef_[:, np.unique(X.indices)], narrow.coef_, rtol=0, atol=1e-8)
    assert wide.coef_.shape[1] == WIDE and np.count_nonzero(wide.coef_) == np.count_nonzero(narrow.coef_)


@pytest.mark.parametrize("classes", [2, 3])
def test_agreeing_on_the_columns_is_counted_once_in_a_fit(classes):
    """Each client sends the columns that its rows have, as indices travel, and receives those of all."""
    y = np.arange(60) % classes
    model = nf.FederatedLogisticRegression(alpha=1e-2, multi_class="ovr", method="gd", max_rounds=2, tol=1.0, clients=4)
    wide, narrow = (model.fit(A, y).communication_ for A in (X, X[:, np.unique(X.indices)]))
    own = [len(encode_indices(np.unique(X[first : first + 15].indices))) for first in range(0, 60, 15)]
    found = np.unique(X.indices)
    everyone = np.union1d(found, np.setdiff1d(np.arange(512), found)[: max(256 - len(found), 0)])  # 256 at least
    assert wide["setup_bytes_up"] - narrow["setup_bytes_up"] == sum(own)
    assert wide["setup_bytes_down"] - narrow["setup_bytes_down"] == 4 * len(encode_indices(everyone))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_few_columns_and_columns_that_mostly_occur_are_fitted_as_they_were():
    """In the same bits and bytes as the whole problem."""
    kept = np.arange(0, 510, 2)
    for A in (rows(kept, 510), rows(np.arange(400), 700, count=200), rows(kept, 1024).toarray()):
        y = np.arange(A.shape[0]) % 2
        model = nf.FederatedLogisticRegression(alpha=1e-2, method="ef21", max_rounds=5, tol=1e-1).fit(A, y)
        result = nf.solve(nf.from_arrays(A, y, l2=1e-2, intercept=True), "ef21", rounds=5, tol=1e-1)
        assert np.array_equal(np.append(model.coef_, model.intercept_), result.x)
        assert model.communication_["bytes_up"] == result.ledger.totals()["bytes"]["up"]["total"]


def test_a_compressor_of_more_entries_than_columns_that_occur_still_fits():
    """topk:20000 is fine in 1e5 columns; in the three that occur there are but six entries."""
    A = rows(np.array([5, 70_000, 99_999]), entries=2)
    model = nf.FederatedRidge(alpha=1e-2, fit_intercept=False, method="newton-3pc,compressor=topk:20000").fit(A, Z)
    np.testing.assert_allclose(model.coef_, solution(A, Z, 1e-2), rtol=0, atol=1e-8)


def test_rows_without_entries_are_fitted():
    """And stored zeros are none."""
    A = scipy.sparse.csr_array((60, WIDE))
    B = scipy.sparse.csr_array((np.zeros(WIDE), (np.arange(WIDE) % 60, np.arange(WIDE))), shape=(60, WIDE))
    assert B.nnz == WIDE
    for empty in (A, B):
        model = nf.FederatedRidge().fit(empty, Z)
        assert not model.coef_.any() and model.intercept_ == pytest.approx(Z.mean(), rel=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_begins_where_the_last_fit_ended():
    """With a penalty what no longer occurs falls to zero; without one nothing moves it."""
    later = rows(KEPT[:150])
    gone = np.setdiff1d(np.unique(X.indices), np.unique(later.indices))
    for alpha in (1e-2, 0.0):
        settings = {"alpha": alpha, "method": "gd", "max_rounds": 3, "tol": 1e-2, "fit_intercept": False}
        model = nf.FederatedRidge(**settings, warm_start=True).fit(X, Z)
        first = model.coef_.copy()
        assert first[gone].any()
        again = model.set_params(max_rounds=0, tol=10.0).fit(later, Z).coef_
        there = np.unique(later.indices)
        assert np.array_equal(again[there], first[there])
        assert np.array_equal(again[gone], first[gone] if alpha == 0 else np.zeros(len(gone)))
    cold = model.set_params(warm_start=False, max_rounds=0).fit(later, Z)
    assert not cold.coef_.any()


@pytest.mark.slow
def test_a_hessian_of_columns_that_all_occur_is_refused_before_it_is_made():
    """By every way to one, in less memory than it takes, in words; what forms none goes on."""
    program = f"""
import resource
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of the process that started this one, as Linux has it
resource.setrlimit(resource.RLIMIT_AS, ({6 * 2**30}, {6 * 2**30}))
import numpy as np, scipy.sparse, newtonfl as nf
columns = np.arange({WIDE})
A = scipy.sparse.csr_array((np.ones({WIDE}), (columns % 20, columns)), shape=(20, {WIDE}))
y = np.arange(20) % 2
p = nf.from_arrays(A, y, l2=1e-2, clients=2)
for call in [lambda: nf.optimum(p), *(lambda name=name: nf.solve(p, name) for name in {METHODS})]:
    try:
        call()
    except MemoryError as error:
        print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss <= max(2**20, before))
print(nf.solve(p, "ef21", rounds=1).rounds + nf.solve(p, "newton,basis=data", rounds=2).rounds)
print(nf.FederatedLogisticRegression(fit_intercept=False).fit(A, y).method_)
"""
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    *words, small, rounds, chosen = out.splitlines()
    assert len(words) == 1 + len(METHODS)
    for name, line in zip(["optimum", *METHODS], words, strict=True):
        # The triangle and seven matrices of 8·d² bytes; of two clients four triangles more.
        those, taken = (" and those of 2 clients", 708) if name in KEEPING else ("", 559)
        assert re.fullmatch(
            "a Hessian of dimension d = 100000 has 5,000,050,000 entries, too many for this machine's memory: with its "
            rf"factor{those} it takes {taken} GiB at least(, and [\d.]+ GiB are free)?; take newton-cg or l-bfgs, "
            "which send vectors alone, or fewer columns",
            line,
        ), name
    assert rounds == "3" and small == "True"  # in KiB: less than a GiB was ever used
    assert chosen.startswith("newton-cg")


@pytest.mark.mpi
@pytest.mark.slow
def test_ranks_agree_on_the_columns_that_occur():
    """Each rank has rows in other columns; three fit in the bits, bytes and rounds of one process."""
    alone = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True, check=True, timeout=60).stdout
    spread = launch(3, PROGRAM, timeout=120)
    assert spread.status == 0, spread.err
    one, three = ([json.loads(line) for line in out.splitlines()] for out in (alone, spread.out))
    fits, refused = three[: len(one)], three[len(one) :]
    assert len(one) == 4 and fits == one
    for fit in one:
        assert (
            fit["n_features"] == 20_000
            and 0 < fit["coefficients"] <= 90
            and fit["bytes"]["bytes_up"] < 100_000
            and fit["bytes"]["setup_bytes_up"] > 0
        )
    assert "rank 1 has 19999" in refused[0]["words"]
    assert "rank 2 has other columns than rank 0: it lacks 'y' and only it has 'z'" in refused[1]["words"]


# --- products in proportion to the entries


def traced(call):
    """The most bytes that a call has held at once."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_products_take_what_entries_and_messages_take():
    """60 rows of 8 entries in 1e5 columns, 20 clients: x is not laid out for each, and a gradient is made once."""
    p = nf.from_arrays(X, Y, l2=1e-2, clients=20)
    x, weights = np.linspace(-1, 1, WIDE), np.ones(60)
    p.rows.margins(x), p.rows.combine(weights)
    whole = 8 * 20 * WIDE
    assert traced(lambda: p.rows.margins(x)) < 10_000
    assert whole <= traced(lambda: p.rows.combine(weights)) < 1.01 * whole
    assert whole <= traced(lambda: p.at_uncached(x).hessian_product(x)) < 1.2 * whole  # and the point's copy of x


def test_products_have_the_bits_of_each_clients_own_columns():
    p = nf.from_arrays(X, Y, l2=1e-2, clients=20)
    x, weights = DRAW.standard_normal(WIDE), DRAW.standard_normal(60)
    one = p.rows.margins(x)
    assert np.array_equal(one, p.rows.margins(np.tile(x, (20, 1)))) and np.array_equal(one, X @ x)
    expected = np.stack([X[a : a + 3].T @ weights[a : a + 3] for a in range(0, 60, 3)])
    assert np.array_equal(p.rows.combine(weights), expected)
    some = p.select(np.array([7, 2])).rows
    chosen = np.concatenate([weights[21:24], weights[6:9]])
    assert np.array_equal(some.combine(chosen), expected[[7, 2]])
    assert np.array_equal(some.margins(x), np.concatenate([one[21:24], one[6:9]]))
    np.testing.assert_allclose(p.rows.combine_squares(weights)[7], X[21:24].power(2).T @ weights[21:24], rtol=1e-14)


@pytest.mark.parametrize("method", ["newton-cg", "l-bfgs"])
def test_a_hundred_thousand_columns_are_solved(method):
    result = nf.solve(nf.from_arrays(X, Z, "squared", l2=1e-2, clients=3), method, tol=1e-11)
    assert result.converged
    np.testing.assert_allclose(result.x, solution(X, Z, 1e-2), rtol=0, atol=1e-9)
