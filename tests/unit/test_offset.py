"""Offsets: f with o_j = a_jᵀc is f moved by c, wherever rows come from and whoever holds them; what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from cases import LOSSES, dense_glm, glm, points, sparse_glm
from problem_cases import on_clients

import newtonfl as nf
from newtonfl.checks import check_problem
from newtonfl.core.random import Key
from newtonfl.objectives.multinomial import Multinomial

EACH = pytest.mark.parametrize("make", [dense_glm, sparse_glm], ids=["dense", "sparse"])
EACH_LOSS = pytest.mark.parametrize("loss", [name for name, _, _ in LOSSES])


def moved(make, loss):
    """A problem, one with the offset a_jᵀc and without a ridge, and c."""
    plain = make(loss, ridge=0.0)
    c = points(plain, 1, seed=4)[0]
    rows, labels, _ = plain.host
    return plain, glm(rows, labels, np.diff(plain.rows.offsets), plain.loss, ridge=0.0, offset=rows @ c), c


@EACH
@EACH_LOSS
def test_an_offset_in_the_rows_span_moves_the_function(make, loss):
    plain, offset, c = moved(make, loss)
    for x in points(plain, 3):
        for a, b in zip(on_clients(offset, x), on_clients(plain, x + c), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
    along, v = [0.0, 0.5, 1.0], points(plain, 1, seed=8)[0]
    np.testing.assert_allclose(
        offset.at(x).value_along(v, along), plain.at(x + c).value_along(v, along), rtol=1e-12, atol=1e-12
    )
    key = Key(0, 1, 0, "/test")
    np.testing.assert_allclose(
        offset.at(x).sampled_gradient(2, key), plain.at(x + c).sampled_gradient(2, key), rtol=1e-11, atol=1e-11
    )
    v = points(plain, 1, seed=9)[0]
    np.testing.assert_allclose(
        offset.at(x).hessian_product(v), plain.at(x + c).hessian_product(v), rtol=1e-11, atol=1e-11
    )


@EACH
@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_every_promise_of_a_problem_holds_with_an_offset(make, loss):
    """Some of its clients, a ridge inside, minibatches, bases, the sum over all rows."""
    plain = make(loss)
    rows, labels, _ = plain.host
    draw = np.random.default_rng(1)
    check_problem(
        glm(rows, labels, np.diff(plain.rows.offsets), plain.loss, offset=0.3 * draw.standard_normal(len(labels)))
    )


DRAW = np.random.Generator(np.random.Philox(21))
X = np.round(DRAW.standard_normal((60, 3)), 3)
KNOWN = np.round(0.4 * DRAW.standard_normal(60), 3)
YEARS = np.round(DRAW.uniform(0.5, 4.0, 60), 3)
COUNTS = DRAW.poisson(YEARS * np.exp(X @ [0.4, -0.2, 0.1])).astype(float)
TOTAL = KNOWN + np.log(YEARS)


def same(a, b):
    x = np.linspace(-0.5, 0.5, a.dim)
    for part in ("value", "gradient"):
        np.testing.assert_array_equal(getattr(a.at(x), part), getattr(b.at(x), part))
    assert a.objective == b.objective


def test_an_exposure_is_the_logarithm_of_an_offset():
    """Both are added, a single number is every row's, and the formula has the offset."""
    both = nf.from_arrays(X, COUNTS, "poisson", offset=KNOWN, exposure=YEARS, clients=4)
    same(both, nf.from_arrays(X, COUNTS, "poisson", offset=TOTAL, clients=4))
    assert both.objective == "(1/60) Σ_j exp(aᵀx + o) - y (aᵀx + o)"
    plain = nf.from_arrays(X, COUNTS, "poisson", clients=4)
    one = nf.from_arrays(X, COUNTS, "poisson", exposure=1.0, clients=4)
    x = np.ones(3)
    np.testing.assert_array_equal(one.at(x).gradient, plain.at(x).gradient)
    assert np.abs(both.at(x).gradient - plain.at(x).gradient).max() > 0.1


def test_an_offset_goes_with_its_rows():
    """By client ids, without some clients, and where rows of weight zero are left out."""
    ids = np.array(["c", "a", "b"])[np.arange(60) % 3]
    order = np.argsort(ids, kind="stable")
    by_id = nf.from_arrays(X, COUNTS, "poisson", offset=TOTAL, clients=ids)
    same(by_id, nf.from_arrays(X[order], COUNTS[order], "poisson", offset=TOTAL[order], clients=3))
    kept = ids != "b"
    same(by_id.without([1]), nf.from_arrays(X[kept], COUNTS[kept], "poisson", offset=TOTAL[kept], clients=ids[kept]))
    weights = np.arange(60) % 4 / 2.0
    counted = weights > 0
    same(
        nf.from_arrays(X, COUNTS, "poisson", offset=TOTAL, clients=ids, sample_weight=weights),
        nf.from_arrays(X[counted], COUNTS[counted], "poisson", offset=TOTAL[counted], clients=ids[counted],
                       sample_weight=weights[counted]),
    )  # fmt: skip


PROBLEM = """
[data]
source = "{source}"
{label}
offset = "known"
exposure = "years"
missing = "{missing}"
[objective]
loss = "{loss}"
[clients]
{clients}
"""
BLOCKS = 'split = "blocks"\ncount = 4'


def written(folder, rows, name="rows.csv"):
    """Columns a, b, c, known, years and cases."""
    lines = ["years,a,known,b,cases,c"]
    lines += [f"{r[4]},{r[0]},{r[3]},{r[1]},{r[5]},{r[2]}" for r in rows]
    (folder / name).write_text("\n".join(lines) + "\n")


