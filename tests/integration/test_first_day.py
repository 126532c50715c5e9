"""What a newcomer sees on a first day: every mistake is answered by what was given, what is allowed, and what to do."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest
from command_line import caller, small_problem
from mpi_launch import launch

import newtonfl as nf
from newtonfl.registry import known

WIDTH, ENDLESS = 100, 240


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    """What a command says on stderr, in a folder with a small problem, where it ends with status 2 and no traceback."""
    call = caller(capsys, monkeypatch)
    small_problem(tmp_path)
    monkeypatch.chdir(tmp_path)

    def ask(line):
        status, out, err = call(*line.split())
        assert (status, out) == (2, "") and "Traceback" not in err, err
        return err

    return ask


# --- the command line's grammar


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", ["no command", "solve, resume, compare, plot", "`newtonfl solve breast_cancer`"]),
        ("slove small.toml", ["given 'slove'; did you mean solve?", "allowed are solve, resume, compare"]),
        ("solve", ["required: problem", "for example `newtonfl solve breast_cancer"]),
        ("solve small.toml newton", ["given 'newton' too many; a method stands behind --method"]),
        ("solve small.toml --tolerance 3", ["there is no --tolerance; did you mean --tol?", "`newtonfl solve --help`"]),
        ("solve small.toml --methods=gd", ["there is no --methods; did you mean --method?"]),
        ("solve small.toml --rounds ten", ["--rounds: given 'ten', must be a whole number"]),
        ("solve small.toml --tol small", ["--tol: given 'small', must be a number"]),
        ("solve small.toml --tol -1", ["--tol: given -1.0", "at least 0"]),
        ("solve small.toml --clients 0", ["given 0, must be a whole number of at least 1"]),
        ("solve small.toml --clients 100000", ["100000 clients", "40 rows"]),
        ("solve small.toml --device gpu", ["given 'gpu', allowed are cpu, cuda, auto; a GPU is cuda"]),
        ("compare small.toml --methods", ["--methods", "for example `newtonfl compare breast_cancer --methods "]),
        ("compare small.toml", ["required: --methods"]),
    ],
)
def test_a_word_that_the_grammar_does_not_have(refused, line, words):
    err = refused(line)
    assert all(word in err for word in words), err
    assert len(err.splitlines()) <= 2


# --- names


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--method foo", ["given 'foo'", "`newtonfl methods` lists"]),
        ("--method newton3pc", ["did you mean newton-3pc? (`newtonfl methods` lists them all)"]),
        ("--set compressor=foo", ["given 'foo'", "`newtonfl methods compressor`", "toplek"]),
        ("--set mechanism=zzz", ["given 'zzz'", "what `newtonfl methods mechanism` lists"]),
        ("--set foo=1", ["given 'foo'", "`newtonfl methods newton-3pc`", "participation"]),
        ("--set basis=foo", ["(allowed are data, rotation, symmetric, symmetric-plain, psd, support, auto)"]),
        ("--set gradient=zzz", ["allowed are exact and invariant and what `newtonfl methods compressor` lists"]),
    ],
)
def test_an_unknown_name_is_answered_in_no_endless_line(refused, line, words):
    err = refused(f"solve small.toml {line}")
    assert all(word in err for word in words), err
    assert all(len(row) <= ENDLESS for row in err.splitlines()), err


def test_a_files_method_is_a_text_or_refused_with_the_file(refused, tmp_path, capsys, monkeypatch):
    small, said = tmp_path / "small.toml", '[method]\nname = "{}"\n'
    problem = small.read_text()
    small.write_text(problem + said.format("newton-3pcs"))
    assert "small.toml: [method] name: method: given 'newton-3pcs'; did you mean newton-3pc?" in refused(
        "solve small.toml"
    )
    small.write_text(problem + said.format("fednl,compressor=topk:2") + 'compressor = "topk:3"\n')
    assert "[method] compressor: given 'topk:3', and name says 'topk:2'" in refused("solve small.toml")
    small.write_text(problem + said.format("fednl,compressor=topk:2"))
    status, out, _ = caller(capsys, monkeypatch)("solve", "small.toml", "--quiet")
    assert (
        status == 0 and "converged" in out and re.search(r"^method +fednl$", out, re.M) and " compressor=topk:2 " in out
    )


def test_every_listing_has_a_name_a_line_and_fits_the_screen(capsys, monkeypatch):
    call = caller(capsys, monkeypatch)
    for kind in ("compressor", "mechanism", "basis", "loss", "participation", "aggregator", "method"):
        status, out, _ = call("methods", *([] if kind == "method" else [kind]))
        names = [line.split()[0] for line in out.splitlines() if line.strip()]
        assert status == 0 and names[: len(known(kind))] == known(kind)
        assert all(len(line) <= WIDTH for line in out.splitlines() if line.split()[:1] != ["`newtonfl"]), out
    assert "A compressor alone is ef21 with it:" in call("methods", "mechanism")[1]


# --- files


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("missing.toml", ["missing.toml: no such file in {folder}", "no such problem of the catalogue"]),
        ("smal.toml", ["no such file in {folder}", "did you mean small.toml?"]),
        ("brest_cancer", ["no such file in {folder}", "did you mean breast_cancer?", "`newtonfl problems`"]),
        ("no/such/p.toml", ["no/such/p.toml: no such file: there is no folder {folder}/no/such"]),
        (".", ["given a folder", "did you mean small.toml?"]),
        ("runs/first", ["given a folder", "did you mean runs/first/run.toml?", "does that run again"]),
        ("runs", ["given a folder", "did you mean runs/first/run.toml?"]),
        ("notes.txt", ["ends in '.txt'", "must be .toml or .py", "under [data] source"]),
    ],
)
def test_what_is_no_problem_file(refused, tmp_path, line, words):
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "run.toml").write_text("")
    (tmp_path / "notes.txt").write_text("")
    err = refused(f"solve {line}")
    assert all(word.format(folder=tmp_path) in err for word in words), err
    assert "phishing" not in err


@pytest.mark.parametrize("words", ["small.csv", "csv:small.csv", "libsvm:a9a", "csv:s*.csv"])
def test_data_without_a_problem_get_the_file_that_would_do(refused, tmp_path, capsys, monkeypatch, words):
    err = refused(f"solve {words}")
    found = "\n".join(re.findall(r"^    (.*)$", err, re.M))
    source = words if ":" in words else f"csv:{words}"
    document = tomllib.loads(found)
    assert list(document) == ["data", "objective", "clients"] and document["data"]["source"] == source
    assert ("`newtonfl solve a9a`" in err) == (words == "libsvm:a9a")
    if "csv" in words:  # the data are there
        (tmp_path / "mine.toml").write_text(found)
        status, out, _ = caller(capsys, monkeypatch)("solve", "mine.toml", "--quiet")
        assert status == 0 and "converged" in out


# --- Python that fails

OWN = """import numpy as np
import newtonfl as nf


