"""Transport: how bytes reach the ranks; one process is the smallest case. And how ranks agree that all is well."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from newtonfl.comm.envelope import pack, unpack
from newtonfl.core.backend import Array, Unavailable


class Fault(RuntimeError):
    """Another rank failed, or one ended in a way that no caller should catch; the message names rank and phase.

    Attributes
    ----------
    bad_input : bool
        The failing rank refused what a user gave: a ValueError, TypeError or OSError.
    on_every_rank : bool
        Every rank raises it: one traceback says all.
    """

    on_every_rank = True

    def __init__(self, message: str, bad_input: bool = False) -> None:
        super().__init__(message)
        self.bad_input = bad_input


def is_refusal(error: BaseException) -> bool:
    """Whether `error` refuses what a user gave, rather than reports a failure."""
    if isinstance(error, Fault):
        return error.bad_input
    return isinstance(error, (ValueError, TypeError, OSError, Unavailable))


class Transport(ABC):
    """Carries buffers between the ranks of one job. Rank 0 serves, and also holds clients.

    Attributes
    ----------
    rank, size : int
    """

    rank: int
    size: int
    lays_out_all: bool = True
    """Every packet travels in a buffer; else not those of the server's own clients.

    They are read where they are made, or only measured where they hold nothing but whole vectors.
    """

    busy: bool = False
    """A session is under way: its calls and another's would cross."""

    interrupt: KeyboardInterrupt | None = None
    """A Ctrl-C that was kept; :meth:`raise_interrupt` raises it."""

    broken: bool = False
    """A second Ctrl-C took this rank out of a conversation half-way: no other can follow."""

    _stop: int = 0

    def abort(self, status: int = 1) -> None:
        """End every rank now, with a `status` that is not zero; called after a failure that no vote could report."""
        raise SystemExit(status)

    def request_stop(self, number: int) -> None:
        """Pass on to rank 0 that a signal, by its `number`, asks to stop; a signal handler may call this."""
        self._stop = number

    def stop_request(self) -> int:
        """On rank 0: the number of a signal that some rank got, 0 where none did."""
        return self._stop

    def keeping_interrupts(self) -> AbstractContextManager[None]:
        """Keep a Ctrl-C that comes meanwhile for the next point where every rank learns of it, or for the end.

        A conversation that one rank leaves half-way would hold the others in it; so whatever has several of them, as
        loading has, is within this as a whole. A second Ctrl-C is raised at once, after which this rank can begin no
        other conversation. Where there are no other ranks every Ctrl-C is raised at once.
        """
        return nullcontext()

    def raise_interrupt(self) -> None:
        """Raise a Ctrl-C that was kept, here where all ranks learn of it."""
        if self.interrupt is not None:
            error, self.interrupt = self.interrupt, None
            raise error

    @abstractmethod
    def broadcast(self, buffer: bytes | None) -> bytes:
        """Rank 0's `buffer`, on every rank. Collective; the others pass None."""

    @abstractmethod
    def gather(self, buffer: bytes) -> list[bytes]:
        """Every rank's buffer in rank order, on rank 0; an empty list elsewhere. Collective."""

    @abstractmethod
    def scatter(self, buffers: list[bytes] | None) -> bytes:
        """This rank's entry of rank 0's list. Collective; the others pass None."""

    @abstractmethod
    def swap(self, outbox: dict[int, bytes]) -> dict[int, bytes]:
        """What other ranks send to this one, by rank, while it sends them the entries of `outbox`; its own comes back.

        Each of two ranks that have something for each other names the other; who has nobody need not call.
        """

    def shares(self, n_clients: int) -> list[Array]:
        """Which clients each rank holds, increasing: near-equal contiguous blocks."""
        return np.array_split(np.arange(n_clients), self.size)

    def share(self, n_clients: int) -> Array:
        """The clients that this rank holds."""
        return self.shares(n_clients)[self.rank]

    def describe(self, phase: str, error: BaseException) -> bytes:
        """A failure of this rank as bytes for the others."""
        message = str(error) or type(error).__name__
        kind = "" if isinstance(error, (ValueError, OSError, Unavailable)) else f"{type(error).__name__}: "
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", []))
        return pack({}, rank=self.rank, phase=phase, message=f"{kind}{message}{notes}", bad_input=is_refusal(error))

    def raise_fault(self, description: bytes, own: BaseException | None) -> None:
        """Raise what :meth:`describe` packed; this rank's `own` failure keeps its type and traceback."""
        fields: dict[str, Any] = unpack(description)[1]
        where = f"rank {fields['rank']}, {fields['phase']}" if self.size > 1 else fields["phase"]
        if self.interrupt is not None:
            own, self.interrupt = self.interrupt, None
        here = own is not None and fields["rank"] == self.rank
        if isinstance(own, KeyboardInterrupt) or (here and isinstance(own, Exception)):  # a Ctrl-C is everyone's own
            own.add_note(f"at {where}")
            raise own
        # A SystemExit must not pass for success.
        raise Fault(f"{where}: {fields['message']}", fields["bad_input"]) from own

    def same(self, what: str, arguments: str, verb: str = "was given", remedy: str = "") -> None:
        """Refuse, on every rank, that ranks were given different `arguments` for `what`. Collective."""
        everyone = self.gather(arguments.encode())
        with self.agreed(f"comparing {what}"):
            for rank, other in enumerate(everyone):
                if other != everyone[0]:
                    raise ValueError(
                        f"rank {rank} {verb} another {what} than rank 0: {other.decode()} and {everyone[0].decode()}"
                        f"{remedy}"
                    )

    @contextmanager
    def agreed(self, phase: str) -> Iterator[None]:
        """Run a body on every rank; if it fails on any, it fails on all, naming rank and phase.

        The body must not communicate. Whatever ends it counts as a failure, a SystemExit too.
        """
        if self.busy:
            raise RuntimeError(f"{phase}: a solve is under way on these ranks; a callback cannot start another")
        if self.broken:
            raise RuntimeError(f"{phase}: a second Ctrl-C took this rank out of a call that the others are still in")
        failure: BaseException | None = None
        with self.keeping_interrupts():
            try:
                self.raise_interrupt()
                yield
                self.raise_interrupt()
            except BaseException as error:  # the vote must be cast whatever happened
                failure = error
            votes = self.gather(b"" if failure is None else self.describe(phase, failure))
            verdict = self.broadcast(next((vote for vote in votes if vote), b"") if self.rank == 0 else None)
            if verdict:
                self.raise_fault(verdict, failure)


class InProcess(Transport):
    """All clients in this process."""

    rank, size = 0, 1
    lays_out_all = False

    def broadcast(self, buffer: bytes | None) -> bytes:
        assert buffer is not None
        return buffer

    def gather(self, buffer: bytes) -> list[bytes]:
        return [buffer]

    def scatter(self, buffers: list[bytes] | None) -> bytes:
        assert buffers is not None
        return buffers[0]

    def swap(self, outbox: dict[int, bytes]) -> dict[int, bytes]:
        return outbox


def enough_clients(ranks: int, n_clients: int, clients: str = "clients") -> None:
    """Refuse more ranks than clients, or what else the `clients` are here, with a ValueError."""
    if ranks > n_clients:
        raise ValueError(
            f"{ranks} ranks and {n_clients} {clients}: each rank must hold at least one; start {n_clients} ranks or "
            f"fewer, as in mpiexec -n {n_clients}, or have more {clients.partition(',')[0]}"
        )
