"""What Ctrl-C and SIGTERM do to a command: rounds end with a result, everything else ends at once.

The handlers are the command line's alone. A script keeps Python's own: KeyboardInterrupt.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from newtonfl.comm.transport import Transport

_STOPPING = (signal.SIGINT, signal.SIGTERM)
_SAME = 0.5
"""Seconds within which several signals are one: a terminal and a launcher may both send it."""


class Interrupts:
    """The signals that ask a command to stop, while this is entered; those that are ignored stay so.

    Parameters
    ----------
    process_ends : bool
        The process ends with the command: a signal that comes after it has nothing left to stop, and is ignored.
    """

    def __init__(self, process_ends: bool = False) -> None:
        self.process_ends = process_ends
        self.transport: Transport | None = None
        self.connecting = False
        self.in_rounds = False
        self._number = 0
        self._came: float | None = None  # when this process first got a signal; rank 0 may learn of another rank's
        self._said = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _STOPPING:
                if signal.getsignal(number) != signal.SIG_IGN:  # as after nohup, or in a script's background
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self.process_ends else handler)  # type: ignore[arg-type]

    @property
    def status(self) -> int:
        """The exit status that tells of the signal: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self._number or signal.SIGINT)

    def connected(self, transport: Transport) -> None:
        """Take the ranks; a signal that came while they were waited for acts now."""
        self.transport, self.connecting = transport, False
        if self._number:
            self._first(self._number)

    def begin_rounds(self) -> None:
        """From now on a signal lets the round end, and the result be written. Every rank calls this."""
        self.in_rounds = True

    def stop(self) -> bool:
        """Whether a signal asks to stop, on any rank. Rank 0 looks after every round."""
        assert self.transport is not None
        number = self.transport.stop_request()
        if number:
            self._number = number
            self.report("this round ends, and then the run; once more ends it at once")
        return bool(number)

    def agree(self) -> str:
        """The name of the signal that stopped the rounds, on every rank. Collective."""
        assert self.transport is not None
        self._number = self.transport.broadcast(bytes([self._number]) if self.transport.rank == 0 else None)[0]
        return signal.Signals(self._number).name

    def report(self, words: str) -> None:
        """Say once on stderr which signal came, and what follows from it."""
        if not self._said:
            self._said = True
            name = signal.Signals(self.status - 128).name
            line = f"{chr(10) * os.isatty(2)}newtonfl: {name}: {words}\n"  # a terminal's progress line stays above
            with contextlib.suppress(OSError):
                os.write(2, line.encode())  # print may be what was interrupted

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._came is None:
            self._number, self._came = self._number or number, now
            if not self.connecting:
                self._first(number)
        elif now - self._came > _SAME:
            self._end_every_rank()

    def _first(self, number: int) -> None:
        ranks, rank = (1, 0) if self.transport is None else (self.transport.size, self.transport.rank)
        if self.in_rounds and self.transport is not None:
            self.transport.request_stop(number)
            if rank == 0:
                self.stop()
            return
        if ranks == 1:
            raise KeyboardInterrupt
        if rank:
            time.sleep(1.0 + 0.01 * rank)  # rank 0 speaks for all if it got the signal too
        self.report("stopped before the first round")
        self._end_every_rank()

    def _end_every_rank(self) -> None:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # MPI has a line of its own about it
        if self.transport is not None and self.transport.size > 1:
            self.transport.abort(self.status)
        os._exit(self.status)
