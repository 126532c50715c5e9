"""A limit on how long MPI may take to start, which Python itself cannot hold: the ranks wait for each other in C.

A rank that fails before it starts MPI, as on a node with a broken environment, would keep the others for ever.
"""

from __future__ import annotations

import math
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from newtonfl.comm.launcher import launched_rank
from newtonfl.comm.mpi_end import report


@contextmanager
def startup_timeout(seconds: float) -> Iterator[None]:
    """End this process, and so its job, where the body takes longer; a child watches. Without `fork` there is no limit.

    Parameters
    ----------
    seconds : float
        Infinite is no limit.
    """
    if seconds == math.inf or not hasattr(os, "fork"):
        yield
        return
    ours, theirs = os.pipe()
    rank, watched = launched_rank(), os.getpid()
    child = os.fork()
    if child == 0:
        _watch(ours, theirs, seconds, rank, watched)
    os.close(ours)
    try:
        yield
    finally:
        os.close(theirs)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def _watch(ours: int, theirs: int, seconds: float, rank: int, watched: int) -> None:
    """In the child: wait until the other end of the pipe is closed, or time is up."""
    try:
        os.close(theirs)
        for number in (signal.SIGINT, signal.SIGTERM):  # of a terminal or a launcher: they are the parent's
            signal.signal(number, signal.SIG_IGN)
        done, _, _ = select.select([ours], [], [], seconds)
        if not done:
            report(
                f"rank {rank} has waited {seconds:g} s for every rank to start MPI, as long as --timeout allows: "
                "one has failed before it did, or has not come. The job ends"
            )
            os.kill(watched, signal.SIGKILL)
    finally:
        os._exit(0)
