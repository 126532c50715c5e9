"""scale = "standard" over several files: the sums travel, and the answer is that of scaling all rows in one place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy
from mpi_launch import launch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import newtonfl as nf

pytestmark = pytest.mark.filterwarnings("ignore:.*fewer rows than the:RuntimeWarning")  # of one row, on purpose
SIZES = (9, 30, 1, 17, 23)
PROBLEM = """
[data]
source = "{source}"
label = "y"
scale = "{scale}"
[objective]
loss = "logistic"
l2 = 1e-2
intercept = true
[clients]
{split}
"""
EPS = np.finfo(float).eps
COLUMNS = ("age", "income", "tiny", "constant", "offset")


def rows() -> tuple[np.ndarray, np.ndarray]:
    """Units that differ by 10¹⁰; a column 10⁹ deviations from 0; one constant, of a mean that is rounded."""
    draw = np.random.Generator(np.random.Philox(17))
    X = draw.standard_normal((sum(SIZES), 5)) * [12.0, 4e4, 1e-6, 0.0, 1e-3] + [50.0, 3e5, 0.0, 0.1, 1e6]
    X[:, 3] = 0.1
    return X, np.where(X[:, 0] > 45 + 10 * draw.standard_normal(len(X)), "yes", "no")


def put(folder: Path) -> dict[str, Path]:
    """The same rows as five files and as one, and problem files on both."""
    X, y = rows()
    lines = [",".join([*map(repr, row), label]) for row, label in zip(X.tolist(), y, strict=True)]
    header = ",".join([*COLUMNS, "y"])
    for i, mine in enumerate(np.split(np.array(lines), np.cumsum(SIZES)[:-1])):
        (folder / f"site_{i}.csv").write_text("\n".join([header, *mine]) + "\n")
    (folder / "all.csv").write_text("\n".join([header, *lines]) + "\n")
    found = {
        "files": ("csv:site_*.csv", 'split = "files"', "standard"),
        "pooled": ("csv:all.csv", 'split = "blocks"\ncount = 5', "standard"),
        "plain": ("csv:site_*.csv", 'split = "files"', "none"),
    }
    for name, (source, split, scale) in found.items():
        (folder / f"{name}.toml").write_text(PROBLEM.format(source=source, split=split, scale=scale))
    return {name: folder / f"{name}.toml" for name in found}


def test_the_rows_are_those_that_are_scaled_in_one_place(tmp_path):
    X, _ = rows()
    paths = put(tmp_path)
    right = StandardScaler().fit(X)
    for name in ("files", "pooled"):
        problem = nf.load(paths[name])
        found, scaling = problem.host[0], problem.schema.scaling
        off = abs(found[:, :-1] - right.transform(X)).max(axis=0)
        assert (off <= 1e-12 + 4 * EPS * abs(right.mean_) / right.scale_).all()  # a mean is a double, in its own unit
        np.testing.assert_allclose(scaling.shift, right.mean_, rtol=1e-12, atol=1e-18)
        varies = np.arange(5) != 3
        np.testing.assert_allclose(scaling.divisor[varies], right.scale_[varies], rtol=1e-12)
        assert np.isinf(scaling.divisor[3])
        assert not found[:, 3].any()  # to the last bit, though 80 times 0.1 is not 8
    assert nf.load(paths["plain"]).schema.scaling.how == "none"


def test_what_travels_is_counted_as_set_up(tmp_path):
    paths = put(tmp_path)
    plain, scaled = (nf.load(paths[name]).preparation for name in ("plain", "files"))
    assert plain is None
    # A number a column up and one down, twice; two counts; and the envelopes.
    assert all(8 * (5 + 5) <= sent <= 8 * (5 + 5) + 500 for sent in scaled[0])
    assert all(8 * (5 + 5) <= received <= 8 * (5 + 5) + 500 for received in scaled[1])
    assert nf.load(paths["pooled"]).preparation is None  # one place reads all
    result = nf.solve(nf.load(paths["files"]), "newton,line_search=5", tol=1e-12)
    assert result.ledger.totals()["bytes"]["setup_up"]["total"] >= scaled[0].sum()


def test_a_model_in_the_columns_own_units(tmp_path):
    """The margins of the scaled rows, and scikit-learn's coefficients divided by its scales."""
    X, y = rows()
    problem = nf.load(put(tmp_path)["files"])
    x = nf.solve(problem, "newton,line_search=5", tol=1e-13).x
    w, b = problem.schema.in_own_units(x)
    np.testing.assert_allclose(X @ w + b, problem.host[0] @ x, rtol=0, atol=1e-6)  # 10⁹ deviations cancel in X @ w
    right = LogisticRegression(C=1 / (len(y) * 1e-2), tol=1e-12, solver="newton-cholesky")
    scaler = StandardScaler().fit(X)
    right.fit(scaler.transform(X), y)
    np.testing.assert_allclose(w, right.coef_[0] / scaler.scale_, rtol=1e-9, atol=1e-30)
    rounded = np.sum(EPS * abs(scaler.mean_ * right.coef_[0]) / scaler.scale_)  # of the means, which b makes up for
    assert abs(x[-1] - right.intercept_[0]) <= 1e-10 + 2 * rounded
    with pytest.raises(ValueError, match=r"x: given shape \(3,\), must be \(6,\)"):
        problem.schema.in_own_units(np.ones(3))


