"""The command line: what it prints and writes, its exit status, and every refusal in words."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from command_line import SMALL

import newtonfl as nf
from newtonfl.core.backend import pick_device
from newtonfl.results.history import History


def test_a_solve_says_what_it_did(run, small, tmp_path):
    status, out, err = run("solve", small, "--out", tmp_path / "out")
    assert status == 0
    assert len(out.splitlines()) <= 25
    for word in ("Small", "(1/40) Σ_j log(1 + exp(-y aᵀx)) + (0.01/2)‖x‖²", "converged", "rounds", "set-up", "seconds"):
        assert word in out
    assert err == ""  # a progress line is for a terminal, or for a solve of ten seconds


def test_a_run_folder_holds_the_whole_run(run, small, tmp_path):
    run("solve", small, "--quiet", "--out", tmp_path / "out")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    history = History.read(tmp_path / "out" / "history.jsonl")
    x = np.load(tmp_path / "out" / "x.npy")
    assert result["converged"] and result["rounds"] == history[-1].round == len(history) - 1
    assert result["f"] == history[-1].f and result["gradient_norm"] <= 1e-10
    assert result["bytes"]["up"]["mean"] == history[-1].bytes_up
    assert result["bytes"]["setup"]["total"] == 4 * (history[0].setup_bytes_up + history[0].setup_bytes_down)
    # 32 bits a number: gradients every round, Top-3 in every round but the first, the model down every round.
    assert result["formula_bits"]["up"]["mean"] == 32 * 3 * result["rounds"] + 32 * 3 * (result["rounds"] - 1)
    assert result["formula_bits"]["down"]["mean"] == 32 * 3 * result["rounds"]
    assert result["formula_bits"]["setup"]["mean"] == 32 * 6
    assert x.shape == (3,) and result["n_clients"] == 4 and result["ranks"] == 1
    needed = {
        "problem",
        "objective",
        "method",
        "settings",
        "reason",
        "seconds",
        "seed",
        "device",
        "version",
        "x_sha256",
    }
    assert needed <= set(result)


@pytest.mark.parametrize("start", ["zeros", "optimum+0.5", "start.npy"])
def test_run_toml_gives_the_same_bits(run, small, tmp_path, start, monkeypatch):
    np.save(tmp_path / "start.npy", np.array([1.0, -2.0, 0.5]))
    monkeypatch.chdir(tmp_path)
    words = ["--method", "fednl", "--set", "compressor=randk:2", "--set", "step=project", "--seed", "3"]
    status, *_ = run("solve", small, *words, "--x0", start, "--rounds", "30", "--clients", "5", "--out", "first")
    assert status == 0
    monkeypatch.chdir("/")
    status, *_ = run("solve", tmp_path / "first" / "run.toml", "--out", tmp_path / "second")
    assert status == 0
    first, second = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("first", "second"))
    assert first["x_sha256"] == second["x_sha256"] and first["settings"] == second["settings"]
    first_lines, second_lines = (History.read(tmp_path / name / "history.jsonl") for name in ("first", "second"))
    assert [r.f for r in first_lines] == [r.f for r in second_lines] and len(first_lines) > 3


def test_the_non_convex_regulariser_is_told_and_kept(run, small, tmp_path):
    """In the objective's formula and in run.toml, which gives the same bits; the file's own weight is replaced."""
    small.write_text(SMALL.replace("l2 = 1e-2", "l2 = 1e-2\nnonconvex = 0.7"))
    words = ["--method", "gd", "--tol", "1e-6", "--rounds", "5000", "--nonconvex", "0.1"]
    assert run("solve", small, *words, "--out", tmp_path / "first")[0] == 0
    assert "nonconvex = 0.1\n" in (tmp_path / "first" / "run.toml").read_text()
    assert run("solve", tmp_path / "first" / "run.toml", "--out", tmp_path / "second")[0] == 0
    first, second = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("first", "second"))
    assert first["x_sha256"] == second["x_sha256"] and first["converged"]
    assert first["objective"].endswith("+ (0.01/2)‖x‖² + 0.1 Σ x_j²/(1 + x_j²)")
    rows = np.loadtxt(tmp_path / "small.csv", delimiter=",", skiprows=1)
    a, y, x = rows[:, :3], 2 * rows[:, 3] - 1, np.load(tmp_path / "first" / "x.npy")
    slopes = -y / (1 + np.exp(y * (a @ x)))
    assert np.linalg.norm(slopes @ a / 40 + 0.01 * x + 0.2 * x / (1 + x**2) ** 2) <= 1.001e-6
    assert run("solve", tmp_path / "first" / "run.toml", "--nonconvex", "0", "--out", tmp_path / "none")[0] == 0
    assert "nonconvex" not in (tmp_path / "none" / "run.toml").read_text()


def test_a_python_problem_of_the_catalogue_runs_again_from_its_settings(run, tmp_path):
    assert run("solve", "quadratic", "--clients", "3", "--out", tmp_path / "a")[0] == 0
    assert run("solve", tmp_path / "a" / "run.toml", "--out", tmp_path / "b")[0] == 0
    a, b = (json.loads((tmp_path / name / "result.json").read_text()) for name in "ab")
    assert a["x_sha256"] == b["x_sha256"] and a["n_clients"] == 3 and abs(a["gap"]) < 1e-12


def test_a_settings_file_does_not_run_python_from_elsewhere(run, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "import numpy as np\nimport newtonfl as nf\n\ndef problem(comm=None):\n"
        "    return nf.FromFunctions(2, 2, lambda i, x: x @ x / 2 + i * x[0], lambda i, x: x + np.array([i, 0.0]),\n"
        "                            lambda i, x: np.eye(2), transport=comm)\n"
    )
    assert run("solve", own, "--method", "newton", "--out", tmp_path / "a")[0] == 0
    status, _, err = run("solve", tmp_path / "a" / "run.toml")
    assert status == 2 and "does not run code" in err and str(own) in err


def test_the_catalogue_and_the_methods_are_listed(run):
    status, out, _ = run("problems")
    assert status == 0 and "breast_cancer" in out and "quadratic" in out
    status, out, _ = run("problems", "breast_cancer")
    assert status == 0 and "at hand: comes with scikit-learn" in out
    status, out, _ = run("methods")
    assert status == 0 and "newton-3pc" in out
    status, out, _ = run("methods", "newton-3pc")
    assert status == 0 and "2206.03588" in out and "compressor = topk:1d" in out and "shift_norm = frobenius" in out


def refused(run, *words):
    status, out, err = run(*words)
    assert status == 2, (status, out, err)
    assert out == "" and "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--method", "newton-3cp"], ["'newton-3cp'", "did you mean newton-3pc?", "`newtonfl methods`"]),
        (["--set", "compresor=topk:3"], ["'compresor'", "did you mean compressor?", "`newtonfl methods newton-3pc`"]),
        (["--set", "compressor=topq:3"], ["'topq'", "did you mean topk?", "`newtonfl methods compressor`"]),
        (["--set", "compressor=topk"], ["topk needs k (K, or a multiple"]),
        (["--set", "compressor=topk:0"], ["0", "at least 1"]),
        (["--set", "compressor=topk:7"], ["K = 7", "at most 6", "d(d+1)/2", "d = 3"]),
        (["--set", "compressor=rank:4"], ["rank:4", "at most d = 3"]),
        (["--set", "step=newton"], ["'newton'", "shift, project, plain"]),
        (["--set", "alpha=2"], ["alpha", "2", "(0, 1]"]),
        (["--set", "compressor=randk:2", "--set", "alpha=1"], ["unbiased", "alpha=theory"]),
        (["--set", "wire=natural", "--set", "compressor=rank:1"], ["natural", "rank:1"]),
        (["--set", "basis=support"], ["sparse rows", "basis=symmetric"]),
        (["--set", "nonsense"], ["'nonsense'", "KEY=VALUE"]),
        (["--method", "gd", "--set", "stepsize=-1"], ["stepsize", "-1", "positive"]),
        (["--l2", "0", "--set", "step=project"], ["step=project", "λ > 0", "l2 = 0", "step=shift"]),
        (["--l2", "-1"], ["l2", "-1", "at least 0"]),
        (["--clients", "41"], ["41", "40 rows"]),
        (["--clients", "0"], ["0", "at least 1"]),
        (["--tol", "-1"], ["--tol", "-1"]),
        (["--x0", "ones"], ["'ones'", "optimum+C", "FILE.npy"]),
        (["--x0", "optimum+much"], ["'optimum+much'"]),
        (["--x0", "optimum+nan"], ["'optimum+nan'"]),
        (["--l2", "inf"], ["l2", "inf"]),
        (["--nonconvex", "-1"], ["nonconvex", "-1", "at least 0"]),
        (["--nonconvex", "inf"], ["nonconvex", "inf"]),
        (["--nonconvex", "0.1", "--method", "gd", "--x0", "optimum"], ["nf.optimum needs convex functions", "ρ = 0.1"]),
        (["--tol", "inf"], ["tol", "inf"]),
        (["--set", "compressor=topk:²"], ["topk:²"]),
        (["--x0", "missing.npy"], ["missing.npy", "no such file"]),
    ],
)
def test_a_wrong_setting_is_refused_in_words(run, small, words, told):
    err = refused(run, "solve", small, *words)
    for word in told:
        assert word in err, err


def test_a_missing_gpu_is_told_plainly(run, small):
    try:
        pick_device("cuda")
    except RuntimeError:
        err = refused(run, "solve", small, "--device", "cuda")
        assert "cuda" in err and "CuPy" in err
    else:
        assert run("solve", small, "--device", "cuda")[0] == 0


def test_rank_r_is_refused_on_the_support_basis(run, tmp_path):
    (tmp_path / "sparse.txt").write_text(
        "".join(f"{1 if j % 3 else -1} {j % 7 + 1}:1 {j % 5 + 8}:0.5\n" for j in range(30))
    )
    (tmp_path / "sparse.toml").write_text(
        SMALL.replace("csv:small.csv", "libsvm:sparse.txt").replace('label = "y"\n', "")
    )
    err = refused(run, "solve", tmp_path / "sparse.toml", "--set", "compressor=rank:1", "--set", "basis=support")
    assert "rank:1" in err and "basis=symmetric" in err
    assert run("solve", tmp_path / "sparse.toml", "--set", "compressor=rank:1")[0] == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a,b,y\n1,nan,1\n2,3,0\n4,5,1\n1,1,0\n", ["small.csv", "not"]),
        ("a,b,y\n1,2,1\n2,3,0\n4,5,2\n1,1,0\n", ["0, 1, 2", "classes"]),
        ("a,b,y\n1,2,1\n2,3\n4,5,0\n1,1,0\n", ["small.csv", "line 3"]),
    ],
)
def test_bad_rows_are_refused_with_file_and_line(run, small, content, told):
    (small.parent / "small.csv").write_text(content)
    err = refused(run, "solve", small)
    for word in told:
        assert word in err, err


def test_a_cut_libsvm_line_is_named(run, small):
    (small.parent / "cut.txt").write_text("+1 1:0.5 3:1\n-1 2:1\n+1 1:0.5 3:\n-1 1:1\n")
    small.write_text(SMALL.replace("csv:small.csv", "libsvm:cut.txt").replace('label = "y"\n', ""))
    err = refused(run, "solve", small)
    assert "cut.txt" in err and "line 3" in err


def test_files_with_different_columns_are_named(run, small):
    for name, columns in (("one", 3), ("two", 4)):
        row = ",".join(["1"] * columns)
        header = ",".join("abcd"[:columns])
        (small.parent / f"silo_{name}.csv").write_text(f"{header},y\n{row},0\n{row},1\n")
    small.write_text(
        SMALL.replace("csv:small.csv", "csv:silo_*.csv").replace('count = 4\nsplit = "blocks"', 'split = "files"')
    )
    err = refused(run, "solve", small)
    assert "csv:silo_two.csv has other columns than csv:silo_one.csv: only it has 'd'" in err


def test_a_missing_file_and_a_missing_problem_are_named(run, small):
    (small.parent / "small.csv").unlink()
    err = refused(run, "solve", small)
    assert "small.csv" in err and "no such file" in err
    err = refused(run, "solve", "brest_cancer")
    assert "did you mean breast_cancer" in err and "newtonfl problems" in err


def test_a_problem_files_mistakes_come_all_at_once(run, small):
    small.write_text(SMALL.replace("l2", "l3").replace("count = 4", "count = 0").replace('"logistic"', '"logistics"'))
    err = refused(run, "solve", small)
    for word in ("small.toml", "l3", "l2", "count", "given 0", "'logistics'", "did you mean logistic?"):
        assert word in err, err


def test_a_folder_with_a_result_is_kept_unless_forced(run, small, tmp_path):
    assert run("solve", small, "--out", tmp_path / "out")[0] == 0
    before = (tmp_path / "out" / "result.json").read_bytes()
    err = refused(run, "solve", small, "--l2", "0.5", "--out", tmp_path / "out")
    assert "--force" in err and (tmp_path / "out" / "result.json").read_bytes() == before
    assert run("solve", small, "--l2", "0.5", "--out", tmp_path / "out", "--force")[0] == 0
    assert (tmp_path / "out" / "result.json").read_bytes() != before


@pytest.mark.parametrize(
    ("size", "name", "kept"), [(100, "run.toml", []), (2000, "history.jsonl", ["history.jsonl", "run.toml"])]
)
def test_a_full_disk_is_told_and_leaves_no_half_of_a_line(small, tmp_path, size, name, kept):
    """A limit on file size stands in for the disk."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    ended = subprocess.run(
        # -B: Python would leave the library's compiled files cut at the limit, and later processes would read them.
        [sys.executable, "-B", "-m", "newtonfl", "solve", small, "--quiet", "--tol", "0", "--out", tmp_path / "out"],
        capture_output=True, text=True, timeout=60, preexec_fn=limit, cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 1, ended
    out = tmp_path / "out"
    assert ended.stderr == f"newtonfl: {out / name}: File too large (at the server)\n"
    assert sorted(path.name for path in out.glob("*")) == kept
    if kept:
        lines = (out / "history.jsonl").read_text().splitlines(keepends=True)
        assert lines and [json.loads(line)["round"] for line in lines] == [*range(len(lines))] and lines[-1][-1] == "\n"


