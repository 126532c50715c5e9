"""newtonfl check FILE.py: which parts of a file it finds, what it says of each, and with which status it ends."""

from __future__ import annotations

import re

import pytest
from command_line import caller
from mpi_launch import launch

SOUND = '''
"""Sound parts, and what is passed over."""

from dataclasses import dataclass

import numpy as np

import newtonfl as nf
from newtonfl.compressors import RandK
from newtonfl.mechanisms import Mechanism

_private = nf.TopK(999)


@dataclass(frozen=True)
class Head(nf.Compressor):
    """The first half of the entries."""

    scale: float = 1.0

    def contract(self, size):
        return nf.Contractive(1e-9 if size > 1 else 1.0)

    def compress(self, v, key):
        return nf.Dense(v)


@dataclass(frozen=True)
class Window(Head):
    width: int = 3


@dataclass(frozen=True)
class Echo(Mechanism):
    """EF21 by another name."""

    compressor: nf.Compressor

    def constants(self, size):
        return nf.EF21(self.compressor).constants(size)

    def messages(self, points, encoder, coin):
        return encoder.compress(self.compressor, points.error)


class Base(nf.Loss):
    """Abstract still."""


class Square(nf.Loss):
    formula = "(t - y)²"
    curvature_bound = 2.0
    curvature_lipschitz = 0.0

    def value(self, t, y):
        return (t - y) ** 2

    def slope(self, t, y):
        return 2.0 * (t - y)

    def curvature(self, t, y):
        return 2.0 * np.ones_like(t)


EXAMPLE = nf.TopK(3)


def lazy() -> nf.methods.Method:
    return nf.newton_3pc(mechanism=Echo(nf.TopK("1d")))


def helper(number):
    raise RuntimeError("never called")


def problem(comm=None):
    return nf.FromFunctions(
        2, 3, lambda i, x: 0.5 * x @ x - i * x[0], lambda i, x: x - i * np.eye(3)[0], lambda i, x: np.eye(3)
    )
'''

BROKEN = SOUND.replace("2.0 * (t - y)", "2.1 * (t - y)")


@pytest.fixture
def call(capsys, monkeypatch):
    return caller(capsys, monkeypatch)


def write(folder, text):
    (folder / "parts.py").write_text(text)
    return folder / "parts.py"


def test_a_file_of_sound_parts(tmp_path, call):
    status, out, err = call("check", write(tmp_path, SOUND))
    assert (status, err) == (0, "")
    lines = dict(line.split("  ", 1) for line in out.splitlines())
    assert lines.pop("Base").strip() == "not checked: it does not define curvature, slope, value"
    assert {name: rest.split() for name, rest in lines.items() if "ok" in rest} == {
        "Head()": ["check_compressor", "ok"],
        "Window()": ["check_compressor", "ok"],
        "Echo(compressor=topk:1d)": ["check_mechanism", "ok"],
        "Square()": ["check_loss", "ok"],
        "EXAMPLE": ["check_compressor", "ok"],
        "lazy()": ["check_method", "ok"],
        "problem()": ["check_problem", "ok"],
    }


def test_what_cannot_be_made_is_told_with_a_reason(tmp_path, call):
    text = SOUND.replace("@dataclass(frozen=True)\nclass Window", "@dataclass(frozen=True, kw_only=True)\nclass Window")
    text = text.replace("width: int = 3", "width: int")
    status, out, _ = call("check", write(tmp_path, text))
    assert status == 0
    (line,) = [line for line in out.splitlines() if line.startswith("Window")]
    assert "not checked: its parameter width has no default; give it one, or add an instance to the file" in line
    assert "example = Window(…)" in line


def test_a_class_with_an_instance_is_checked_by_it(tmp_path, call):
    text = SOUND.replace("EXAMPLE = nf.TopK(3)", "example = Window(width=5)")
    _, out, _ = call("check", write(tmp_path, text))
    assert "example" in out and "Window()" not in out


def test_a_broken_part(tmp_path, call):
    status, out, err = call("check", write(tmp_path, BROKEN))
    assert (status, err) == (1, "")
    (line,) = [line for line in out.splitlines() if line.startswith("Square")]
    assert "check_loss" in line and "broken: Square.slope must be the derivative of its value" in line
    assert out.count(" ok\n") == 6


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "return nf.newton_3pc",
            "raise KeyError('k')\n    return nf.newton_3pc",
            r"lazy\(\) .*not be made: KeyError: 'k'",
        ),
        (
            "def problem(comm=None):",
            "def problem(comm=None):\n    return {}\n",
            r"problem\(\) .*broken: it returned dict",
        ),
        ("return nf.Dense(v)", "raise ZeroDivisionError('by 0')", r"Head\(\) .*broken: .*ZeroDivisionError: by 0"),
    ],
    ids=["method", "problem", "compressor"],
)
def test_faults_of_the_files_own_code_are_told_in_a_line(tmp_path, call, old, new, words):
    status, out, err = call("check", write(tmp_path, SOUND.replace(old, new)))
    assert (status, err) == (1, "")
    assert re.search(words, out), out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 3\n", "nothing could be checked; looked for Compressor, Mechanism"),
        ("from newtonfl import TopK\n", "nothing could be checked"),
        ("import nothing_of_that_name\n", "ModuleNotFoundError"),
        ("def f(:\n", "SyntaxError"),
        (None, "no such file"),
    ],
    ids=["empty", "imported", "import", "syntax", "missing"],
)
def test_misuse(tmp_path, call, text, words):
    path = tmp_path / "parts.py" if text is None else write(tmp_path, text)
    status, out, err = call("check", path)
    assert (status, out) == (2, "")
    assert err.startswith("newtonfl: ") and words in err and str(path) in err and "Traceback" not in err


@pytest.mark.mpi
def test_on_two_ranks_one_line_a_part_and_one_status(tmp_path):
    ended = launch(2, "-m", "newtonfl", "check", write(tmp_path, BROKEN))
    assert ended.status == 1, ended.err
    assert ended.out.count("check_loss") == 1


LOADS = """
import os, sys
from mpi4py import MPI
from newtonfl.cli.main import main
os.chdir(f"{sys.argv[1]}/{MPI.COMM_WORLD.rank}")
main(["solve", "quadratic", "--load", "parts.py", "--quiet"])
"""


@pytest.mark.mpi
def test_files_that_differ_on_the_ranks_are_refused(tmp_path):
    for rank in "01":
        (tmp_path / rank).mkdir()
        write(tmp_path / rank, f"size = {rank}\n")
    program = tmp_path / "program.py"
    program.write_text(LOADS)
    ended = launch(2, program, tmp_path)
    assert ended.status == 2 and not ended.out
    assert "rank 1, loading parts" in ended.err and "parts.py: its text differs from rank 0's" in ended.err
    write(tmp_path / "1", "size = 0\n")
    assert launch(2, program, tmp_path).status == 0


@pytest.mark.mpi
@pytest.mark.parametrize("command", ["check", "solve"])
def test_a_file_that_ends_the_program_is_misuse_on_every_rank(tmp_path, command):
    path = write(tmp_path, "import sys\nsys.exit(0)\n")
    words = ["check", path] if command == "check" else ["solve", "quadratic", "--load", path]
    ended = launch(2, "-m", "newtonfl", *words)
    assert ended.status == 2 and "it ended the program (sys.exit) when it was loaded" in ended.err
    assert ended.err.count("ended the program") == 1
