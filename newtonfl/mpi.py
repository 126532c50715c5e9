"""MPI: the transport over ranks. The only file that imports mpi4py, and only when it is asked for."""

from __future__ import annotations

import os
import sys
import time
import traceback
from types import TracebackType
from typing import Any

import numpy as np

from newtonfl.transport import Fault, Transport

CHUNK = 2**30
"""The most bytes in one MPI call: counts are 32-bit integers in MPI before version 4."""

_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


def launched() -> int | None:
    """How many ranks the launcher says that it started; None where there is no launcher."""
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
        self.comm = comm.Dup()
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()

    def broadcast(self, buffer: bytes | None) -> bytes:
        length = np.array([0 if buffer is None else len(buffer)], np.int64)
        self.comm.Bcast(length, 0)
        whole = bytearray(int(length[0])) if buffer is None else buffer
        for chunk in _chunks(whole):
            self.comm.Bcast(chunk, 0)
        return bytes(whole)

    def gather(self, buffer: bytes) -> list[bytes]:
        lengths = np.zeros(self.size if self.rank == 0 else 0, np.int64)
        self.comm.Gather(np.array([len(buffer)], np.int64), lengths if self.rank == 0 else None, 0)
        if self.rank:
            for chunk in _chunks(buffer):
                self.comm.Send(chunk, 0)
            return []
        received = [buffer] + [bytearray(int(length)) for length in lengths[1:]]
        for rank, whole in enumerate(received[1:], 1):
            for chunk in _chunks(whole):
                self.comm.Recv(chunk, rank)
        return [bytes(whole) for whole in received]

    def scatter(self, buffers: list[bytes] | None) -> bytes:
        length = np.zeros(1, np.int64)
        lengths = None if buffers is None else np.array([len(buffer) for buffer in buffers], np.int64)
        self.comm.Scatter(lengths, length, 0)
        if buffers is not None:
            for rank, whole in enumerate(buffers[1:], 1):
                for chunk in _chunks(whole):
                    self.comm.Send(chunk, rank)
            return buffers[0]
        mine = bytearray(int(length[0]))
        for chunk in _chunks(mine):
            self.comm.Recv(chunk, 0)
        return bytes(mine)

    def abort(self) -> None:
        """End every rank now, with a status that is not zero."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.comm.Abort(1)


def _chunks(buffer: bytes | bytearray) -> list[memoryview]:
    view = memoryview(buffer)
    return [view[start : start + CHUNK] for start in range(0, len(view), CHUNK)]


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

    Raises
    ------
    RuntimeError
        If mpi4py or its MPI library is missing, or the launcher belongs to another MPI.
    """
    try:
        from mpi4py import MPI
    except ImportError:
        raise RuntimeError("MPI needs mpi4py, which is not installed: pip install 'newtonfl[mpi]'") from None
    except RuntimeError as error:
        raise RuntimeError(f"mpi4py finds no MPI library: pip install mpich ({error})") from None
    told = launched()
    if comm is None and told is not None and told != MPI.COMM_WORLD.Get_size():
        raise RuntimeError(
            f"the launcher started {told} ranks, and this process sees {MPI.COMM_WORLD.Get_size()}: mpiexec belongs to "
            "another MPI library than mpi4py's. Use the mpiexec that stands beside this python"
        )
    transport = MPITransport(MPI.COMM_WORLD if comm is None else comm)
    if transport.size > 1:
        _install_abort_hook(transport)
    return transport


def _install_abort_hook(transport: MPITransport) -> None:
    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        # A fault is known to every rank: one telling is enough, and rank 0 gets the time for it.
        if not isinstance(error, Fault) or transport.rank == 0:
            traceback.print_exception(kind, error, trace)
            sys.stderr.flush()
        if transport.rank:
            time.sleep(1.0)
        transport.abort()

    sys.excepthook = hook