def test_a_hessian_that_cannot_fit_is_refused_before_a_round(run, small):
    (small.parent / "wide.txt").write_text("1 1:1\n-1 2:1\n1 3:1\n-1 9:1\n")
    wide = SMALL.replace("csv:small.csv", "libsvm:wide.txt").replace('label = "y"', "features = 10000000")
    small.write_text(wide)
    status, out, err = run("solve", small)
    assert (status, out) == (2, "") and err.startswith("newtonfl: a Hessian of dimension d = 10000000 has "), err
    assert "take " in err and "l-bfgs" in err and len(err.splitlines()) == 1


def test_divergence_has_its_own_status(run, small):
    status, out, _ = run("solve", small, "--method", "gd", "--set", "stepsize=1e6", "--rounds", "500")
    assert status == 3 and ("diverged" in out or "not finite" in out)


def test_a_run_that_repeats_itself_ends_as_stalled(run, small):
    status, out, _ = run("solve", small, "--method", "newton", "--tol", "0", "--rounds", "100000")
    assert status == 0 and "stalled" in out and "converged" not in out


@pytest.mark.parametrize("name", ["gd", "newton-zero", "newton", "fednl"])
@pytest.mark.parametrize("wire", ["float32", "natural"])
def test_the_wires_precision_is_part_of_a_run(run, small, tmp_path, name, wire):
    words = ["--set", "compressor=topk:4"] if name == "fednl" else []
    run("solve", small, "--method", name, "--set", f"wire={wire}", *words, "--rounds", "9", "--out", tmp_path / "a")
    run("solve", tmp_path / "a" / "run.toml", "--out", tmp_path / "b")
    a, b = (json.loads((tmp_path / folder / "result.json").read_text()) for folder in "ab")
    assert a["settings"]["wire"] == wire and a["x_sha256"] == b["x_sha256"]


