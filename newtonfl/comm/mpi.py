"""MPI: the transport over ranks. The only file that imports mpi4py, and only where MPI is used."""

from __future__ import annotations

import atexit
import math
import os
import sys
import time
import traceback
from functools import cache
from types import TracebackType
from typing import Any

import numpy as np

from newtonfl.comm.transport import Fault, Transport

CHUNK = 2**30
"""The most bytes in one MPI call: counts are 32-bit integers in MPI before version 4."""

_GRACE = 2.0  # seconds
_SPIN, _NAP = 1e-3, 1e-4  # seconds
_PATIENCE = 10.0  # seconds
_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


def launched() -> int | None:
    """How many ranks the launcher started, by its own account; None where there is no launcher."""
    for name in _SIZE_VARIABLES:
        value = os.environ.get(name, "")
        if value.isdigit():
            return int(value)
    return None


class MPITransport(Transport):
    """Ranks of an MPI communicator. Only buffers travel, in chunks of at most :data:`CHUNK` bytes.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Is duplicated, so that nothing of ours meets the caller's own messages.
    """

    def __init__(self, comm: Any) -> None:
        self.comm, self.exits = _duplicate(comm), _duplicate(comm)
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
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

    def _leave(self) -> None:
        """At this process's end: send every other rank a byte, in case that it waits for this one."""
        from mpi4py import MPI

        for rank in range(0 if MPI.Is_finalized() else self.size):
            if rank != self.rank:
                self.exits.Isend(bytearray(1), rank).Free()

    def _wait(self, request: Any) -> None:
        """Wait for a request, but not for a rank that has ended: that would be for ever."""
        from mpi4py import MPI

        status, deadline, begun = MPI.Status(), math.inf, time.monotonic()
        while not request.Test():
            if deadline == math.inf and self.exits.Iprobe(MPI.ANY_SOURCE, MPI.ANY_TAG, status):
                # It may have ended well, its last message still on the way.
                deadline = time.monotonic() + _GRACE
            if deadline < math.inf and time.monotonic() > deadline:
                gone = status.Get_source()
                print(f"newtonfl: rank {gone} ended early, and rank {self.rank} waited for it", file=sys.stderr)
                self.abort()
            if time.monotonic() - begun < _SPIN:
                os.sched_yield()
            else:  # the rank that this one waits for may need the core
                time.sleep(_NAP)

    def abort(self) -> None:
        """End every rank now, with a status that is not zero."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.comm.Abort(1)


def _duplicate(comm: Any) -> Any:
    """A duplicate of `comm`, which takes every rank; where one does not come, stderr gets a line about it."""
    duplicate, request = comm.Idup()
    deadline = time.monotonic() + _PATIENCE
    while not request.Test():
        if time.monotonic() > deadline:
            deadline = math.inf
            print(
                f"newtonfl: rank {comm.Get_rank()} has waited {_PATIENCE:g} s for every rank to call newtonfl. A rank "
                "that failed before keeps the others waiting, unless the job is started by "
                "mpiexec -n N python -m mpi4py SCRIPT",
                file=sys.stderr, flush=True,
            )  # fmt: skip
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
        If mpi4py or its MPI library is missing, or the launcher belongs to another MPI.
    """
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
        _install_abort_hook(transport)
    return transport


@cache
def _kept_at() -> int:
    """Where a communicator keeps its transport: duplicates are few, so each gets one."""
    from mpi4py import MPI

    return int(MPI.Comm.Create_keyval())


def _install_abort_hook(transport: MPITransport) -> None:
    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        # Every rank knows of a fault: it is enough that rank 0 reports it, which gets the time to do so.
        if not isinstance(error, Fault) or transport.rank == 0:
            traceback.print_exception(kind, error, trace)
            sys.stderr.flush()
        if transport.rank:
            time.sleep(1.0)
        transport.abort()

    sys.excepthook = hook
