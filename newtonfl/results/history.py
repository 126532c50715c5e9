"""History: what happened, per round; JSON Lines in and out, CSV and data frames out."""

from __future__ import annotations

import csv
import json
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from newtonfl.core.backend import Array


@dataclass(frozen=True)
class Record:
    """One round. Counts are cumulative means over the clients, and leave the set-up out.

    Attributes
    ----------
    round : int
        0 is the start, x⁰.
    f, gap, gradient_norm : float
        f(x), f(x) - f* where f* is known (else None), ‖∇f(x)‖₂. Computed off the clock and off the ledger.
    step : float
        ‖x^k - x^(k-1)‖₂; 0 at the start.
    bytes_up, bytes_down : float
        Measured: the packets' lengths.
    formula_bits_up, formula_bits_down : float
        The papers' formulas for the same messages.
    hessians : float
        Hessians computed, per client.
    seconds : float
        Time spent in rounds.
    exchanges : int or None
        Round trips between the server and clients, cumulative and without the set-up; None in a history of a version
        that did not count them.
    levels_up, levels_down : tuple of int, or None
        Where messages are of several levels (AdaCGD): how many of all the clients' messages so far, and of the
        server's, were of level 0 (nothing), 1, …
    setup_bytes_up, setup_bytes_down, setup_formula_bits_up, setup_formula_bits_down : float or None
        Of the set-up; in round 0's record alone.
    missing : tuple of int, or None
        The clients that were away when this round began; None where a solve has no availability.
    waits : int or None
        How often the server has waited for one so far.
    """

    round: int
    f: float
    gap: float | None
    gradient_norm: float
    step: float
    bytes_up: float
    bytes_down: float
    formula_bits_up: float
    formula_bits_down: float
    hessians: float
    seconds: float
    exchanges: int | None = None
    levels_up: tuple[int, ...] | None = None
    levels_down: tuple[int, ...] | None = None
    setup_bytes_up: float | None = None
    setup_bytes_down: float | None = None
    setup_formula_bits_up: float | None = None
    setup_formula_bits_down: float | None = None
    missing: tuple[int, ...] | None = None
    waits: int | None = None

    def to_json(self) -> str:
        """One line; what is None is left out, and what is not finite is null."""
        kept = {name: value for name, value in asdict(self).items() if value is not None}
        finite = {name: value if name in _TUPLES or abs(value) < float("inf") else None for name, value in kept.items()}
        return json.dumps(finite, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The record in a `line` of history.jsonl.

        Raises
        ------
        ValueError
            If it is no record.
        """
        try:
            row = json.loads(line)
        except RecursionError:
            raise ValueError("not a line of a history: brackets within brackets") from None
        names = {field.name for field in fields(cls)}
        if (
            not isinstance(row, dict)
            or not set(row) <= names
            or not all(_readable(name, value) for name, value in row.items())
        ):
            raise ValueError(f"not a line of a history: {line[:80]!r}")
        values: dict[str, Any] = {name: math.nan if value is None else value for name, value in row.items()}
        values |= {name: tuple(values[name]) for name in _TUPLES if name in values}
        return cls(**{"gap": None, **values})


_TUPLES = ("levels_up", "levels_down", "missing")


def _readable(name: str, value: object) -> bool:
    if name in _TUPLES:
        return isinstance(value, list) and all(type(count) is int for count in value)
    return value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**1023)


def _cell(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


class History(Sequence[Record]):
    """The records of a solve, round 0 first: a sequence.

    Parameters
    ----------
    records : sequence of Record
        Those to begin with.
    """

    def __init__(self, records: Sequence[Record] = ()) -> None:
        self._records = list(records)

    def append(self, record: Record) -> None:
        """Add the `record` of the next round."""
        self._records.append(record)

    def __repr__(self) -> str:
        return f"History of {len(self)} records, the last {self[-1]}" if self._records else "History of 0 records"

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, i: int) -> Record:  # type: ignore[override]
        return self._records[i]

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def sent(self, kind: Literal["bytes", "formula_bits"], ways: Sequence[str] = ("up", "down")) -> Array:
        """What the mean client sent and got up to each record, with the set-up.

        Parameters
        ----------
        kind : {"bytes", "formula_bits"}
            Measured, or by the papers' formulas.
        ways : sequence of str
            "up", "down", or both, whose sum it is.

        Returns
        -------
        numpy.ndarray, shape (records,)
        """
        setup = sum(getattr(self[0], f"setup_{kind}_{way}") or 0.0 for way in ways) if len(self) else 0.0
        return np.array([setup + sum(getattr(record, f"{kind}_{way}") for way in ways) for record in self], dtype=float)

    def to_jsonl(self) -> str:
        """All records, a line each."""
        return "".join(record.to_json() + "\n" for record in self)

    def to_csv(self, path: str | Path) -> None:
        """Write a header and a row a record to `path`; None stays empty, several numbers are one cell with spaces."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow([field.name for field in fields(Record)])
            table.writerows([_cell(value) for value in row.values()] for row in self._rows())

    def to_pandas(self) -> Any:
        """The records as a pandas.DataFrame, a column a field and a row a record; several numbers stay tuples.

        Raises
        ------
        RuntimeError
            If pandas is not installed.
        """
        try:
            pandas = import_module("pandas")  # optional, and without types
        except ImportError:
            raise RuntimeError("to_pandas needs pandas, which is not installed: pip install pandas") from None
        return pandas.DataFrame(list(self._rows()), columns=[field.name for field in fields(Record)])

    def _rows(self) -> Iterator[dict[str, Any]]:
        return ({field.name: getattr(record, field.name) for field in fields(Record)} for record in self)

    @classmethod
    def read(cls, path: str | Path) -> History:
        """The history in the history.jsonl at `path`, up to a last line that a full disk or a kill has torn.

        Raises
        ------
        ValueError
            With the file, and the line that is no record.

        Warns
        -----
        RuntimeWarning
            If the last line is torn.
        """
        records = []
        lines = Path(path).read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            if number == len(lines) and not line:
                break
            try:
                records.append(Record.from_json(line.decode()))
            except (ValueError, TypeError, OverflowError) as error:
                if number == len(lines) > 1:  # each line ends with a new one
                    warnings.warn(f"{path}: its last line is torn, read up to it", RuntimeWarning, stacklevel=2)
                    break
                raise ValueError(f"{path}, line {number}: {error}") from None
        return cls(records)