def test_a_runs_own_start_is_found_beside_it(run, small, tmp_path, monkeypatch):
    """Another x0.npy in the working directory is another file."""
    np.save(tmp_path / "start.npy", np.ones(3))
    run("solve", small, "--x0", tmp_path / "start.npy", "--rounds", "4", "--tol", "0", "--out", tmp_path / "a")
    (tmp_path / "elsewhere").mkdir()
    np.save(tmp_path / "elsewhere" / "x0.npy", np.full(3, 5.0))
    monkeypatch.chdir(tmp_path / "elsewhere")
    run("solve", tmp_path / "a" / "run.toml", "--out", tmp_path / "b")
    a, b = (json.loads((tmp_path / folder / "result.json").read_text()) for folder in "ab")
    assert a["x_sha256"] == b["x_sha256"] and a["rounds"] == 4


def test_a_folder_named_like_a_pattern_is_a_folder(run, small, tmp_path):
    odd = tmp_path / "run[1]"
    odd.mkdir()
    for name in ("small.toml", "small.csv"):
        (odd / name).write_text((tmp_path / name).read_text())
    assert run("solve", odd / "small.toml", "--out", odd / "a")[0] == 0
    assert run("solve", odd / "a" / "run.toml", "--out", tmp_path / "b")[0] == 0


