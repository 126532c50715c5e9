"""--timeout: a job whose rank is frozen, busy for ever, or has not come ends, and says for whom it waited."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from mpi_launch import end, heed_ctrl_c, mpiexec, processes_with

from newtonfl.comm.startup_timeout import startup_timeout

pytestmark = pytest.mark.mpi

PROBLEM = """
import os, sys, time
import numpy as np
import newtonfl as nf

def rank():
    return int(os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", "0")))

calls = 0

def gradient(i, x):
    global calls
    calls += 1
    if rank() == 1 and calls == WHEN:
        WHAT
    return x - i

def problem(comm=None):
    return nf.FromFunctions(6, 2, lambda i, x: 0.5 * float((x - i) @ (x - i)), gradient, lambda i, x: np.eye(2),
                            transport=comm, verify=False)
"""
WORDS = ("--method", "gd,stepsize=1e-5", "--rounds", "100000", "--tol", "0", "--quiet", "--timeout", "3")


def job(*commands, mark):
    """Start ranks that do different things: (ranks, command) each."""
    words = [mpiexec()]
    for i, (ranks, command) in enumerate(commands):
        words += [":"] * (i > 0) + ["-n", str(ranks), *map(str, command)]
    return subprocess.Popen(
        words, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, preexec_fn=heed_ctrl_c, env={**os.environ, "MARK": mark},
    )  # fmt: skip


def solving(folder):
    return [sys.executable, "-m", "newtonfl", "solve", folder / "stuck.py", *WORDS]


def check_ended(ended, begun, words, folder):
    assert ended.status != 0 and words in ended.err, ended
    assert time.monotonic() - begun < 3 + 10
    assert not processes_with(str(folder))


@pytest.mark.parametrize(
    "what", ["os.kill(os.getpid(), 19)", "time.sleep(10**6)"], ids=["stopped by a signal", "busy for ever"]
)
@pytest.mark.parametrize("when", [1, 60])
def test_a_rank_that_does_not_come_back_ends_the_job(what, when, tmp_path):
    (tmp_path / "stuck.py").write_text(PROBLEM.replace("WHAT", what).replace("WHEN", str(when)))
    begun = time.monotonic()
    ended = end(job((3, solving(tmp_path)), mark="stuck"), 60)
    check_ended(ended, begun, "s for rank 1, longer than --timeout allows: the job ends", tmp_path)


@pytest.mark.parametrize(
    "other", ["import nothing_here", "import time; time.sleep(10**6)", "import os; os._exit(0)"],
    ids=["fails", "sleeps", "leaves"],
)  # fmt: skip
def test_a_rank_that_never_starts_mpi_ends_the_job(other, tmp_path):
    (tmp_path / "stuck.py").write_text(PROBLEM.replace("WHAT", "pass").replace("WHEN", "0"))
    program = tmp_path / "other.py"
    program.write_text(other)
    begun = time.monotonic()
    ended = end(job((2, solving(tmp_path)), (1, [sys.executable, program]), mark="other"), 60)
    assert ended.status != 0 and time.monotonic() - begun < 3 + 10, ended
    if "sleep" in other:
        assert "for every rank to start MPI, as long as --timeout allows" in ended.err
    assert not processes_with(str(tmp_path))


def test_a_job_that_goes_on_is_left_alone(tmp_path):
    """However long it takes: what counts is one wait."""
    (tmp_path / "stuck.py").write_text(PROBLEM.replace("WHAT", "pass").replace("WHEN", "0"))
    words = ["--method", "gd,stepsize=1e-5", "--rounds", "40", "--tol", "0", "--quiet", "--timeout", "3"]
    command = [sys.executable, "-m", "newtonfl", "solve", tmp_path / "stuck.py", *words]
    ended = end(job((3, command), mark="well"), 60)
    assert ended.status == 0 and "rounds          40" in ended.out, ended


def test_a_child_watches_and_is_gone_afterwards():
    before = len(os.listdir("/proc/self/fd"))
    with startup_timeout(60.0):
        pass
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    program = "import time\nfrom newtonfl.comm.startup_timeout import startup_timeout\n"
    program += "with startup_timeout(0.2):\n    time.sleep(60)\n"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert ended.returncode == -signal.SIGKILL and "rank 0 has waited 0.2 s for every rank to start MPI" in ended.stderr


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "soon"])
def test_a_limit_that_cannot_be_is_refused(run, small, seconds):
    status, _, error = run("solve", small, "--timeout", seconds)
    assert status == 2 and f"--timeout: given '{seconds}'" in error


def test_a_part_of_an_option_is_not_one(run, small):
    """Else --timeou would be heard by the grammar and not while ranks start."""
    status, _, error = run("solve", small, "--timeou", "3")
    assert status == 2 and "there is no --timeou; did you mean --timeout?" in error


def test_alone_there_is_nobody_to_wait_for(run, small):
    assert run("solve", small, "--rounds", "2", "--timeout", "1", "--quiet")[0] == 0
