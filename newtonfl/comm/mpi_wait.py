"""How a rank waits for others: not for ever for one that has ended, and not in silence for one that is slow."""

from __future__ import annotations

import math
import os
import time
from typing import Any

from newtonfl.comm.mpi_end import abort, report

_GRACE = 2.0  # seconds
_SPIN, _NAP = 1e-3, 1e-4  # seconds
_PATIENCE = 10.0  # seconds until every rank has called newtonfl
_LONG = 60.0
"""Seconds beyond the longest wait so far after which a rank says for whom it waits: a node that swaps or a slow file
system holds a rank up for some seconds, and a round that takes minutes is usual from its second time on."""

_LEFT, _STOP, _WHO, _HERE = range(4)
"""What a note says: I have ended; a signal asks to stop; are you waiting too? I am."""


class Waiting:
    """Waits for requests, and reads the notes that ranks send each other beside their calls.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        For notes alone.

    Attributes
    ----------
    stop : int
        The number of the signal that a rank got, by its note; 0 where none did.
    timeout : float
        Seconds that a wait may take; after that the job ends, and the ranks that were waited for are named.
    """

    def __init__(self, comm: Any) -> None:
        self.comm, self.rank = comm, comm.Get_rank()
        self.others = [rank for rank in range(comm.Get_size()) if rank != self.rank]
        self.stop = 0
        self.timeout = math.inf
        self._gone: int | None = None  # a rank that has ended
        self._waiting: set[int] = set()  # ranks that have said that they wait too
        self._longest = 0.0  # seconds of the longest wait so far

    def wait(self, request: Any) -> None:
        """Wait for a request, but not for a rank that has ended: that would be for ever."""
        begun = time.monotonic()
        deadline, question, verdict = math.inf, begun + min(self._longest + _LONG, self.timeout), math.inf
        while not request.Test():
            self.read_notes()
            now = time.monotonic()
            if self._gone is not None and deadline == math.inf:
                # It may have ended well, its last message still on the way.
                deadline = now + _GRACE
            if now > deadline:
                report(f"rank {self._gone} ended early, and rank {self.rank} waited for it")
                abort(self.comm, 1)
            if now > question:
                question, verdict = math.inf, now + _GRACE
                self._waiting = {self.rank}
                self._send_all(_WHO)
            if now > verdict:
                over = now - begun > self.timeout
                question, verdict = math.inf if over else begun + self.timeout, math.inf
                self._say_who_is_missing(now - begun, over)
            if now - begun < _SPIN:
                os.sched_yield()
            else:  # the rank that this one waits for may need the core
                time.sleep(_NAP)
        self._longest = max(self._longest, time.monotonic() - begun)

    def say_stop(self, number: int) -> None:
        """Send rank 0 a note that a signal, by its `number`, asks to stop."""
        self._send(_STOP, 0, number)

    def leave(self) -> None:
        """At this process's end: send every other rank a note, in case that it waits for this one."""
        from mpi4py import MPI

        if not MPI.Is_finalized():
            self._send_all(_LEFT)

    def read_notes(self) -> None:
        """Take in what other ranks have sent."""
        from mpi4py import MPI

        status = MPI.Status()
        while self.comm.Iprobe(MPI.ANY_SOURCE, MPI.ANY_TAG, status):
            source, note, content = status.Get_source(), status.Get_tag(), bytearray(1)
            self.comm.Recv(content, source, note)
            if note == _LEFT:
                self._gone = source
            elif note == _STOP:
                self.stop = content[0]
            elif note == _WHO:
                self._send(_HERE, source)
            else:
                self._waiting.add(source)

    def _send(self, note: int, rank: int, content: int = 0) -> None:
        self.comm.Isend(bytearray([content]), rank, note).Free()

    def _send_all(self, note: int) -> None:
        for rank in self.others:
            self._send(note, rank)

    def _say_who_is_missing(self, seconds: float, over: bool) -> None:
        """Name the ranks that are in no call: they compute, or are frozen. One rank speaks for all that wait.

        Where the wait is `over` that rank ends the job.
        """
        missing = [rank for rank in self.others if rank not in self._waiting]
        if (missing or over) and self.rank == min(self._waiting):
            names = f"rank {missing[0]}" if len(missing) == 1 else f"ranks {', '.join(map(str, missing))}"
            names = names if missing else "the others, which wait as well"
            then = "longer than --timeout allows: the job ends" if over else "and goes on waiting"
            report(f"rank {self.rank} has waited {seconds:.0f} s for {names}, {then}")
            if over:
                abort(self.comm, 1)


def duplicate(comm: Any, timeout: float = math.inf) -> Any:
    """A duplicate of `comm`, which takes every rank; where one does not come, stderr gets a line about it.

    After `timeout` seconds the job ends.
    """
    made, request = comm.Idup()
    begun = time.monotonic()
    deadline = begun + _PATIENCE
    while not request.Test():
        if time.monotonic() - begun > timeout:
            report(
                f"rank {comm.Get_rank()} has waited {timeout:g} s for every rank to call newtonfl, as long as "
                "--timeout allows: the job ends"
            )
            abort(comm, 1)
        if time.monotonic() > deadline:
            deadline = math.inf
            report(
                f"rank {comm.Get_rank()} has waited {_PATIENCE:g} s for every rank to call newtonfl. A rank that left "
                "before, or failed before it imported newtonfl, keeps the others waiting, unless the job is started by "
                "mpiexec -n N python -m mpi4py SCRIPT"
            )
        os.sched_yield()
    return made