def npy_header(said):
    words = said.encode()
    return b"\x93NUMPY\x01\x00" + len(words).to_bytes(2, "little") + words


TORN = npy_header("{'")
"""A header that ends within its text."""
STATES = "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }"
"""A header with 0 bytes of numbers behind it, whatever it says of them."""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 no zip",
        "complex",
        "columns",
        TORN,
        *(npy_header(STATES % shape) for shape in ("(4294967296,)", "(18446744073709551616,)", "(True,)", "(-1,)")),
    ],
)
def test_a_start_that_is_no_array_of_numbers_is_refused(run, small, tmp_path, content):
    path = tmp_path / "start.npy"
    if content == "complex":
        np.save(path, np.ones(3) + 1j)
    elif content == "columns":
        np.save(path, np.ones((3, 1)))
    else:
        path.write_bytes(content)
    assert "start.npy" in refused(run, "solve", small, "--x0", path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("def problem(comm=None)\n", ["own.py", "line 1", "not Python"]),
        ("x = 1\n", ["own.py", "problem(comm=None)"]),
        ("def problem(comm=None):\n    return 3\n", ["own.py", "int"]),
    ],
)
def test_a_python_problem_that_is_none_is_refused(run, tmp_path, content, told):
    (tmp_path / "own.py").write_text(content)
    err = refused(run, "solve", tmp_path / "own.py")
    for word in told:
        assert word in err, err