def rows():
    return np.zeros(3) + np.zeros(4)


def gradient(i, x):
    return x / table[i]


def problem(comm=None):
    return {}
"""
FUNCTIONS = "nf.FromFunctions(2, 3, lambda i, x: x @ x / 2, gradient, lambda i, x: np.eye(3), transport=comm)"


def test_a_python_problem_that_fails_names_its_line(refused, tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.py").write_text(OWN.format("nf.from_arrays(rows(), [0, 1])"))
    assert "mine.py, line 6: ValueError: operands could not be broadcast" in refused("solve mine.py")
    with pytest.raises(ValueError, match=r"^mine\.py, line 6: ValueError: operands"):
        nf.load("mine.py")
    (tmp_path / "mine.py").write_text(OWN.format("nf.from_arrays([[1.0]], [0], 'logistik')"))
    assert "mine.py, line 14: ValueError: loss: given 'logistik'; did you mean logistic?" in refused("solve mine.py")
    (tmp_path / "mine.py").write_text("import helper_of_mine\n")
    (tmp_path / "helper_of_mine.py").write_text("\nx = 1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    for line in ("solve mine.py", "solve small.toml --load mine.py", "check mine.py"):
        assert "helper_of_mine.py, line 2: ZeroDivisionError" in refused(line)
    (tmp_path / "mine.py").write_text(OWN.format(FUNCTIONS))
    for line in ("solve", "check"):
        status, out, err = caller(capsys, monkeypatch)(line, "mine.py")
        assert status == 1 and "NameError: name 'table' is not defined" in out + err and "mine.py, line 10" in out + err
    assert "for client 0, mine.py, line 10" in caller(capsys, monkeypatch)("solve", "mine.py")[2]


@pytest.mark.mpi
def test_more_ranks_than_clients_or_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = small_problem(tmp_path)
    ended = launch(3, "-m", "newtonfl", "solve", small, "--clients", "2")
    assert ended.status == 2 and "3 ranks and 2 clients: " in ended.err and "mpiexec -n 2" in ended.err
    (tmp_path / "silos").mkdir()
    for name in "ab":
        (tmp_path / "silos" / f"{name}.csv").write_text((tmp_path / "small.csv").read_text())
    silos = small.read_text().replace("small.csv", "silos/*.csv").replace("count = 4", "")
    small.write_text(silos.replace('"blocks"', '"files"'))
    ended = launch(3, "-m", "newtonfl", "solve", small)
    assert ended.status == 2 and "3 ranks and 2 files, one a client: " in ended.err and "mpiexec -n 2" in ended.err


# --- in Python


def problem():
    return nf.load("breast_cancer", clients=2)


def rows():
    return np.arange(40.0).reshape(20, 2) % 7, np.arange(20) % 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: nf.solve(nf.newton(), p), r"problem: given second, must be first: nf\.solve\(problem, method\)"),
        (lambda p: nf.compare(["newton"], p), r"given second, must be first: nf\.compare\(problem, methods\)"),
        (lambda p: nf.solve("breast_cancer", nf.newton()), r"nf\.load\('breast_cancer'\) makes it one"),
        (lambda p: nf.compare("breast_cancer", ["gd"]), r"nf\.load\('breast_cancer'\) makes it one"),
        (lambda p: nf.optimum("breast_cancer"), r"nf\.load\('breast_cancer'\) makes it one"),
        (lambda p: nf.solve(rows()[0], "gd"), r"given a ndarray, must be a Problem, as .* nf\.from_arrays"),
        (lambda p: nf.solve(p), "method: given none, must be a Method such as"),
        (lambda p: nf.solve(p, None), "method: given none, must be a Method such as"),
        (lambda p: nf.solve(p, nf.newton), r"given newton itself, must be a Method, such as nf\.newton\(\) returns"),
        (
            lambda p: nf.solve(p, nf.TopK(3)),
            r"TopK\(k=3\), a compressor, must be a Method; .* nf\.newton_3pc\(compressor=",
        ),
        (lambda p: nf.solve(p, "newton3pc"), "given 'newton3pc'; did you mean newton-3pc?"),
        (lambda p: nf.solve(p, "gd", x0="zeros"), "x0: given the text 'zeros', must be an array"),
        (lambda p: nf.solve(p, "gd", tol="small"), "tol: given 'small', must be a finite number"),
        (lambda p: nf.compare(p, "gd"), r"must be a list of texts or Methods: \['gd'\]"),
        (lambda p: nf.compare(p, nf.gd()), "methods: given 'gd' alone, must be a list"),
        (lambda p: nf.compare(p, [nf.gd]), r"given gd itself, must be a Method, such as nf\.gd\(\) returns"),
        (lambda p: nf.compare(p, {"a": nf.TopK(3)}), "a compressor, must be a Method"),
        (lambda p: nf.load(p), r"problem: given GLM, must be the path .* nf\.from_arrays"),
        (lambda p: nf.FederatedRidge(method=nf.gd).fit(*rows()), "given gd itself"),
        (lambda p: nf.FederatedRidge(method="gdd").fit(*rows()), "given 'gdd'; did you mean gd?"),
        (lambda p: nf.FederatedRidge(method=nf.TopK(3)).fit(*rows()), "a compressor, must be a Method"),
    ],
)
def test_an_argument_that_is_another_thing(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make(problem())


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Newton3PC", "did you mean newton_3pc?"),
        ("newton3pc", "did you mean newton_3pc?"),
        ("topk", "did you mean TopK?"),
        ("EF21Plus", "did you mean ef21_plus?"),
        ("FederatedLogistic", "did you mean FederatedLogisticRegression?"),
        ("zzz", "dir(newtonfl) lists what it has"),
    ],
)
def test_a_name_that_the_package_does_not_have(name, near):
    with pytest.raises(AttributeError, match=re.escape(f"newtonfl has no {name}; {near}")):
        getattr(nf, name)
    assert not hasattr(nf, name)
