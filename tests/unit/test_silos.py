"""From a problem file to rows, made ready for their clients: in one place, or one file a client."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from newtonfl.datasets import partition
from newtonfl.datasets.catalogue import find
from newtonfl.datasets.fetch import VARIABLE
from newtonfl.datasets.problem_file import ProblemFile, parse, read

DIGITS = """
title = "Digits"
[data]
source = "sklearn:digits"
classes = [3, 8]
scale = "maxabs"
[objective]
loss = "logistic"
l2 = 1e-3
[clients]
count = 10
split = "blocks"
"""


def put(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)


def silo_file(extra: str = "", clients: str = "") -> ProblemFile:
    text = f"""
    [data]
    source = "libsvm:*.txt"
    {extra}
    [objective]
    loss = "logistic"
    [clients]
    split = "files"
    {clients}
    """
    return parse(text, "here.toml")


def test_rows_pick_classes_and_scale_before_the_split(tmp_path):
    table, parts = partition.rows(parse(DIGITS, "here.toml"), tmp_path)
    assert table.rows.shape == (357, 64) and set(table.labels) == {-1, 1} and table.rows.max() == 1
    assert sorted({len(part) for part in parts}) == [35, 36] and len(parts) == 10
    raw, labels = table.rows.sum(), table.labels
    table, _ = partition.rows(parse(DIGITS.replace("[3, 8]", "[8, 3]"), "here.toml"), tmp_path)
    assert table.rows.sum() == raw
    np.testing.assert_array_equal(table.labels, -labels)


def test_rows_by_a_column_after_picking_classes(tmp_path):
    (tmp_path / "c.csv").write_text("site,a,y\nC,1,0\nA,2,1\nB,3,2\nC,4,1\n")
    text = """
    [data]
    source = "csv:c.csv"
    classes = [0, 1]
    [objective]
    loss = "logistic"
    [clients]
    split = "column:site"
    """
    table, parts = partition.rows(parse(text, "here.toml"), tmp_path)
    np.testing.assert_array_equal(table.rows.ravel(), [1, 2, 4])
    np.testing.assert_array_equal(table.labels, [-1, 1, 1])
    assert [part.tolist() for part in parts] == [[1], [0, 2]]  # site B has no row left
    with pytest.raises(ValueError, match=r"here.toml: \[clients\] count: given 3, but column 'site' has 2"):
        partition.rows(parse(text + "\ncount = 3", "here.toml"), tmp_path)


@pytest.mark.parametrize(
    "change, fault",
    [
        (("classes = [3, 8]", ""), r"10 different labels .*classes = \[a, b\]"),
        (("[3, 8]", "[3, 11]"), r"\[data\] classes: given \[3, 11\], but no row of sklearn:digits has the label 11"),
        (("count = 10", "count = 1000"), r"here.toml: \[clients\] count: given 1000 clients, .*only 357 rows"),
    ],
)
def test_rows_that_cannot_be(tmp_path, change, fault):
    with pytest.raises(ValueError, match=fault):
        partition.rows(parse(DIGITS.replace(*change), "here.toml"), tmp_path)


def test_sparse_rows_cannot_be_standardised_and_poisson_needs_counts(tmp_path):
    (tmp_path / "f").write_text("1 1:1 9:1\n-1 2:1\n")
    text = '[data]\nsource = "libsvm:f"\n{}\n[objective]\nloss = "{}"\n[clients]\ncount = 2'
    with pytest.raises(ValueError, match=r"here.toml: \[data\] .*maxabs"):
        partition.rows(parse(text.format('scale = "standard"', "logistic"), "here.toml"), tmp_path)
    with pytest.raises(ValueError, match="f: loss = 'poisson' needs labels of at least 0; the least is -1"):
        partition.rows(parse(text.format("", "poisson"), "here.toml"), tmp_path)
    table, _ = partition.rows(parse(text.format("", "squared"), "here.toml"), tmp_path)
    np.testing.assert_array_equal(table.labels, [1, -1])


def test_one_file_a_client_is_decided_together(tmp_path):
    # b holds one class only; a alone would be dense and b alone sparse.
    put(tmp_path, b="2 4:1\n2 1:3\n2 2:1\n", a="1 1:1 2:1 3:1 4:1\n2 1:2\n")
    file = silo_file()
    found = partition.client_sources(file, tmp_path)
    assert found == ["libsvm:a.txt", "libsvm:b.txt"]
    tables = [partition.silo(file, tmp_path, source) for source in found]
    assert [isinstance(table.rows, np.ndarray) for table in tables] == [True, False]
    agreement = partition.agree(file, [partition.summary(file, table) for table in tables])
    assert agreement == partition.Agreement(4, (1, 2), False)
    assert isinstance(partition.finish(file, tables[0], agreement).rows, sparse.csr_array)
    alone = partition.finish(file, tables[1], agreement)
    np.testing.assert_array_equal(alone.labels, [1, 1, 1])
    table, parts = partition.rows(file, tmp_path)
    assert [part.tolist() for part in parts] == [[0, 1], [2, 3, 4]]
    np.testing.assert_array_equal(table.labels, [-1, 1, 1, 1, 1])
    np.testing.assert_array_equal(table.rows[2:].toarray(), alone.rows.toarray())


def test_files_that_do_not_fit_together(tmp_path):
    put(tmp_path, a="1 1:1\n-1 2:1\n", b="1 3:1\n")
    with pytest.raises(ValueError, match=r"libsvm:a.txt has 2 .*libsvm:b.txt has 3.*features = N under \[data\]"):
        partition.rows(silo_file(), tmp_path)
    table, _ = partition.rows(silo_file("features = 5"), tmp_path)
    assert table.rows.shape == (3, 5)
    with pytest.raises(ValueError, match=r"\[clients\] count: given 3, but .* 2 files"):
        partition.rows(silo_file("features = 5", clients="count = 3"), tmp_path)
    put(tmp_path, c="7 1:1\n")
    with pytest.raises(ValueError, match=r"libsvm:\*.txt: two classes are needed, and there are 3"):
        partition.rows(silo_file("features = 5"), tmp_path)
    with pytest.raises(ValueError, match=r"libsvm:c.txt: no row has a label of classes = \[-1, 1\]"):
        partition.rows(silo_file("features = 5\nclasses = [-1, 1]"), tmp_path)
    with pytest.raises(FileNotFoundError, match="no file matches"):
        partition.rows(silo_file(), tmp_path / "nowhere")


@pytest.mark.data
def test_a1a_as_in_the_papers():
    named = os.environ.get(VARIABLE, "")
    if not named or not (Path(named) / "a1a").is_file():
        pytest.skip(f"{VARIABLE} names no folder with a1a")
    path = find("a1a")
    table, parts = partition.rows(read(path), path.parent)
    assert table.rows.shape == (1605, 123) and set(table.labels) == {-1, 1}
    assert [len(part) for part in parts] == [100] * 16 and parts[15][-1] == 1599