def solved(ranks: int, path: Path, out: Path) -> tuple[bytes, dict]:
    command = ["-m", "newtonfl", "solve", str(path), "--quiet", "--tol", "1e-12", "--out", str(out)]
    if ranks:
        ended = launch(ranks, *command)
        assert ended.status == 0, ended.err
    else:
        subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=60)
    result = json.loads((out / "result.json").read_text())
    scale = json.loads((out / "model.json").read_text())["scale"]
    return np.load(out / "x.npy").tobytes(), {"scale": scale, **{key: result[key] for key in ("bytes", "features")}}


@pytest.mark.mpi
@pytest.mark.slow
def test_the_bits_are_the_same_whichever_ranks_hold_the_files(tmp_path):
    path = put(tmp_path)["files"]
    alone = solved(0, path, tmp_path / "alone")
    assert len(alone[1]["scale"]["shift"]) == len(COLUMNS)
    assert solved(3, path, tmp_path / "spread") == alone
    assert solved(0, tmp_path / "spread" / "run.toml", tmp_path / "again") == alone


@pytest.mark.mpi
def test_what_cannot_be_scaled_is_refused_on_every_rank(tmp_path):
    path = put(tmp_path)["files"]
    path.write_text(path.read_text().replace('loss = "logistic"', 'loss = "squared"'))
    for i in range(5):
        (tmp_path / f"site_{i}.csv").write_text(f"a,b,y\n1,{2 if i else 1e200},0\n1,3,1\n")
    ended = launch(2, "-m", "newtonfl", "solve", path, "--quiet")
    assert ended.status == 2 and ended.err.count("newtonfl: ") == 1, ended.err
    assert "column 'b': its squares over all rows are beyond the largest double: change its unit" in ended.err


def test_sparse_rows_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("1 1:1 9:1\n-1 2:1\n")
    (tmp_path / "b.txt").write_text("1 1:1 9:1\n-1 3:1\n")
    text = PROBLEM.format(source="libsvm:*.txt", split='split = "files"', scale="standard").replace('label = "y"\n', "")
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(ValueError, match=r'p.toml: \[data\] scale: "standard" would fill in every zero of sparse'):
        nf.load(tmp_path / "p.toml")


def test_largest_values_of_sparse_rows_over_all_files(tmp_path):
    """maxabs keeps rows sparse; each client sends a number a column, and gets one."""
    draw, blocks = np.random.default_rng(3), []
    for i, count in enumerate((4, 1, 6)):
        block = draw.normal(size=(count, 40)) * (draw.random((count, 40)) < 0.1) * 10.0**i
        block[0, 39] = i + 1.0  # all files have the last column
        blocks.append(block)
        words = [" ".join(f"{j + 1}:{row[j]!r}" for j in np.flatnonzero(row)) for row in block.tolist()]
        lines = [f"{1 - 2 * (k % 2)} {text}\n" for k, text in enumerate(words)]
        (tmp_path / f"{i}.txt").write_text("".join(lines))
    text = PROBLEM.format(source="libsvm:*.txt", split='split = "files"', scale="maxabs").replace('label = "y"\n', "")
    (tmp_path / "p.toml").write_text(text)
    problem = nf.load(tmp_path / "p.toml")
    rows = np.concatenate(blocks)
    largest = abs(rows).max(axis=0)
    right = rows / np.where(largest > 0, largest, 1.0)
    found = problem.host[0]
    assert scipy.sparse.issparse(found)
    np.testing.assert_array_equal(found.toarray()[:, :-1], right)
    up, down = problem.preparation
    assert (up == up[0]).all() and 8 * 40 <= up[0] <= 8 * 40 + 200 and 8 * 40 <= down[0] <= 8 * 40 + 200


@pytest.mark.parametrize("split", ['split = "files"', 'split = "blocks"\ncount = 2'])
def test_a_constant_column_with_gaps_is_constant(tmp_path, split):
    """Whose mean is another double than its values: what stands for a gap must not become 1, and the values -1."""
    assert sum([0.1, 0.1, 0.1]) / 3 != 0.1
    sites = [["0.1,0.5,a", "0.1,-2,b", ",1,b"], ["0.1,3,b", ",2,a", ",-0.3,a"]]
    for i, lines in enumerate(sites):
        (tmp_path / f"site_{i}.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    (tmp_path / "all.csv").write_text("\n".join(["a,b,y", *sites[0], *sites[1]]) + "\n")
    text = PROBLEM.format(source="csv:site_*.csv" if "files" in split else "csv:all.csv", split=split, scale="standard")
    (tmp_path / "p.toml").write_text(text.replace("scale", 'missing = "mean"\nscale'))
    problem = nf.load(tmp_path / "p.toml")
    assert not problem.host[0][:, 0].any() and problem.host[0][:, 1].std() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("scale", "words"),
    [("standard", "column 1, counted from 0: its squares"), ("unit-rows", "row 0, counted from 0: its squares")],
)
def test_squares_beyond_doubles_are_refused_in_one_file_too(tmp_path, scale, words):
    (tmp_path / "all.csv").write_text("a,b,y\n1,1e200,no\n2,-1e200,yes\n3,1e200,no\n")
    (tmp_path / "p.toml").write_text(PROBLEM.format(source="csv:all.csv", split="count = 1", scale=scale))
    with pytest.raises(ValueError, match=words):
        nf.load(tmp_path / "p.toml")
