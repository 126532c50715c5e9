"""Monitor: named numbers of a round, which become columns of the history."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import scipy

from newtonfl.core.backend import is_array, to_host
from newtonfl.methods import Method
from newtonfl.monitors.state import RoundState
from newtonfl.objectives.base import Problem
from newtonfl.results.record import Record


class Monitor(ABC):
    """Measures a solve after every round, round 0 first: ``nf.solve(…, monitors=[…])``. Rank 0's are asked.

    Off the clock and off the ledger. One object may watch several solves, so it keeps nothing of one.

    Examples
    --------
    >>> import newtonfl as nf
    >>> class Largest(nf.monitors.Monitor):
    ...     columns = ("largest",)
    ...     def measure(self, state):
    ...         return [abs(state.x).max()]
    >>> r = nf.solve(nf.load("breast_cancer", clients=4), "newton", monitors=[Largest()])
    >>> r.history[0].monitors
    {'largest': 0.0}
    """

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """What its numbers are called in the history; a class may have it as a plain attribute."""

    @abstractmethod
    def measure(self, state: RoundState) -> Sequence[float]:
        """A number for each of the columns; nan where there is none.

        Parameters
        ----------
        state : RoundState
            Of the round that has ended.

        Returns
        -------
        sequence of float
        """

    def resolved(self, problem: Problem, method: Method) -> Monitor:
        """This monitor for one solve, with all that depends on it made definite.

        Raises
        ------
        ValueError
            Where the solve cannot be measured.
        """
        return self


def resolve(monitors: object, problem: Problem, method: Method) -> tuple[Monitor, ...]:
    """The `monitors` that a user gave, resolved; no two have the same column.

    Raises
    ------
    TypeError
        If they are no list of monitors.
    ValueError
        If a column is no name, is one of every history's, or stands twice; or a monitor refuses the solve.
    """
    if not isinstance(monitors, (list, tuple)):
        raise TypeError(f"monitors: given {monitors!r}, must be a list of monitors such as [nf.monitors.ClientBytes()]")
    resolved = []
    taken = {field.name for field in fields(Record)}
    for monitor in monitors:
        if not isinstance(monitor, Monitor):
            raise TypeError(f"monitors: given {monitor!r}, must be a Monitor such as nf.monitors.ClientBytes()")
        columns: object = monitor.columns
        if not isinstance(columns, (list, tuple)):
            raise TypeError(f"monitors: {monitor!r} has columns {columns!r}, must be a tuple of names")
        for column in columns:
            if not isinstance(column, str) or not re.fullmatch(r"[A-Za-z]\w*", column):
                raise ValueError(f"monitors: given the column {column!r}, must be a name of letters, digits and _")
            if column in taken:
                raise ValueError(f"monitors: given the column {column!r}, which the history has already")
            taken.add(column)
        resolved.append(monitor.resolved(problem, method))
    return tuple(resolved)


def measured(monitors: Sequence[Monitor], state: RoundState) -> dict[str, float]:
    """What the `monitors` measure of a round, by column.

    Raises
    ------
    ValueError
        If a monitor gives another count of numbers than it has columns.
    """
    row: dict[str, float] = {}
    for monitor in monitors:
        numbers = [float(number) for number in monitor.measure(state)]
        if len(numbers) != len(monitor.columns):
            raise ValueError(
                f"monitors: {monitor!r} gave {len(numbers)} numbers for its columns {', '.join(monitor.columns)}"
            )
        row |= dict(zip(monitor.columns, numbers, strict=True))
    return row


def identity(monitor: Monitor) -> str:
    """What tells a monitor from another: its class, its columns and, of a dataclass, a hash of its settings."""
    words = f"{type(monitor).__qualname__}({', '.join(monitor.columns)})"
    state = hashlib.blake2b(digest_size=8)
    names = getattr(monitor, "__dataclass_fields__", ())
    for name in names:
        state.update(name.encode())
        _add(state, getattr(monitor, name, None))
    return f"{words} {state.hexdigest()}" if names else words


def _add(state: Any, value: Any) -> None:
    if scipy.sparse.issparse(value):
        csr = scipy.sparse.csr_array(value)
        for part in (csr.data, csr.indices, csr.indptr):
            _add(state, part)
    elif is_array(value) and to_host(value).dtype.kind in "biuf":
        array = np.ascontiguousarray(to_host(value))
        state.update(f"{array.dtype.str} {array.shape} ".encode())
        state.update(array.tobytes())
    else:
        listed = value.tolist() if isinstance(value, np.ndarray) else value
        state.update(re.sub(r" at 0x[0-9a-f]+", "", repr(listed)).encode())
