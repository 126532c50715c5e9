"""Where time goes: seconds, calls and bytes by phase, while somebody wants to know. Else next to nothing is done.

What a phase takes does not count for the one around it, so that a solve's phases add up to its time. Each solve has a
clock of its own, and its threads share it.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import numpy as np

from newtonfl.core.backend import Array

P = ParamSpec("P")
T = TypeVar("T")

PHASES = (
    "reading", "set-up", "gradients", "Hessians", "compression", "other work of clients", "packing", "transport",
    "waiting", "server", "diagnostics", "checkpoints", "other",
)  # fmt: skip
"""In the order in which they are shown."""

_NUMBER = {phase: place for place, phase in enumerate(PHASES)}


class Timer:
    """What :func:`timed` gives: entered and left, it measures nothing where nobody wants to know."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def add_bytes(self, count: int) -> None:
        """The phase has handled so many."""


class Timings:
    """The clock of one process in one solve.

    Attributes
    ----------
    table : numpy.ndarray, shape (phases, 3)
        Calls, seconds and bytes.
    """

    def __init__(self) -> None:
        self.table = np.zeros((len(PHASES), 3))
        self._lock, self._open = threading.Lock(), threading.local()
        self._owner, self._begun, self._known = threading.get_ident(), time.perf_counter(), 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """While this lasts, the phases of this thread count here, and those of what it starts in its context."""
        token = _running.set(self)
        try:
            yield
        finally:
            _running.reset(token)

    def timer(self, phase: str) -> Timer:
        """Measures a phase while it is entered; within the same phase it is part of that."""
        open_now = self._stack()
        return _OFF if open_now and open_now[-1].phase == phase else _Timer(self, open_now, phase)

    def so_far(self) -> Array:
        """The :attr:`table` with what was in no phase as "other"; asked for while no phase is entered."""
        with self._lock:
            found = self.table.copy()
            found[_NUMBER["other"], 1] = max(time.perf_counter() - self._begun - self._known, 0.0)
        return found

    def _stack(self) -> list[_Timer]:
        if not hasattr(self._open, "stack"):
            self._open.stack = []
        stack: list[_Timer] = self._open.stack
        return stack

    def _count(self, phase: str, seconds: float, size: int) -> None:
        with self._lock:
            self.table[_NUMBER[phase]] += (1.0, seconds, size)
            if threading.get_ident() == self._owner:
                self._known += seconds


class _Timer(Timer):
    __slots__ = ("begun", "inner", "phase", "size", "stack", "timings")

    def __init__(self, timings: Timings, stack: list[_Timer], phase: str) -> None:
        self.timings, self.stack, self.phase = timings, stack, phase
        self.begun, self.inner, self.size = 0.0, 0.0, 0

    def __enter__(self) -> Self:
        self.stack.append(self)
        self.begun = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        whole = time.perf_counter() - self.begun
        self.stack.pop()
        if self.stack:
            self.stack[-1].inner += whole
        self.timings._count(self.phase, whole - self.inner, self.size)

    def add_bytes(self, count: int) -> None:
        self.size += count


_OFF = Timer()
_running: ContextVar[Timings | None] = ContextVar("newtonfl_timings", default=None)


def timed(phase: str) -> Timer:
    """Measures one of the :data:`PHASES` while it is entered, for the solve that runs here, if it is profiled.

    Parameters
    ----------
    phase : str

    Returns
    -------
    context manager
        Whose ``add_bytes`` counts bytes.
    """
    timings = _running.get()
    return _OFF if timings is None else timings.timer(phase)


def timed_as(phase: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a function all of which is one of the :data:`PHASES`."""

    def decorate(work: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(work)
        def measured(*arguments: P.args, **keywords: P.kwargs) -> T:
            timings = _running.get()
            if timings is None:
                return work(*arguments, **keywords)
            with timings.timer(phase):
                return work(*arguments, **keywords)

        return measured

    return decorate


def times_so_far() -> Array:
    """What the clock that runs here has, shape (phases, 3); of none zeros."""
    return (_running.get() or Timings()).so_far()


@contextmanager
def untimed() -> Iterator[None]:
    """While this lasts nothing counts: a solve that is not profiled, within one that is."""
    token = _running.set(None)
    try:
        yield
    finally:
        _running.reset(token)
