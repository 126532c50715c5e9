"""Problem files: every mistake at once and in its place, the catalogue, and rows made ready for their clients."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from newtonfl import problem_file
from newtonfl.data import VARIABLE

GOOD = """
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
[method]
name = "newton-3pc"
rho = 0.5
k = 3
lazy = true
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(ValueError) as caught:
        problem_file.parse(text, "here.toml")
    return str(caught.value).splitlines()


def silos(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)


def silo_file(extra: str = "", clients: str = "") -> problem_file.ProblemFile:
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
    return problem_file.parse(text, "here.toml")


def test_a_good_file():
    file = problem_file.parse(GOOD, "here.toml")
    assert file.title == "Digits" and file.where == "here.toml"
    assert file.data.classes == (3, 8) and file.objective.l2 == 1e-3 and file.objective.huber_delta == 1.35
    assert file.clients.count == 10 and file.clients.seed == 0
    assert file.reference.f_star is None and file.run.rounds is None
    assert file.method == {"name": "newton-3pc", "rho": 0.5, "k": 3, "lazy": True}


def test_every_mistake_is_told_at_once():
    lines = mistakes(
        """
        l2 = 3
        [data]
        source = "foo:x"
        scale = "standart"
        count = 3
        features = 0
        [objective]
        loss = "logistc"
        l2 = -1
        intercept = 1
        [clients]
        cuont = 3
        split = "dirichlet:-1"
        seed = 1.5
        [cleints]
        [run]
        rounds = 0
        tol = inf
        x0 = 3
        device = "gpu"
        [method]
        name = 3
        a = [1]
        """
    )
    for mark, *words in (
        ("l2:", "unknown", "[objective]"),
        ("[data] source:", "'foo:x'", "libsvm:"),
        ("[data] scale:", "'standart'", "'maxabs'", "did you mean 'standard'"),
        ("[data] count:", "unknown", "[clients]"),
        ("[data] features:", "given 0", "at least 1"),
        ("[objective] loss:", "'logistc'", "'poisson'", "did you mean 'logistic'"),
        ("[objective] l2:", "given -1", "at least 0"),
        ("[objective] intercept:", "given 1,", "true or false"),
        ("[clients] cuont:", "unknown", "did you mean count"),
        ("[clients] count:", "missing"),
        ("[clients] split:", "'dirichlet:-1'", "BETA"),
        ("[clients] seed:", "given 1.5", "whole number"),
        ("[cleints]:", "unknown", "did you mean clients"),
        ("[run] rounds:", "given 0", "at least 1"),
        ("[run] tol:", "given inf", "finite"),
        ("[run] x0:", "given 3", "string"),
        ("[run] device:", "'gpu'", "'cuda'"),
        ("[method] name:", "given 3", "string"),
        ("[method] a:", "given [1]"),
    ):
        line = [line for line in lines if line.startswith(f"here.toml: {mark}")]
        assert len(line) == 1, (mark, lines)
        assert all(word in line[0] for word in words), (words, line[0])
    assert len(lines) == 19