def test_numbers_that_overflow_end_as_not_finite(run, small):
    (small.parent / "small.csv").write_text("a,b,y\n" + "".join(f"{j}e155,1,{j % 2}\n" for j in range(1, 9)))
    for method in ("newton-3pc", "gd", "ef21", "diana"):
        status, out, _ = run("solve", small, "--method", method, "--rounds", "5")
        assert status == 3 and "not finite" in out


def test_a_splits_mistake_names_the_file(run):
    assert "breast_cancer.toml" in refused(run, "solve", "breast_cancer", "--clients", "100000")


OWN_PARTS = '''
from dataclasses import dataclass

import numpy as np

import newtonfl as nf
from newtonfl.core.backend import namespace


@dataclass(frozen=True)
class Pseudo(nf.Loss):
    """φ = √(1 + (t - y)²) - 1: like the square near zero, like the absolute value far away."""

    formula = "√(1 + (aᵀx - y)²) - 1"
    curvature_bound = 1.0
    curvature_lipschitz = 0.86
    name = "pseudo-huber"

    def value(self, t, y):
        return namespace(t).sqrt(1 + (t - y) ** 2) - 1

    def slope(self, t, y):
        return (t - y) / namespace(t).sqrt(1 + (t - y) ** 2)

    def curvature(self, t, y):
        return (1 + (t - y) ** 2) ** -1.5


@dataclass(frozen=True)
class Front(nf.Compressor):
    """The first entries.

    Parameters
    ----------
    k : int
        How many.
    """

    k: int
    name = "front"

    def contract(self, size):
        return nf.Contractive(1e-6)

    def compress(self, v, key):
        kept = np.arange(min(self.k, len(v)))
        return nf.Sparse(kept, v[kept])
'''


