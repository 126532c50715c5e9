"""Launching ranks from a test: bounded in time, and sure to leave none behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

allowed = True
"""Whether the test that runs has the mark mpi; conftest.py says so."""


@dataclass
class Launched:
    """How a job ended."""

    status: int
    out: str
    err: str


def mpiexec() -> str:
    """The launcher that belongs to this python's MPI: beside it, then on PATH."""
    assert allowed, "this test launches ranks: give it the mark mpi"
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        pytest.skip("needs mpiexec: pip install 'newtonfl[mpi]'")
    return found


def begin(ranks: int, *command: object) -> subprocess.Popen[str]:
    """Start ``python *command`` on `ranks` ranks; :func:`end` waits for them.

    Raises
    ------
    AssertionError
        Where the test has not the mark mpi.
    """
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    open_mpi = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
    return subprocess.Popen(
        [mpiexec(), "-n", str(ranks), sys.executable, *map(str, command)],
        env={**os.environ, **one_thread, **open_mpi},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )


def heed_ctrl_c() -> None:
    """Undo that whoever runs the tests in the background lets them ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end(job: subprocess.Popen[str], timeout: float = 60.0) -> Launched:
    """Wait for a job's end; its whole process group is gone when this returns.

    Raises
    ------
    TimeoutError
        With what was printed so far.
    """
    try:
        out, err = job.communicate(timeout=timeout)
        return Launched(job.returncode, out, err)
    except subprocess.TimeoutExpired:
        job.terminate()  # politely first: a launcher that is killed orphans its ranks
        try:
            out, err = job.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, signal.SIGKILL)
            out, err = job.communicate()
        raise TimeoutError(f"{job.args} still ran after {timeout} s\n{out[-2000:]}\n{err[-2000:]}") from None


def launch(ranks: int, *command: object, timeout: float = 60.0) -> Launched:
    """Run ``python *command`` on `ranks` ranks to its end: :func:`begin` and :func:`end`."""
    return end(begin(ranks, *command), timeout)


def processes_with(mark: str) -> list[str]:
    """The command lines of the running processes that mention `mark`."""
    lines = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if mark in line and state != "Z":
                lines.append(line)
    return lines
