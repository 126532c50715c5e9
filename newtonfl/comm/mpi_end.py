"""How an MPI job ends where a rank fails: a plain ``mpiexec python script.py`` would keep the other ranks waiting.

``import newtonfl`` imports this on every rank: it starts no MPI, and imports neither mpi4py nor NumPy.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

from newtonfl.comm.launcher import launched_rank

_START = 60.0
"""Seconds until every rank has started MPI, where one has to start it in order to end the others."""

_comms: list[Any] = []
"""This process's communicators of several ranks."""


def end_job_on_failure(comm: Any = None) -> None:
    """Let an exception that nobody catches end every rank, after :data:`sys.excepthook` as it was has shown it.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
        Whose ranks; None is all that the launcher started, where this process has none that is known here.
    """
    if comm is not None:
        _comms.append(comm)
    if getattr(sys.excepthook, "ends_job", False):
        return
    shown, process = sys.excepthook, os.getpid()

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        rank = _comms[-1].Get_rank() if _comms else launched_rank()
        # Of what every rank knows it is enough that rank 0 reports it, which gets the time to do so.
        if rank == 0 or not getattr(error, "on_every_rank", False):
            shown(kind, error, trace)
        if os.getpid() == process:  # a fork of a rank is no rank
            if rank:
                time.sleep(1.0)
            _end_job()

    hook.ends_job = True  # type: ignore[attr-defined]
    sys.excepthook = hook


def _end_job() -> None:
    """End every rank; one that has not started MPI starts it for that, as the others would wait for it in theirs."""

    def start_and_abort() -> None:
        with suppress(ImportError, RuntimeError):
            from mpi4py import MPI

            abort(MPI.COMM_WORLD, 1)

    MPI = sys.modules.get("mpi4py.MPI")
    if MPI is not None:
        if MPI.Is_initialized() and not MPI.Is_finalized():
            abort(_comms[-1] if _comms else MPI.COMM_WORLD, 1)
    else:
        attempt = threading.Thread(target=start_and_abort, daemon=True)  # waits until the others start MPI too
        attempt.start()
        attempt.join(_START)
        if attempt.is_alive():
            flush()
            os._exit(1)


def abort(comm: Any, status: int) -> None:
    """End every rank of `comm` now, with a `status` that is not zero."""
    flush()
    comm.Abort(status)


def flush() -> None:
    """Write what waits on stdout and stderr."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, AttributeError, RuntimeError):  # gone, absent, or just being written to
            stream.flush()


def report(line: str) -> None:
    """Say a line on stderr, where there is one."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"newtonfl: {line}", file=sys.stderr, flush=True)