@pytest.fixture
def own(tmp_path):
    """A file of parts, and a problem file that names its loss."""
    from newtonfl.registry.lookup import entries

    (tmp_path / "parts.py").write_text(OWN_PARTS, encoding="utf-8")
    (tmp_path / "rows.csv").write_text("".join(f"{j % 5},{j % 3},{j % 7}\n" for j in range(20)))
    (tmp_path / "own.toml").write_text(
        '[data]\nsource = "csv:rows.csv"\n[objective]\nloss = "pseudo-huber"\nl2 = 0.1\n[clients]\ncount = 4\n'
    )
    yield tmp_path
    entries("loss").pop("pseudo-huber", None)
    entries("compressor").pop("front", None)


def test_parts_of_ones_own_are_named_after_they_were_loaded(run, own):
    said = refused(run, "solve", own / "own.toml")
    assert "loss: given 'pseudo-huber'" in said and "huber" in said
    load = ("--load", own / "parts.py")
    status, out, err = run("solve", own / "own.toml", *load, "--set", "compressor=front:3", "--quiet")
    assert status == 0 and "compressor=front:3" in out and "√(1 + (aᵀx - y)²) - 1" in out, err
    status, out, _ = run("compare", own / "own.toml", *load, "--methods", "newton-3pc,compressor=front:3", "gd")
    assert status == 0 and "front:3" in out
    status, out, _ = run("methods", "front", *load)
    assert status == 0 and "The first entries." in out and "How many." in out and "a whole number" in out
    assert run("problems", own / "own.toml", *load)[0] == 0


def test_a_file_of_parts_that_fails_is_refused_in_words(run, tmp_path):
    (tmp_path / "parts.py").write_text("import nothing_of_this_name")
    said = refused(run, "methods", "--load", tmp_path / "parts.py")
    assert "parts.py, line 1: ModuleNotFoundError" in said
    assert "none.py" in refused(run, "methods", "--load", tmp_path / "none.py")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("topk", ["topk (compressor)", "topk:K", "a multiple of the dimension"]),
        ("cbag", ["cbag:P/COMPRESSOR", "p = 0.75", "p in (0, 1]", "Allowed: a number"]),
        ("symmetric", ["symmetric (basis)", "isometric = true"]),
        ("symmetric-plain", ["isometric = false"]),
        ("huber", ["huber (loss)", "delta = 1.35"]),
        ("uniform", ["uniform:TAU"]),
        ("clag", ["clag (method)", "clag (mechanism)"]),
        ("dingo", ["theta = 0.0001", "how much of a descent direction", "Allowed: a number", "none or authors"]),
    ],
)
def test_a_name_is_explained_in_plain_text(run, name, words):
    status, out, _ = run("methods", name)
    assert status == 0 and all(word in out for word in words), out
    assert not any(mark in out for mark in (":data:", ":class:", "``", "Parameters\n"))


def test_a_name_that_is_none_is_told_the_nearest(run):
    assert "did you mean cbag?" in refused(run, "methods", "cbagg")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_fault(unbuffered):
    process = subprocess.Popen(
        [sys.executable, "-m", "newtonfl", "methods"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()  # long before it has anything to say
    with process.stderr as stderr:
        assert (stderr.read(), process.wait(60)) == (b"", 0)


def test_what_stands_before_a_command(run):
    status, out, _ = run("--version")
    assert status == 0 and out == f"newtonfl {nf.__version__}\n"
    for words in (["--verbose"], ["--quiet", "solve", "breast_cancer"], []):
        status, _, err = run(*words)
        assert status == 2 and "newtonfl: " in err and "`newtonfl --help`" in err
