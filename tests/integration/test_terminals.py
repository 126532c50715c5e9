"""The command line on any terminal, pipe, locale and launcher: the same status and the same files."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from mpi_launch import launch

from newtonfl.results import progress
from newtonfl.results.folder_lock import LOCK, FolderLock

GD = ["--method", "gd", "--set", "stepsize=0.5"]
NEWTONFL = f"{sys.executable} -m newtonfl"


def shell(words: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """How a command of bash ends, in a folder."""
    return subprocess.run(
        ["bash", "-c", words],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
    )


# -- a reader that leaves


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_solve_whose_reader_has_gone_is_written_all_the_same(small, unbuffered):
    words = f"{NEWTONFL} solve small.toml --out out | true; exit ${{PIPESTATUS[0]}}"
    ended = shell(words, small.parent, PYTHONUNBUFFERED=unbuffered)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads((small.parent / "out" / "result.json").read_text())["converged"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("solve --help", 0),
        ("problems", 0),
        ("solve small.toml --method gd --set stepsize=1e6 --rounds 500", 3),  # it diverges, whoever reads that
        ("solve small.toml --clients 0", 2),
    ],
)
def test_a_reader_that_goes_away_changes_no_status(small, words, status):
    ended = shell(f"{NEWTONFL} {words} 2>&1 | true; exit ${{PIPESTATUS[0]}}", small.parent)
    assert (ended.returncode, ended.stderr) == (status, "")


def test_a_full_stdout_is_a_fault_in_words(small):
    for words in ("methods", "solve small.toml --out out"):
        ended = shell(f"{NEWTONFL} {words} > /dev/full", small.parent)
        assert ended.returncode == 1 and ended.stderr == "newtonfl: stdout: [Errno 28] No space left on device\n"
    assert (small.parent / "out" / "result.json").exists()


def test_a_broken_pipe_of_a_problems_own_is_no_success(run, tmp_path):
    (tmp_path / "own.py").write_text(
        "import numpy as np\nimport newtonfl as nf\n\n"
        "def broken(i, x):\n    raise BrokenPipeError('the worker has gone')\n\n"
        "def problem(comm=None):\n"
        "    return nf.FromFunctions(2, 2, broken, lambda i, x: x, lambda i, x: np.eye(2), transport=comm)\n"
    )
    status, _, err = run("solve", tmp_path / "own.py")
    assert status == 1 and "the worker has gone" in err


# -- encodings, and streams that are not there

LOCALES = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("locale", LOCALES)
def test_what_a_stream_cannot_write_is_escaped_and_files_are_utf8(small, locale):
    small.write_text(small.read_text().replace('"Small"', '"Größe ∇"'), encoding="utf-8")
    (small.parent / "größe.toml").write_bytes(small.read_bytes())
    ended = shell(f"{NEWTONFL} solve größe.toml --out wüst/out", small.parent, **LOCALES[locale])
    assert ended.returncode == 0 and ended.stderr == ""
    assert "\\u2207f(x)" in ended.stdout and "\\u2207" in ended.stdout.splitlines()[0]
    out = small.parent / "wüst" / "out"
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert result["title"] == "Größe ∇" and result["problem"] == "größe.toml"
    assert 'title = "Größe ∇"' in (out / "run.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_change_nothing(small, closed):
    ended = shell(f"{NEWTONFL} solve small.toml --out out {closed}", small.parent)
    assert ended.returncode == 0 and not ended.stderr
    lines = (small.parent / "out" / "history.jsonl").read_text().splitlines()
    assert (
        len(list(map(json.loads, lines)))
        == 1 + json.loads((small.parent / "out" / "result.json").read_text())["rounds"]
    )
    assert shell(f"{NEWTONFL} solve small.toml --clients 0 {closed}", small.parent).returncode == 2


def test_no_file_takes_the_number_of_a_stream_that_is_closed(tmp_path):
    """C code and signal handlers write to number 2 whatever lies behind it."""
    (tmp_path / "opens.py").write_text(
        "from newtonfl.cli.streams import steady_streams\nwith steady_streams():\n"
        "    file = open('first', 'w')\n    file.write(str(file.fileno()))\n"
    )
    assert shell(f"{sys.executable} opens.py <&- >&- 2>&-", tmp_path).returncode == 0
    assert int((tmp_path / "first").read_text()) > 2


# -- the progress line


def test_in_a_log_progress_is_a_plain_line_now_and_then(run, small, monkeypatch):
    monkeypatch.setattr(progress, "SELDOM", 0.0)
    _, _, err = run("solve", small, "--method", "gd", "--rounds", "20", "--tol", "0")
    assert (
        "\r" not in err
        and len(err.splitlines()) == 21
        and "round 20 of 20  f " in err.splitlines()[-1]
        and "kB a client" in err
    )
    monkeypatch.setattr(progress, "SELDOM", 60.0)
    assert run("solve", small, "--method", "gd", "--rounds", "20", "--tol", "0")[2] == ""


def test_on_a_terminal_progress_is_one_line_that_is_renewed(small):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    words = [sys.executable, "-m", "newtonfl", "solve", small, "--method", "gd", "--rounds", "20", "--tol", "0"]
    assert subprocess.run(words, stdout=subprocess.DEVNULL, stderr=theirs, timeout=60).returncode == 0
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:  # all is read
        pass
    os.close(ours)
    assert b"\rround 20 " in shown and shown.count(b"\n") == 1


# -- folders


def test_force_leaves_nothing_of_the_old_run_and_all_of_others(run, small, tmp_path):
    out = tmp_path / "out"
    assert run("solve", small, "--out", out)[0] == 0 and run("plot", out)[0] == 0
    (out / "mine.txt").write_text("mine")
    old = {path.name: path.read_bytes() for path in out.iterdir()}
    assert {"x.npy", "result.json", "gap.png", "gap.svg"} <= set(old)
    # Refused before a round: by the settings, and by the first round's set-up.
    assert run("solve", small, "--set", "compressor=topk:7", "--out", out, "--force")[0] == 2
    assert {path.name: path.read_bytes() for path in out.iterdir()} == old
    # Fails in a round: the old run is whole, and the new one's lines stand beside it.
    (tmp_path / "own.py").write_text(
        "import numpy as np\nimport newtonfl as nf\nseen = set()\n\ndef gradient(i, x):\n    seen.add(x.tobytes())\n"
        "    return x + 1 if len(seen) < 4 else 1 / 0\n\ndef problem(comm=None):\n"
        "    return nf.FromFunctions(2, 2, lambda i, x: x @ x / 2 + x.sum(), gradient, lambda i, x: np.eye(2),\n"
        "                            verify=False)\n"
    )
    assert run("solve", tmp_path / "own.py", *GD, "--out", out, "--force", "--quiet")[0] == 1
    beside = {path.name for path in out.iterdir()} - set(old)
    assert (
        beside == {"run.toml.part", "history.jsonl.part"} and {name: (out / name).read_bytes() for name in old} == old
    )
    assert "own.py" in (out / "run.toml.part").read_text()
    assert len((out / "history.jsonl.part").read_text().splitlines()) == 3
    # Ends well: nothing of the old run is left.
    (out / "x0.npy").write_bytes(b"of an older run")
    assert run("solve", small, "--rounds", "2", "--out", out, "--force")[0] == 0
    written = {"run.toml", "history.jsonl", "x.npy", "ledger.csv", "model.json", "result.json"}
    assert {path.name for path in out.iterdir()} == {"mine.txt", *written}
    assert len((out / "history.jsonl").read_text().splitlines()) == 3


def test_the_lines_of_a_run_that_did_not_end_are_not_taken_away_unasked(run, small, tmp_path):
    out = tmp_path / "out"
    assert run("solve", small, "--rounds", "3", "--out", out)[0] == 0
    (out / "result.json").unlink()
    lines = (out / "history.jsonl").read_bytes()
    for command in (["solve", small], ["compare", small, "--methods", "newton-3pc", "gd"]):
        place = out if command[0] == "solve" else tmp_path
        if command[0] == "compare":
            (tmp_path / "newton-3pc").symlink_to(out)
        status, _, err = run(*command, "--out", place)
        assert status == 2 and "holds the lines of a run that did not end; give another folder, or --force" in err
    assert (out / "history.jsonl").read_bytes() == lines
    assert run("solve", small, "--rounds", "1", "--out", out, "--force")[0] == 0
    assert len((out / "history.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("name", ["history.jsonl", "result.json", "x.npy", "run.toml.part"])
@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_plain_file_is_not_written_into(run, small, tmp_path, name, kind):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious").write_text("mine")
    if kind == "link":
        (out / name).symlink_to(tmp_path / "precious")
    elif kind == "fifo":
        os.mkfifo(out / name)
    else:
        (out / name).mkdir()
    status, _, err = run("solve", small, "--out", out, "--force")
    assert status == 2 and f"{name} is no plain file" in err and (tmp_path / "precious").read_text() == "mine"


def test_force_takes_an_old_comparison_away_before_the_new_one(run, small, tmp_path, monkeypatch):
    words = ["compare", small, "--methods", "newton", "gd", "--rounds", "4", "--quiet", "--out", tmp_path / "out"]
    assert run(*words)[0] == 0
    (tmp_path / "out" / "mine.txt").write_text("mine")

    def fail(*_):
        raise OSError("no more")

    monkeypatch.setattr("newtonfl.cli.compare._finish", fail)
    assert run(*words, "--force")[0] == 1
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_file()} == {"mine.txt"}


def test_two_jobs_do_not_write_into_one_folder(run, small, tmp_path):
    out = tmp_path / "out"
    with FolderLock(out):
        (out / "history.jsonl").write_text("of the first job")
        for command in (["solve", small], ["compare", small, "--methods", "gd"]):
            status, _, err = run(*command, "--force", "--quiet", "--out", out)
            assert status == 2 and f"--out {out}: another job is writing into it" in err
        assert {path.name for path in out.iterdir()} == {LOCK, "history.jsonl"}
        assert (out / "history.jsonl").read_text() == "of the first job"
    assert run("solve", small, "--quiet", "--out", out, "--force")[0] == 0
    assert not (out / LOCK).exists()


def test_the_lock_of_a_killed_job_holds_nobody_up(run, small, tmp_path):
    program = "import os, sys\nfrom pathlib import Path\nfrom newtonfl.results.folder_lock import FolderLock\n"
    program += "lock = FolderLock(Path(sys.argv[1]))\nos.kill(os.getpid(), 9)\n"
    subprocess.run([sys.executable, "-c", program, tmp_path / "out"], timeout=60)
    assert (tmp_path / "out" / LOCK).exists()
    assert run("solve", small, "--quiet", "--out", tmp_path / "out")[0] == 0


def test_a_refused_run_leaves_no_folder(run, small, tmp_path):
    assert run("solve", small, "--clients", "41", "--out", tmp_path / "out")[0] == 2
    (tmp_path / "own.py").write_text(
        "import numpy as np\nimport newtonfl as nf\n\ndef problem(comm=None):\n"
        "    return nf.FromFunctions(2, 2, lambda i, x: 1 / 0, lambda i, x: x, lambda i, x: np.eye(2))\n"
    )
    assert run("solve", tmp_path / "own.py", "--out", tmp_path / "out")[0] == 1
    assert not (tmp_path / "out").exists()


# -- launchers


@pytest.mark.parametrize(
    "variables", [{"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}, {"PMI_SIZE": "4", "PMI_RANK": "0"}]
)
def test_what_needs_no_ranks_asks_for_none(small, variables):
    """As in a shell that srun gave, or in a process that a rank started."""
    for words, status, said in (
        ("methods newton", 0, ""),
        ("plot nowhere", 2, "holds no history.jsonl"),
        ("solve small.toml --bogus", 2, "there is no --bogus"),
        ("solve small.toml", 1, "the launcher started 4 ranks, and this process sees 1"),
    ):
        ended = shell(f"{NEWTONFL} {words}", small.parent, **variables)
        assert ended.returncode == status and said in ended.stderr, ended


@pytest.mark.mpi
@pytest.mark.slow
def test_several_ranks_list_once():
    ended = launch(3, "-m", "newtonfl", "methods")
    assert ended.status == 0 and ended.out.count("newton-3pc ") == 1 and ended.err == ""
    ended = launch(3, "-m", "newtonfl", "methods", "newtom")
    assert ended.status == 2 and ended.err.count("did you mean newton") == 1


@pytest.mark.mpi
@pytest.mark.slow
def test_a_ranks_child_lists_and_is_told_why_it_cannot_solve(tmp_path, small):
    (tmp_path / "child.py").write_text(
        "import subprocess, sys\nfrom mpi4py import MPI\n"
        "def child(*words):\n"
        "    ended = subprocess.run([sys.executable, '-m', 'newtonfl', *words], capture_output=True, text=True)\n"
        "    return ended.returncode, len(ended.stdout.splitlines()) > 5, ended.stderr\n"
        "if MPI.COMM_WORLD.rank == 1:\n"
        f"    print(child('methods', 'newton'), child('solve', {str(small)!r}), sep='\\n')\n"
    )
    ended = launch(2, tmp_path / "child.py")
    listed, solved = ended.out.splitlines()
    assert listed == "(0, True, '')"
    assert solved.startswith("(1, False") and "a rank of an MPI job started this process" in solved


@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.parametrize("first", ["from mpi4py import MPI\n", ""])
def test_a_rank_that_raises_before_its_first_call_ends_the_job(tmp_path, first):
    """The others wait for it in their first call; and a hook of the user's own is kept."""
    (tmp_path / "first.py").write_text(
        f"{first}import os, sys\ndef shown(kind, error, trace):\n    print('shown:', error, file=sys.stderr)\n"
        "sys.excepthook = shown\nimport newtonfl as nf, numpy as np\n"
        "if os.environ['PMI_RANK'] == '2':\n    raise RuntimeError('on purpose')\n"
        "nf.FederatedRidge(ranks='own').fit(np.eye(3), np.ones(3))\n"
    )
    begun = time.monotonic()
    ended = launch(3, tmp_path / "first.py", timeout=30)
    assert ended.status != 0 and ended.err.count("shown: on purpose") == 1 and "Traceback" not in ended.err
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(("ranks", "kept"), [("", True), ("1", True), ("3", False)])
def test_importing_watches_over_ranks_without_starting_mpi(ranks, kept):
    program = "import sys, newtonfl; print(sys.excepthook is sys.__excepthook__, 'mpi4py' in sys.modules)"
    env = {**os.environ, "SLURM_STEP_NUM_TASKS": ranks}
    ended = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60)
    assert ended.stdout == f"{kept} False\n"


