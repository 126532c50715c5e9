"""What a source may be; classes and scaling."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.datasets
from scipy import sparse

from newtonfl.datasets import sklearn_reader, sources
from newtonfl.objectives.scaling import Scaling


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("name", sklearn_reader.SKLEARN)
def test_sklearn_sets_are_scikit_learns(monkeypatch, name, installed):
    if not installed:  # where scikit-learn keeps its files elsewhere
        monkeypatch.setattr(sklearn_reader, "find_spec", lambda name: None)
    table, theirs = sklearn_reader.read_sklearn(name, "sklearn"), getattr(sklearn.datasets, f"load_{name}")()
    np.testing.assert_array_equal(table.rows, theirs.data, strict=True)
    np.testing.assert_array_equal(table.labels, theirs.target.astype(float), strict=True)
    assert list(table.column_names) == list(theirs.feature_names)


def test_sklearn_sets_and_what_a_source_may_be():
    table = sources.read("sklearn:wine")
    assert table.rows.shape == (178, 13) and set(table.labels) == {0, 1, 2}
    with pytest.raises(ValueError, match=r"'sklearn:cars'.*digits"):
        sources.read("sklearn:cars")
    with pytest.raises(ValueError, match=r"'excel:a'.*csv:PATH"):
        sources.read("excel:a")
    with pytest.raises(ValueError, match=r"label = 3.*CSV"):
        sources.read("sklearn:wine", label=3)
    with pytest.raises(ValueError, match="no column 'a' to split by"):
        sources.read("sklearn:wine", group="a")


def test_globs(tmp_path):
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_text("1,2\n")
    assert sources.expand("csv:*.csv", tmp_path) == ["csv:a.csv", "csv:b.csv"]
    assert sources.expand("csv:a.csv", tmp_path) == ["csv:a.csv"]
    with pytest.raises(FileNotFoundError, match="no file matches"):
        sources.expand("csv:*.tsv", tmp_path)


# --- classes and scaling


def test_two_classes():
    labels, kept = sources.two_classes(np.array([2.0, 1.0, 2.0]), None, "here")
    np.testing.assert_array_equal(labels, [1, -1, 1])
    np.testing.assert_array_equal(kept, [0, 1, 2])
    labels, kept = sources.two_classes(np.array([8.0, 5.0, 3.0, 8.0]), (8, 3), "here")
    np.testing.assert_array_equal(labels, [-1, 1, -1])
    np.testing.assert_array_equal(kept, [0, 2, 3])
    np.testing.assert_array_equal(sources.two_classes(np.array([3.0, 3.0]), (3, 8), "here")[0], [-1, -1])
    with pytest.raises(ValueError, match=r"here: .*10 different labels \(0, 1.*classes = \[a, b\]"):
        sources.two_classes(np.arange(10.0), None, "here")
    with pytest.raises(ValueError, match="there are 1 different labels"):
        sources.two_classes(np.ones(3), None, "here")
    with pytest.raises(ValueError, match=r"classes = \[3, 8\]; the labels are 1, 2"):
        sources.two_classes(np.array([1.0, 2.0]), (3, 8), "here")


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_scaling_by_columns_and_rows(form):
    plain = np.array([[1.0, 0.0, -4.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    rows = form(plain)
    for how, expected in (
        ("none", plain),
        ("maxabs", [[1, 0, -1], [0, 0, 0.75], [0, 0, 0]]),
        ("unit-rows", np.array([[1, 0, -4], [0, 0, 17**0.5], [0, 0, 0]]) / 17**0.5),
    ):
        scaled = Scaling.of(rows, how).apply(rows)
        assert type(scaled) is type(rows)
        np.testing.assert_allclose(scaled.toarray() if sparse.issparse(scaled) else scaled, expected, rtol=1e-15)
    np.testing.assert_array_equal(rows.toarray() if sparse.issparse(rows) else rows, plain)  # left as it was


def test_standard_scaling():
    rows = np.random.default_rng(0).normal(5, 3, (50, 4))
    rows[:, 2] = 0.1  # its mean over 50 rows is not 0.1
    scaled = Scaling.of(rows, "standard").apply(rows)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0, 1], rtol=1e-14)
    assert not scaled[:, 2].any()
    with pytest.raises(ValueError, match="maxabs"):
        Scaling.of(sparse.csr_array(rows), "standard")
    with pytest.raises(ValueError, match="given 'log', allowed are none"):
        Scaling.of(rows, "log")