def loaded(folder, source="csv:rows.csv", label='label = "cases"', missing="refuse", loss="poisson", clients=BLOCKS):
    text = PROBLEM.format(source=source, label=label, missing=missing, loss=loss, clients=clients)
    text = text if source.startswith("csv") else text.replace('missing = "refuse"', "")
    (folder / "problem.toml").write_text(text)
    return nf.load(folder / "problem.toml")


def cells():
    return np.column_stack([X, KNOWN, YEARS, COUNTS]).astype(object)


def test_a_csv_files_columns_of_it_are_no_features(tmp_path):
    written(tmp_path, cells())
    problem = loaded(tmp_path)
    same(problem, nf.from_arrays(X, COUNTS, "poisson", offset=KNOWN, exposure=YEARS, clients=4))
    assert problem.schema.features == ("a", "b", "c")


def test_of_several_files_each_has_its_own(tmp_path):
    for i, name in enumerate(("x.csv", "y.csv", "z.csv")):
        written(tmp_path, cells()[20 * i : 20 * (i + 1)], name)
    problem = loaded(tmp_path, "csv:*.csv", clients='split = "files"')
    same(problem, nf.from_arrays(X, COUNTS, "poisson", offset=TOTAL, clients=3))


@pytest.mark.parametrize("sparse", [False, True])
def test_an_npz_files_arrays(tmp_path, sparse):
    rows = X * (np.abs(X) > 1.2) if sparse else X
    csr = scipy.sparse.csr_array(rows)
    parts = {"data": csr.data, "indices": csr.indices, "indptr": csr.indptr, "shape": csr.shape}
    np.savez(tmp_path / "rows.npz", **(parts if sparse else {"X": X}), y=COUNTS, known=KNOWN, years=YEARS)
    problem = loaded(tmp_path, "npz:rows.npz", label="")
    same(problem, nf.from_arrays(csr if sparse else X, COUNTS, "poisson", offset=TOTAL, clients=4))
    assert problem.is_sparse == sparse


def test_rows_without_one_are_left_out_where_that_is_asked_for(tmp_path):
    table = cells()
    table[7, 4], table[30, 3] = "NA", ""
    written(tmp_path, table)
    kept = np.delete(np.arange(60), [7, 30])
    problem = loaded(tmp_path, missing="drop-row")
    same(problem, nf.from_arrays(X[kept], COUNTS[kept], "poisson", offset=TOTAL[kept], clients=4))
    assert problem.schema.left_out == 2
    for missing in ("mean", "refuse"):
        with pytest.raises(ValueError, match=r"line 9, column years: 'NA' is no number; missing = \"drop-row\""):
            loaded(tmp_path, missing=missing)


def test_files_that_cannot_be_are_refused_in_words(tmp_path):
    table = cells()
    table[5, 4] = 0.0
    written(tmp_path, table)
    with pytest.raises(ValueError, match=r"csv:rows\.csv: exposure: row 5, counted from 0: given 0, must be greater"):
        loaded(tmp_path)
    with pytest.raises(ValueError, match="a loss whose link is identity, allowed only with the link log, where"):
        loaded(tmp_path, loss="squared")
    table[5, 4] = "long"
    written(tmp_path, table)
    with pytest.raises(ValueError, match=r"line 7, column years: 'long' is not a finite number\n"):
        loaded(tmp_path)
    with pytest.raises(ValueError, match="label and exposure both name column 'years'"):
        loaded(tmp_path, label='label = "years"')
    np.savez(tmp_path / "rows.npz", X=X, y=COUNTS, known=KNOWN[:9], years=YEARS)
    with pytest.raises(ValueError, match="offset = known needs one number a row in 'known', and it has 9 for 60 rows"):
        loaded(tmp_path, "npz:rows.npz", label="")
    np.savez(tmp_path / "rows.npz", X=X, y=COUNTS, years=YEARS)
    with pytest.raises(ValueError, match="offset = known needs an array 'known' with one entry a row"):
        loaded(tmp_path, "npz:rows.npz", label="")
    with pytest.raises(ValueError, match=r"\[data\] offset: given 'known', allowed only with a csv or npz source"):
        loaded(tmp_path, "sklearn:diabetes", label="")


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"offset": KNOWN[:5]}, r"offset: given shape \(5,\) of float64, must be 60 finite numbers, one a row"),
        ({"offset": np.where(np.arange(60) == 3, np.nan, KNOWN)}, "offset: given shape .* finite numbers"),
        ({"offset": ["a"] * 60}, "offset: given shape .* finite numbers"),
        ({"exposure": -YEARS}, "exposure: row 0, counted from 0: given -.*must be greater than 0"),
        ({"exposure": YEARS, "loss": "logistic"}, "exposure: given with a loss whose link is logit, allowed only"),
        ({"exposure": YEARS, "loss": "multinomial"}, "exposure: given with a loss whose link is none"),
        (
            {"offset": KNOWN, "loss": "multinomial"},
            "offset: given with a multinomial loss, allowed only with losses of",
        ),
    ],
)
def test_arrays_that_cannot_be_are_refused_in_words(more, fault):
    y = (COUNTS > 1).astype(float)
    with pytest.raises(ValueError, match=fault):
        nf.from_arrays(X, y, **{"loss": "poisson", **more})


def test_a_multinomial_problem_takes_none():
    """Nor does its class, which knows no place for it."""
    with pytest.raises(TypeError, match="offset"):
        Multinomial(X, COUNTS % 3, [60], 3, 60, n_clients=1, ridge=0.1, objective="a test", offset=KNOWN)