@pytest.mark.mpi
@pytest.mark.slow
def test_a_slow_rank_is_named_once_by_one_that_waits(tmp_path):
    (tmp_path / "slow.py").write_text(
        '"""A rank that is slow once"""\n'
        "import time\nimport numpy as np\nimport newtonfl as nf\nimport newtonfl.comm.mpi_wait as wait\n"
        "wait._LONG, wait._GRACE = 1.0, 0.5\nslow = []\n\n"
        "def problem(comm=None):\n"
        "    def hessian(i, x):\n"
        "        if comm.rank == 1 and not slow:\n"
        "            slow.append(time.sleep(4))\n"
        "        return np.eye(2)\n"
        "    return nf.FromFunctions(6, 2, lambda i, x: x @ x / 2 + i * x[0], lambda i, x: x + np.array([i, 0.0]),\n"
        "                            hessian, transport=comm)\n"
    )
    ended = launch(3, "-m", "newtonfl", "solve", tmp_path / "slow.py", "--method", "newton", "--quiet")
    assert ended.status == 0 and "converged" in ended.out
    (line,) = ended.err.splitlines()
    assert line.startswith("newtonfl: rank 0 has waited ") and line.endswith(" s for rank 1, and goes on waiting")


def test_a_torn_last_line_is_passed_over_and_that_is_told(run, small, tmp_path):
    """A full disk or a power cut leaves one; any other line that is none is refused."""
    out = tmp_path / "out"
    assert run("solve", small, "--rounds", "4", "--out", out, "--method", "gd")[0] == 0
    whole = (out / "history.jsonl").read_text()
    (out / "history.jsonl").write_text(whole[:-20])
    status, _, err = run("plot", out)
    assert status == 0 and err == f"newtonfl: {out / 'history.jsonl'}: its last line is torn, read up to it\n"
    lines = whole.splitlines(keepends=True)
    (out / "history.jsonl").write_text("".join([*lines[:2], lines[2][:-20] + "\n", *lines[3:]]))
    status, _, err = run("plot", out)
    assert status == 2 and "history.jsonl, line 3" in err
