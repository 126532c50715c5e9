"""MPI: the transport over ranks, and how to get one."""

from __future__ import annotations

import atexit
import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from types import FrameType
from typing import Any

import numpy as np

from newtonfl.comm.launcher import is_child_of_rank, launched
from newtonfl.comm.mpi_end import abort, end_job_on_failure
from newtonfl.comm.mpi_wait import Waiting, duplicate
from newtonfl.comm.shared_memory import unlink_shared_memory
from newtonfl.comm.startup_timeout import startup_timeout
from newtonfl.comm.transport import Transport
from newtonfl.core.timing import timed

CHUNK = 2**30
"""The most bytes in one MPI call: counts are 32-bit integers in MPI before version 4."""


class MPITransport(Transport):
    """Ranks of an MPI communicator. Only buffers travel, in chunks of at most :data:`CHUNK` bytes.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Is duplicated, so that nothing of ours meets the caller's own messages.
    timeout : float
        Seconds that a rank may wait for others before it ends the job.
    """

    lays_out_all = False

    def __init__(self, comm: Any, timeout: float = math.inf) -> None:
        self.comm = duplicate(comm, timeout)
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self.waiting = Waiting(duplicate(comm, timeout))
        self.waiting.timeout = timeout
        unlink_shared_memory()
        atexit.register(self.waiting.leave)

    def broadcast(self, buffer: bytes | None) -> bytes:
        length = np.array([0 if buffer is None else len(buffer)], np.int64)
        self._meet(self.comm.Ibcast(length, 0))
        whole = bytearray(int(length[0])) if buffer is None else buffer
        self._carry(whole, partial(self.comm.Ibcast, root=0))
        return bytes(whole)

    def gather(self, buffer: bytes) -> list[bytes]:
        lengths = np.zeros(self.size, np.int64)
        self._meet(self.comm.Igather(np.array([len(buffer)], np.int64), lengths if self.rank == 0 else None, 0))
        if self.rank:
            self._carry(buffer, partial(self.comm.Isend, dest=0))
            return []
        received = [buffer] + [bytearray(int(length)) for length in lengths[1:]]
        for rank, whole in enumerate(received[1:], 1):
            self._carry(whole, partial(self.comm.Irecv, source=rank))
        return [bytes(whole) for whole in received]

    def scatter(self, buffers: list[bytes] | None) -> bytes:
        length = np.zeros(1, np.int64)
        lengths = None if buffers is None else np.array([len(buffer) for buffer in buffers], np.int64)
        self._meet(self.comm.Iscatter(lengths, length, 0))
        if buffers is not None:
            for rank, whole in enumerate(buffers[1:], 1):
                self._carry(whole, partial(self.comm.Isend, dest=rank))
            return buffers[0]
        mine = bytearray(int(length[0]))
        self._carry(mine, partial(self.comm.Irecv, source=0))
        return bytes(mine)

    def swap(self, outbox: dict[int, bytes]) -> dict[int, bytes]:
        others = [rank for rank in sorted(outbox) if rank != self.rank]
        lengths = np.array([len(outbox[rank]) for rank in others], np.int64)
        announced = np.zeros(len(others), np.int64)
        requests = [self.comm.Irecv(announced[i : i + 1], rank) for i, rank in enumerate(others)]
        requests += [self.comm.Isend(lengths[i : i + 1], rank) for i, rank in enumerate(others)]
        for request in requests:
            self._meet(request)
        inbox = {rank: bytearray(int(length)) for rank, length in zip(others, announced, strict=True)}
        with timed("transport") as timer:
            # All are under way before one is waited for: two ranks may send to each other at once.
            requests = [self.comm.Irecv(chunk, rank) for rank in others for chunk in _chunks(inbox[rank])]
            requests += [self.comm.Isend(chunk, rank) for rank in others for chunk in _chunks(outbox[rank])]
            for request in requests:
                self.waiting.wait(request)
            timer.add_bytes(int(lengths.sum() + announced.sum()))
        own = {self.rank: outbox[self.rank]} if self.rank in outbox else {}
        return own | {rank: bytes(buffer) for rank, buffer in inbox.items()}

    def _meet(self, lengths: Any) -> None:
        """Wait for the exchange of lengths, before which the others may still compute."""
        with timed("waiting"):
            self.waiting.wait(lengths)

    def _carry(self, buffer: bytes | bytearray, request: Callable[[memoryview], Any]) -> None:
        """Carry a buffer, chunk by chunk, each by its MPI `request`."""
        with timed("transport") as timer:
            for chunk in _chunks(buffer):
                self.waiting.wait(request(chunk))
            timer.add_bytes(len(buffer))

    @contextmanager
    def keeping_interrupts(self) -> Iterator[None]:
        main = threading.current_thread() is threading.main_thread()
        if self.size == 1 or not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield  # alone, or the handler is another's, or is ours already
            return

        def keep(number: int, frame: FrameType | None) -> None:
            if self.interrupt is not None:
                self.broken = True
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
            self.waiting.say_stop(number)
        else:
            super().request_stop(number)

    def stop_request(self) -> int:
        self.waiting.read_notes()
        return super().stop_request() or self.waiting.stop

    def abort(self, status: int = 1) -> None:
        """End every rank now, with a `status` that is not zero."""
        abort(self.comm, status)


def _chunks(buffer: bytes | bytearray) -> list[memoryview]:
    view = memoryview(buffer)
    return [view[first : first + CHUNK] for first in range(0, len(view), CHUNK)]


def connect(comm: Any = None, timeout: float = math.inf) -> MPITransport:
    """Take part in an MPI job: every rank calls this.

    From then on an exception that nobody catches ends every rank (a plain ``mpiexec python script.py`` would hang).

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
        None is MPI.COMM_WORLD.
    timeout : float
        Seconds that a rank may wait for others, from now on, before it ends the job.

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
        with startup_timeout(timeout):
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
        kept.waiting.timeout = min(kept.waiting.timeout, timeout)
        return kept
    transport = MPITransport(comm, timeout)
    comm.Set_attr(_kept_at(), transport)
    if transport.size > 1:
        end_job_on_failure(transport.comm)
    return transport


@cache
def _kept_at() -> int:
    """Where a communicator keeps its transport: duplicates are few, so each gets one."""
    from mpi4py import MPI

    return int(MPI.Comm.Create_keyval())
