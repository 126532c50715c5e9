"""MPI: the transport over ranks. The only file that imports mpi4py, and only where MPI is used."""

from __future__ import annotations

import atexit
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from newtonfl.comm.launcher import is_child_of_rank, launched, launched_rank
from newtonfl.comm.transport import Fault, Transport

CHUNK = 2**30
"""The most bytes in one MPI call: counts are 32-bit integers in MPI before version 4."""

_GRACE = 2.0  # seconds
_SPIN, _NAP = 1e-3, 1e-4  # seconds
_PATIENCE = 10.0  # seconds until every rank has called newtonfl
_LONG = 60.0
"""Seconds beyond the longest wait so far after which a rank says for whom it waits: a node that swaps or a slow file
system holds a rank up for some seconds, and a round that takes minutes is usual from its second time on."""

_LEFT, _STOP, _WHO, _HERE = range(4)
"""What a note between ranks says: I have ended; a signal asks to stop; are you waiting too? I am."""


_connected: list[MPITransport] = []
"""This process's transports over several ranks."""


class MPITransport(Transport):
    """Ranks of an MPI communicator. Only buffers travel, in chunks of at most :data:`CHUNK` bytes.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Is duplicated, so that nothing of ours meets the caller's own messages.
    """

    def __init__(self, comm: Any) -> None:
        self.comm, self.notes = _duplicate(comm), _duplicate(comm)
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self.gone: int | None = None  # a rank that has ended
        self.waiting: set[int] = set()  # ranks that have said that they wait too
        self.longest = 0.0  # seconds of the longest wait so far
        atexit.register(self._leave)

    def broadcast(self, buffer: bytes | None) -> bytes:
        length = np.array([0 if buffer is None else len(buffer)], np.int64)
        self._wait(self.comm.Ibcast(length, 0))
        whole = bytearray(int(length[0])) if buffer is None else buffer
        for chunk in _chunks(whole):
            self._wait(self.comm.Ibcast(chunk, 0))
        return bytes(whole)

    def gather(self, buffer: bytes) -> list[bytes]:
        lengths = np.zeros(self.size, np.int64)
        self._wait(self.comm.Igather(np.array([len(buffer)], np.int64), lengths if self.rank == 0 else None, 0))
        if self.rank:
            for chunk in _chunks(buffer):
                self._wait(self.comm.Isend(chunk, 0))
            return []
        received = [buffer] + [bytearray(int(length)) for length in lengths[1:]]
        for rank, whole in enumerate(received[1:], 1):
            for chunk in _chunks(whole):
                self._wait(self.comm.Irecv(chunk, rank))
        return [bytes(whole) for whole in received]

    def scatter(self, buffers: list[bytes] | None) -> bytes:
        length = np.zeros(1, np.int64)
        lengths = None if buffers is None else np.array([len(buffer) for buffer in buffers], np.int64)
        self._wait(self.comm.Iscatter(lengths, length, 0))
        if buffers is not None:
            for rank, whole in enumerate(buffers[1:], 1):
                for chunk in _chunks(whole):
                    self._wait(self.comm.Isend(chunk, rank))
            return buffers[0]
        mine = bytearray(int(length[0]))
        for chunk in _chunks(mine):
            self._wait(self.comm.Irecv(chunk, 0))
        return bytes(mine)

    @contextmanager
    def keeping_interrupts(self) -> Iterator[None]:
        main = threading.current_thread() is threading.main_thread()
        if self.size == 1 or not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield  # alone, or the handler is another's, or is ours already
            return

        def keep(number: int, frame: FrameType | None) -> None:
            self.broken = self.interrupt is not None
            self.raise_interrupt()
            self.interrupt = KeyboardInterrupt()

        signal.signal(signal.SIGINT, keep)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.raise_interrupt()

    def request_stop(self, number: int) -> None:
        if self.rank:
            self._send(_STOP, 0, number)
        else:
            super().request_stop(number)

    def stop_request(self) -> int:
        self._read_notes()
        return super().stop_request()

    def _leave(self) -> None:
        """At this process's end: send every other rank a note, in case that it waits for this one."""
        from mpi4py import MPI

        for rank in range(0 if MPI.Is_finalized() else self.size):
            if rank != self.rank:
                self._send(_LEFT, rank)

    def _send(self, note: int, rank: int, content: int = 0) -> None:
        self.notes.Isend(bytearray([content]), rank, note).Free()

    def _read_notes(self) -> None:
        """Take in what other ranks have sent beside the calls."""
        from mpi4py import MPI

        status = MPI.Status()
        while self.notes.Iprobe(MPI.ANY_SOURCE, MPI.ANY_TAG, status):
            source, note, content = status.Get_source(), status.Get_tag(), bytearray(1)
            self.notes.Recv(content, source, note)
            if note == _LEFT:
                self.gone = source
            elif note == _STOP:
                super().request_stop(content[0])
            elif note == _WHO:
                self._send(_HERE, source)
            else:
                self.waiting.add(source)

    def _wait(self, request: Any) -> None:
        """Wait for a request, but not for a rank that has ended: that would be for ever."""
        begun = time.monotonic()
        deadline, question, verdict = math.inf, begun + self.longest + _LONG, math.inf
        while not request.Test():
            self._read_notes()
            now = time.monotonic()
            if self.gone is not None and deadline == math.inf:
                # It may have ended well, its last message still on the way.
                deadline = now + _GRACE
            if now > deadline:
                _report(f"rank {self.gone} ended early, and rank {self.rank} waited for it")
                self.abort()
            if now > question:
                question, verdict = math.inf, now + _GRACE
                self._ask_who_waits()
            if now > verdict:
                verdict = math.inf
                self._say_who_is_missing(now - begun)
            if now - begun < _SPIN:
                os.sched_yield()
            else:  # the rank that this one waits for may need the core
                time.sleep(_NAP)
        self.longest = max(self.longest, time.monotonic() - begun)

    def _ask_who_waits(self) -> None:
        self.waiting = {self.rank}
        for rank in range(self.size):
            if rank != self.rank:
                self._send(_WHO, rank)

    def _say_who_is_missing(self, seconds: float) -> None:
        """Name the ranks that are in no call: they compute, or are frozen. One rank speaks for all that wait."""
        missing = sorted(set(range(self.size)) - self.waiting)
        if missing and self.rank == min(self.waiting):
            names = f"rank {missing[0]}" if len(missing) == 1 else f"ranks {', '.join(map(str, missing))}"
            _report(f"rank {self.rank} has waited {seconds:.0f} s for {names}, and goes on waiting")

    def abort(self, status: int = 1) -> None:
        """End every rank now, with a `status` that is not zero."""
        _flush()
        self.comm.Abort(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, AttributeError, RuntimeError):  # gone, absent, or just being written to
            stream.flush()


