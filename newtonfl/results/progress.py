"""Progress: one line on stderr that follows a solve."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from newtonfl.results.history import Record


class Progress:
    """A callback for :func:`newtonfl.solve` that keeps one line on stderr: round, f and ‖∇f‖, once a second at most.

    A solve calls it on rank 0 alone.

    Parameters
    ----------
    label : str
        What the line begins with.
    silent : bool
        Draw nothing.

    Examples
    --------
    >>> import newtonfl as nf
    >>> with nf.Progress(silent=True) as progress:
    ...     r = nf.solve(nf.load("breast_cancer"), nf.newton(), callback=progress)
    >>> r.converged
    True
    """

    def __init__(self, label: str = "", silent: bool = False) -> None:
        from tqdm.auto import tqdm

        self.label = f"{label}  " if label else ""
        self.bar = tqdm(bar_format="{desc}", disable=silent, mininterval=1.0, file=sys.stderr)

    def __call__(self, record: Record) -> None:
        """Show a round."""
        self.bar.set_description_str(
            f"{self.label}round {record.round}  f {record.f:.12g}  ‖∇f‖ {record.gradient_norm:.2e}", refresh=False
        )
        self.bar.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Draw the last round and end the line."""
        self.bar.refresh()
        self.bar.close()