@pytest.mark.parametrize(
    "change, fault",
    [
        (("[3, 8]", "[3]"), "[data] classes: given [3], must be two labels"),
        (("[3, 8]", '["3", 8]'), "[data] classes: given ['3', 8], must be two labels"),
        (("[3, 8]", "[3, 3]"), "[data] classes: given [3, 3], must be two different labels"),
        (('"logistic"', '"squared"'), "[data] classes: given [3, 8], allowed only with loss = 'logistic'"),
        (("classes = [3, 8]", 'label = "y"'), "[data] label: given 'y', allowed only with a csv source"),
        (("l2 = 1e-3", "huber_delta = 2.0"), "[objective] huber_delta: given 2.0, allowed only with loss = 'huber'"),
        (("l2 = 1e-3", "penalise_intercept = true"), "[objective] penalise_intercept: given true"),
        (("count = 10", ""), "[clients] count: missing, must be at least 1"),
        (("sklearn:digits", "csv:*.csv"), "[clients] split: given 'blocks', must be 'files'"),
        (('"blocks"', '"files"'), "[data] scale: given 'maxabs', which needs all clients' rows"),
        (('"blocks"', '"column:a"'), "[clients] split: given 'column:a', allowed only with a csv or npz source"),
        (('name = "newton-3pc"', ""), "[method] name: missing"),
        (('loss = "logistic"', ""), "[objective] loss: missing"),
        (('[objective]\nloss = "logistic"\nl2 = 1e-3', ""), "[objective]: missing"),
        (("rho = 0.5", "rho ="), "not TOML: Invalid value (at line 15"),
        (("lazy = true", "lazy ="), "not TOML: Invalid value (at line 17"),
    ],
)
def test_single_mistakes(change, fault):
    assert change[0] in GOOD
    assert [line for line in mistakes(GOOD.replace(*change)) if line.startswith(f"here.toml: {fault}")]


def test_reading_a_file(tmp_path):
    path = tmp_path / "p.toml"
    with pytest.raises(FileNotFoundError, match="p.toml"):
        problem_file.read(path)
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert problem_file.read(path).where == str(path)
    path.write_bytes(b'title = "\xff"')
    with pytest.raises(ValueError, match="p.toml: not UTF-8"):
        problem_file.read(path)


# --- the catalogue


def test_every_problem_of_the_catalogue_is_sound():
    known = {name: path for name, path in problem_file.catalogue().items() if path.suffix == ".toml"}
    names = "breast_cancer digits a1a a9a w2a w8a phishing mushrooms madelon"
    assert set(names.split()) <= known.keys()
    for name, path in known.items():
        file = problem_file.read(path)
        assert file.title and file.where == str(path), name


def test_finding_a_problem(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = problem_file.catalogue()["digits"]
    for name in ("digits", "digits.toml", "problems/digits.toml", "problems/digits"):
        assert problem_file.find(name) == shipped
    (tmp_path / "digits").mkdir()
    assert problem_file.find("digits") == shipped
    (tmp_path / "digits.toml").write_text(GOOD)
    assert problem_file.find("digits.toml") == Path("digits.toml")  # a path that exists wins
    assert problem_file.find("digits") == shipped
    with pytest.raises(FileNotFoundError, match="did you mean digits.*newtonfl problems"):
        problem_file.find("digit")
    with pytest.raises(FileNotFoundError, match="no such file"):
        problem_file.find("elsewhere/digits.toml")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match="must be .toml or .py"):
        problem_file.find("notes.txt")


# --- rows


def test_rows_pick_classes_and_scale_before_the_split(tmp_path):
    table, parts = problem_file.rows(problem_file.parse(GOOD, "here.toml"), tmp_path)
    assert table.rows.shape == (357, 64) and set(table.labels) == {-1, 1} and table.rows.max() == 1
    assert sorted({len(part) for part in parts}) == [35, 36] and len(parts) == 10
    raw, labels = table.rows.sum(), table.labels
    table, _ = problem_file.rows(problem_file.parse(GOOD.replace("[3, 8]", "[8, 3]"), "here.toml"), tmp_path)
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
    table, parts = problem_file.rows(problem_file.parse(text, "here.toml"), tmp_path)
    np.testing.assert_array_equal(table.rows.ravel(), [1, 2, 4])
    np.testing.assert_array_equal(table.labels, [-1, 1, 1])
    assert [part.tolist() for part in parts] == [[1], [0, 2]]  # site B has no row left
    with pytest.raises(ValueError, match=r"here.toml: \[clients\] count: given 3, but column 'site' has 2"):
        problem_file.rows(problem_file.parse(text + "\ncount = 3", "here.toml"), tmp_path)


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
        problem_file.rows(problem_file.parse(GOOD.replace(*change), "here.toml"), tmp_path)