def _report(line: str) -> None:
    """Say a line on stderr, where there is one."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"newtonfl: {line}", file=sys.stderr, flush=True)


def _duplicate(comm: Any) -> Any:
    """A duplicate of `comm`, which takes every rank; where one does not come, stderr gets a line about it."""
    duplicate, request = comm.Idup()
    deadline = time.monotonic() + _PATIENCE
    while not request.Test():
        if time.monotonic() > deadline:
            deadline = math.inf
            _report(
                f"rank {comm.Get_rank()} has waited {_PATIENCE:g} s for every rank to call newtonfl. A rank that left "
                "before, or failed before it imported newtonfl, keeps the others waiting, unless the job is started by "
                "mpiexec -n N python -m mpi4py SCRIPT"
            )
        os.sched_yield()
    return duplicate


def _chunks(buffer: bytes | bytearray) -> list[memoryview]:
    view = memoryview(buffer)
    return [view[first : first + CHUNK] for first in range(0, len(view), CHUNK)]


def connect(comm: Any = None) -> MPITransport:
    """Take part in an MPI job: every rank calls this.

    From then on an exception that nobody catches ends every rank (a plain ``mpiexec python script.py`` would hang).

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
        None is MPI.COMM_WORLD.

    Returns
    -------
    MPITransport
        The communicator's own: the same one however often this is called.

    Raises
    ------
    TypeError
        If `comm` is no communicator.
    RuntimeError
        If mpi4py or its MPI library is missing, the launcher belongs to another MPI, or a rank started this process.
    """
    if is_child_of_rank():
        raise RuntimeError(
            "a rank of an MPI job started this process, which has the rank's environment and is no rank itself: to "
            "solve in one process take PMI_RANK, PMI_SIZE and PMI_FD out of its environment"
        )
    try:
        from mpi4py import MPI
    except ImportError:
        raise RuntimeError("MPI needs mpi4py, which is not installed: pip install 'newtonfl[mpi]'") from None
    except RuntimeError as error:
        raise RuntimeError(f"mpi4py finds no MPI library: pip install mpich ({error})") from None
    started = launched()
    world = comm is None or comm == MPI.COMM_WORLD
    if world and started is not None and started != MPI.COMM_WORLD.Get_size():
        raise RuntimeError(
            f"the launcher started {started} ranks, and this process sees {MPI.COMM_WORLD.Get_size()}: mpiexec belongs "
            "to another MPI library than mpi4py's. Use the mpiexec that stands beside this python"
        )
    comm = MPI.COMM_WORLD if comm is None else comm
    if not isinstance(comm, MPI.Comm) or comm == MPI.COMM_NULL:
        raise TypeError(f"comm: given {comm!r}, must be an mpi4py communicator that this rank belongs to")
    kept = comm.Get_attr(_kept_at())
    if isinstance(kept, MPITransport):
        return kept
    transport = MPITransport(comm)
    comm.Set_attr(_kept_at(), transport)
    if transport.size > 1:
        _connected.append(transport)
        end_job_on_failure()
    return transport


@cache
def _kept_at() -> int:
    """Where a communicator keeps its transport: duplicates are few, so each gets one."""
    from mpi4py import MPI

    return int(MPI.Comm.Create_keyval())


def end_job_on_failure() -> None:
    """Let an exception that nobody catches end every rank, after :data:`sys.excepthook` as it was has shown it.

    ``import newtonfl`` calls this where a launcher started several ranks; it starts no MPI.
    """
    if getattr(sys.excepthook, "ends_job", False):
        return
    shown, process = sys.excepthook, os.getpid()

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        rank = _connected[-1].rank if _connected else launched_rank()
        # Every rank knows of a fault: it is enough that rank 0 reports it, which gets the time to do so.
        if not isinstance(error, Fault) or rank == 0:
            shown(kind, error, trace)
        if os.getpid() == process:  # a fork of a rank is no rank
            if rank:
                time.sleep(1.0)
            _abort_job()

    hook.ends_job = True  # type: ignore[attr-defined]
    sys.excepthook = hook


def _abort_job() -> None:
    """End every rank; one that has not started MPI starts it for that, as the others would wait for it in theirs."""

    def start_and_abort() -> None:
        with suppress(ImportError, RuntimeError):
            from mpi4py import MPI

            MPI.COMM_WORLD.Abort(1)

    _flush()
    MPI = sys.modules.get("mpi4py.MPI")
    if MPI is not None:
        if MPI.Is_initialized() and not MPI.Is_finalized():
            comm = _connected[-1].comm if _connected else MPI.COMM_WORLD
            comm.Abort(1)
    else:
        attempt = threading.Thread(target=start_and_abort, daemon=True)  # waits until the others start MPI too
        attempt.start()
        attempt.join(_LONG)
        if attempt.is_alive():
            os._exit(1)
