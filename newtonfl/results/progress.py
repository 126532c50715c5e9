"""Progress: how far a solve is, on stderr: one line that follows it on a terminal, a line now and then in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType
from typing import Any, Self

from newtonfl.results.record import Record

SELDOM = 10.0
"""Seconds between two lines where each stays: in a file, a pipe or a CI log."""


class Progress:
    """A callback for :func:`newtonfl.solve` that shows round, f, the gap, ‖∇f‖ and bytes a client on stderr.

    On a terminal and in a notebook it keeps one line, and renews that once a second at most. Elsewhere it adds a line
    every :data:`SELDOM` seconds. A solve calls it on rank 0 alone.

    Parameters
    ----------
    label : str
        What the line begins with.
    silent : bool
        Draw nothing.
    rounds : int or None
        The most rounds, where they are known.

    Examples
    --------
    >>> import newtonfl as nf
    >>> with nf.Progress(silent=True) as progress:
    ...     r = nf.solve(nf.load("breast_cancer"), nf.newton(), callback=progress)
    >>> r.converged
    True
    """

    def __init__(self, label: str = "", silent: bool = False, rounds: int | None = None) -> None:
        self.label = f"{label}  " if label else ""
        self.silent = silent or sys.stderr is None  # as under pythonw
        self.bar = None if self.silent else _renewed_line()
        self.shown = time.monotonic()
        self.line, self.limit = "", "" if rounds is None else f" of {rounds}"
        self.setup_bytes = 0.0

    def __call__(self, record: Record) -> None:
        """Show a round."""
        if self.silent:
            return
        if record.round == 0:
            self.setup_bytes = (record.setup_bytes_up or 0.0) + (record.setup_bytes_down or 0.0)
        kilobytes = (self.setup_bytes + record.bytes_up + record.bytes_down) / 1e3
        f = "" if record.f is None else f"  f {record.f:.12g}"
        gap = "" if record.gap is None else f"  f - f* {record.gap:.2e}"
        self.line = (
            f"{self.label}round {record.round}{self.limit}{f}{gap}  ‖∇f‖ {record.gradient_norm:.2e}"
            f"  {kilobytes:,.1f} kB a client"
        )
        if self.bar is not None:
            self.bar.set_description_str(self.line, refresh=False)
            self.bar.update()
        elif time.monotonic() - self.shown >= SELDOM:
            self._add_line()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, in_log: bool = True) -> None:
        """Draw the last round and end the line.

        Parameters
        ----------
        in_log : bool
            Where lines stay, the last round adds one too.
        """
        if self.bar is not None:
            self.bar.refresh()
            self.bar.close()
        elif self.line and in_log:
            self._add_line()

    def _add_line(self) -> None:
        self.shown = time.monotonic()
        with contextlib.suppress(OSError):  # whoever read it has gone
            print(self.line, file=sys.stderr, flush=True)


def _renewed_line() -> Any:
    """tqdm's bar without the bar, on a terminal and in a notebook; None elsewhere."""
    from tqdm import auto

    in_notebook = auto.notebook_tqdm is not auto.std_tqdm
    if not (in_notebook or sys.stderr.isatty()):
        return None
    return auto.tqdm(bar_format="{desc}", mininterval=1.0, file=sys.stderr)