def test_sparse_rows_cannot_be_standardised_and_poisson_needs_counts(tmp_path):
    (tmp_path / "f").write_text("1 1:1 9:1\n-1 2:1\n")
    text = '[data]\nsource = "libsvm:f"\n{}\n[objective]\nloss = "{}"\n[clients]\ncount = 2'
    with pytest.raises(ValueError, match=r"here.toml: \[data\] .*maxabs"):
        problem_file.rows(problem_file.parse(text.format('scale = "standard"', "logistic"), "here.toml"), tmp_path)
    with pytest.raises(ValueError, match="f: loss = 'poisson' needs labels of at least 0; the least is -1"):
        problem_file.rows(problem_file.parse(text.format("", "poisson"), "here.toml"), tmp_path)
    table, _ = problem_file.rows(problem_file.parse(text.format("", "squared"), "here.toml"), tmp_path)
    np.testing.assert_array_equal(table.labels, [1, -1])


def test_one_file_a_client_is_decided_together(tmp_path):
    # b holds one class only; a alone would be dense and b alone sparse.
    silos(tmp_path, b="2 4:1\n2 1:3\n2 2:1\n", a="1 1:1 2:1 3:1 4:1\n2 1:2\n")
    file = silo_file()
    found = problem_file.sources(file, tmp_path)
    assert found == ["libsvm:a.txt", "libsvm:b.txt"]
    tables = [problem_file.silo(file, tmp_path, source) for source in found]
    assert [isinstance(table.rows, np.ndarray) for table in tables] == [True, False]
    agreement = problem_file.agree(file, [problem_file.summary(file, table) for table in tables])
    assert agreement == problem_file.Agreement(4, (1, 2), False)
    assert isinstance(problem_file.finish(file, tables[0], agreement).rows, sparse.csr_array)
    alone = problem_file.finish(file, tables[1], agreement)
    np.testing.assert_array_equal(alone.labels, [1, 1, 1])
    table, parts = problem_file.rows(file, tmp_path)
    assert [part.tolist() for part in parts] == [[0, 1], [2, 3, 4]]
    np.testing.assert_array_equal(table.labels, [-1, 1, 1, 1, 1])
    np.testing.assert_array_equal(table.rows[2:].toarray(), alone.rows.toarray())


def test_files_that_do_not_fit_together(tmp_path):
    silos(tmp_path, a="1 1:1\n-1 2:1\n", b="1 3:1\n")
    with pytest.raises(ValueError, match=r"libsvm:a.txt has 2 .*libsvm:b.txt has 3.*features = N under \[data\]"):
        problem_file.rows(silo_file(), tmp_path)
    table, _ = problem_file.rows(silo_file("features = 5"), tmp_path)
    assert table.rows.shape == (3, 5)
    with pytest.raises(ValueError, match=r"\[clients\] count: given 3, but .* 2 files"):
        problem_file.rows(silo_file("features = 5", clients="count = 3"), tmp_path)
    silos(tmp_path, c="7 1:1\n")
    with pytest.raises(ValueError, match=r"libsvm:\*.txt: two classes are needed, and there are 3"):
        problem_file.rows(silo_file("features = 5"), tmp_path)
    with pytest.raises(ValueError, match=r"libsvm:c.txt: no row has a label of classes = \[-1, 1\]"):
        problem_file.rows(silo_file("features = 5\nclasses = [-1, 1]"), tmp_path)
    with pytest.raises(FileNotFoundError, match="no file matches"):
        problem_file.rows(silo_file(), tmp_path / "nowhere")


def test_a1a_as_in_the_papers():
    named = os.environ.get(VARIABLE, "")
    if not named or not (Path(named) / "a1a").is_file():
        pytest.skip(f"{VARIABLE} names no folder with a1a")
    path = problem_file.find("a1a")
    table, parts = problem_file.rows(problem_file.read(path), path.parent)
    assert table.rows.shape == (1605, 123) and set(table.labels) == {-1, 1}
    assert [len(part) for part in parts] == [100] * 16 and parts[15][-1] == 1599
