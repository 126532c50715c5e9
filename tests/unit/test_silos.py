"""From a problem file to rows, made ready for their clients: in one place, or one file a client."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from newtonfl.comm.transport import InProcess
from newtonfl.datasets import partition
from newtonfl.datasets.agreement import Agreement, agree
from newtonfl.datasets.catalogue import find
from newtonfl.datasets.fetch import VARIABLE
from newtonfl.datasets.problem_file import ProblemFile
from newtonfl.datasets.problem_reader import parse, read

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


def distributed(file: ProblemFile, folder: Path):
    return partition.distribute_file(file, folder, InProcess())


def test_rows_pick_classes_and_scale_before_the_split(tmp_path):
    found = distributed(parse(DIGITS, "here.toml"), tmp_path)
    assert found.rows.shape == (357, 64) and set(found.labels) == {-1, 1} and found.rows.max() == 1
    assert set(found.sizes) == {35, 36} and found.n_clients == len(found.sizes) == 10
    other = distributed(parse(DIGITS.replace("[3, 8]", "[8, 3]"), "here.toml"), tmp_path)
    assert other.rows.sum() == found.rows.sum()
    np.testing.assert_array_equal(other.labels, -found.labels)


def test_rows_by_a_column_after_picking_classes(tmp_path):
    (tmp_path / "c.csv").write_text("site,a,y\nC,1,0\nA,2,1\nB,3,2\nC,4,1\n")
    text = """
    [data]
    source = "csv:c.csv"
    label = "y"
    classes = [0, 1]
    [objective]
    loss = "logistic"
    [clients]
    split = "column:site"
    """
    found = distributed(parse(text, "here.toml"), tmp_path)
    np.testing.assert_array_equal(found.rows.ravel(), [2, 1, 4])
    np.testing.assert_array_equal(found.labels, [1, -1, 1])
    assert found.sizes.tolist() == [1, 2]  # site B has no row left
    with pytest.raises(ValueError, match=r"here.toml: \[clients\] count: given 3, but column 'site' has 2"):
        distributed(parse(text + "\ncount = 3", "here.toml"), tmp_path)


TWO_SITES = """
[data]
source = "csv:s*.csv"
label = "y"
classes = ["no", "yes"]
categorical = ["c"]
missing = "mean"
{more}
[objective]
loss = "logistic"
intercept = true
[clients]
split = "files"
"""


def put_two_sites(folder: Path, header: str = "a,c,y") -> None:
    (folder / "s1.csv").write_text(f"{header}\n1,u,no\n,v,yes\n100,w,perhaps\n")
    (folder / "s2.csv").write_text(f"{header}\n4,u,yes\n60,x,Yes\n")


def test_rows_of_other_labels_are_left_out_before_means_and_words(tmp_path):
    put_two_sites(tmp_path)
    found = distributed(parse(TWO_SITES.format(more=""), "here.toml"), tmp_path)
    assert found.agreement.shared.feature_names == ("a", "c=u", "c=v")
    np.testing.assert_array_equal(found.rows, [[1, 1, 0], [2.5, 0, 1], [4, 1, 0]])  # 2.5 = (1 + 4) / 2
    assert found.agreement.left_out == 2
    assert distributed(parse(TWO_SITES.format(more="left_out = 2"), "here.toml"), tmp_path).n_clients == 2
    with pytest.raises(ValueError, match=r"\[data\] left_out: given 0, but of the rows of csv:s\*.csv 2 are left out"):
        distributed(parse(TWO_SITES.format(more="left_out = 0"), "here.toml"), tmp_path)
    other = TWO_SITES.replace("no", "No", 1).format(more="")
    with pytest.raises(ValueError, match=r"has the label 'No'; the labels are 'Yes', 'no', 'perhaps', 'yes'"):
        distributed(parse(other, "here.toml"), tmp_path)


@pytest.mark.parametrize("name", ["c=u", "intercept"])
def test_two_features_of_one_name_are_refused(tmp_path, name):
    put_two_sites(tmp_path, f"{name},c,y")
    with pytest.raises(ValueError, match=rf"here.toml: two features would be called '{name}'"):
        distributed(parse(TWO_SITES.format(more=""), "here.toml"), tmp_path)


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
        distributed(parse(DIGITS.replace(*change), "here.toml"), tmp_path)


def test_sparse_rows_cannot_be_standardised_and_poisson_needs_counts(tmp_path):
    (tmp_path / "f").write_text("1 1:1 9:1\n-1 2:1\n")
    text = '[data]\nsource = "libsvm:f"\n{}\n[objective]\nloss = "{}"\n[clients]\ncount = 2'
    with pytest.raises(ValueError, match=r"here.toml: \[data\] .*maxabs"):
        distributed(parse(text.format('scale = "standard"', "logistic"), "here.toml"), tmp_path)
    with pytest.raises(ValueError, match="f: loss = 'poisson' needs labels of at least 0; the least is -1"):
        distributed(parse(text.format("", "poisson"), "here.toml"), tmp_path)
    found = distributed(parse(text.format("", "squared"), "here.toml"), tmp_path)
    np.testing.assert_array_equal(found.labels, [1, -1])


def test_words_are_no_labels_of_a_loss_without_classes(tmp_path):
    np.savez(tmp_path / "n.npz", X=np.ones((2, 1)), y=["no", "yes"])
    problem = '[data]\nsource = "npz:n.npz"\n[objective]\nloss = "{}"\n[clients]\ncount = 2'
    with pytest.raises(ValueError, match=r"npz:n.npz: loss = 'squared' needs numbers for labels; these are words"):
        distributed(parse(problem.format("squared"), "here.toml"), tmp_path)
    assert distributed(parse(problem.format("logistic"), "here.toml"), tmp_path).labels.tolist() == [-1, 1]


def test_one_file_a_client_is_decided_together(tmp_path):
    # b holds one class only; a alone would be dense and b alone sparse.
    put(tmp_path, b="2 4:1\n2 1:3\n2 2:1\n", a="1 1:1 2:1 3:1 4:1\n2 1:2\n")
    file = silo_file()
    found = partition.client_sources(file, tmp_path)
    assert found == ["libsvm:a.txt", "libsvm:b.txt"]
    tables = [partition.read_source(file, tmp_path, source) for source in found]
    assert [isinstance(table.rows, np.ndarray) for table in tables] == [True, False]
    agreement = agree([partition.describe_table(file, table) for table in tables])
    assert agreement == Agreement(4, False, (1.0, 2.0), "<f8")
    classes = partition.choose_classes(file, agreement)
    assert isinstance(partition.prepare(file, tables[0], agreement, classes).rows, sparse.csr_array)
    alone = partition.prepare(file, tables[1], agreement, classes)
    np.testing.assert_array_equal(alone.labels, [1, 1, 1])
    whole = distributed(file, tmp_path)
    assert whole.clients.tolist() == [0, 1] and whole.sizes.tolist() == [2, 3]
    np.testing.assert_array_equal(whole.labels, [-1, 1, 1, 1, 1])
    np.testing.assert_array_equal(whole.rows[2:].toarray(), alone.rows.toarray())


def test_files_that_do_not_fit_together(tmp_path):
    put(tmp_path, a="1 1:1\n-1 2:1\n", b="1 3:1\n")
    with pytest.raises(ValueError, match=r"libsvm:a.txt has 2 .*libsvm:b.txt has 3.*features = N under \[data\]"):
        distributed(silo_file(), tmp_path)
    assert distributed(silo_file("features = 5"), tmp_path).rows.shape == (3, 5)
    with pytest.raises(ValueError, match=r"\[clients\] count: given 3, but .* 2 files"):
        distributed(silo_file("features = 5", clients="count = 3"), tmp_path)
    put(tmp_path, c="7 1:1\n")
    with pytest.raises(ValueError, match=r"libsvm:\*.txt: two classes are needed, and there are 3"):
        distributed(silo_file("features = 5"), tmp_path)
    with pytest.raises(ValueError, match=r"libsvm:c.txt: no row has a label of classes = \[-1, 1\]"):
        distributed(silo_file("features = 5\nclasses = [-1, 1]"), tmp_path)
    with pytest.raises(FileNotFoundError, match="no file matches"):
        distributed(silo_file(), tmp_path / "nowhere")


@pytest.mark.data
def test_a1a_as_in_the_papers():
    named = os.environ.get(VARIABLE, "")
    if not named or not (Path(named) / "a1a").is_file():
        pytest.skip(f"{VARIABLE} names no folder with a1a")
    path = find("a1a")
    found = distributed(read(path), path.parent)
    assert found.rows.shape == (1600, 123) and set(found.labels) == {-1, 1}
    assert found.sizes.tolist() == [100] * 16
