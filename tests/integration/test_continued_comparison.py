"""compare --continue: whole runs are kept as they are, those that were cut off are done, and others' are refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
from command_line import small_problem
from mpi_launch import launch

METHODS = ("newton", "ef21")
WORDS = ("--methods", *METHODS, "--seeds", "2", "--rounds", "12", "--quiet")


def names():
    return [f"{method}_seed={seed}" for method in METHODS for seed in (0, 1)]


def contents(folder):
    """Every run's files, and when they were written."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.glob("*/*")
        if path.is_file()
    }


def table(out):
    """What comparison.txt says, but for seconds."""
    return re.sub(r"\d+\.\d{3}", "", (out / "comparison.txt").read_text())


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The folder of a problem and of a comparison on it."""
    folder = tmp_path_factory.mktemp("compared")
    words = ["compare", small_problem(folder), *WORDS, "--out", folder / "out"]
    subprocess.run([sys.executable, "-m", "newtonfl", *map(str, words)], check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture
def cut_off(compared, tmp_path):
    """A comparison of four runs, of which one was killed in a round and one ended by a signal; and all as they were."""
    shutil.copytree(compared, tmp_path / "here")
    problem, out = tmp_path / "here" / "small.toml", tmp_path / "here" / "out"
    before, said = contents(out), table(out)
    assert {name.partition("/")[0] for name in before} == set(names())
    (out / names()[1] / "result.json").unlink()
    lines = (out / names()[1] / "history.jsonl").read_text().splitlines(keepends=True)
    (out / names()[1] / "history.jsonl").write_text("".join(lines[:3]) + '{"round": 3, ')
    result = json.loads((out / names()[3] / "result.json").read_text())
    result["comparison"]["ending"], result["converged"] = "STOPPED", False
    (out / names()[3] / "result.json").write_text(json.dumps(result))
    return problem, out, before, said


def without_seconds(name, content):
    text = content[0].decode("latin1")
    return re.sub(r'"seconds": [^,}\n]*', "", text) if name.endswith((".json", ".jsonl")) else text


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_what_is_whole_is_kept_and_the_rest_is_done(run, cut_off, ranks):
    small, out, before, said = cut_off
    words = ["compare", small, *WORDS, "--out", out, "--continue"]
    if ranks == 1:
        status, printed, err = run(*words)
    else:
        ended = launch(ranks, "-m", "newtonfl", *words)
        status, printed, err = ended.status, ended.out, ended.err
    assert status == 0, err
    after, again = contents(out), {names()[1], names()[3]}
    for name, content in before.items():
        if name.partition("/")[0] in again:
            assert after[name][1] > content[1]
            if not name.endswith("result.json"):  # which has the environment, and how many ranks
                assert without_seconds(name, after[name]) == without_seconds(name, content), name
        else:
            assert after[name] == content, name
    assert table(out).replace(f"on {ranks} ranks", "in one process") == said
    assert "12" in printed and all(method in printed for method in METHODS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--l2", "0.3"), "holds a run of another problem, other settings"),
        (("--accuracy", "1e-3"), "or other --rounds or --accuracy than asked for"),
        (("--rounds", "13"), "or other --rounds or --accuracy"),
        (("--force",), "--continue: goes with --out DIR, whose runs it keeps, and without --force"),
    ],
)
def test_runs_of_something_else_are_refused(run, cut_off, change, words):
    small, out, _, _ = cut_off
    before = contents(out)
    status, _, err = run("compare", small, *WORDS, "--out", out, "--continue", *change)
    assert status == 2 and words in err, err
    assert contents(out) == before


def test_other_data_are_refused(run, cut_off):
    small, out, _, _ = cut_off
    before, data = contents(out), small.parent / "small.csv"
    text = data.read_text()
    first, _, rest = text.partition("\n")
    row, _, last = rest.partition("\n")
    data.write_text(f"{first}\n{row.replace('.', '1.', 1)}\n{last}")
    status, _, err = run("compare", small, *WORDS, "--out", out, "--continue")
    assert status == 2 and "began with f = " in err and "the data have changed" in err, err
    assert contents(out) == before


def test_without_it_a_folder_is_refused_as_before(run, cut_off):
    small, out, _, _ = cut_off
    status, _, err = run("compare", small, *WORDS, "--out", out)
    assert status == 2 and "holds a result already" in err
    status, _, err = run("compare", small, *WORDS, "--continue")
    assert status == 2 and "goes with --out DIR" in err
