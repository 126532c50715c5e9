"""History: what happened, round by round; JSON Lines in and out, CSV and data frames out."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.optional import pandas
from newtonfl.results.record import Record

_BLOCK = 1024
_NUMBERS = (
    "f", "gap", "gradient_norm", "step", "bytes_up", "bytes_down", "formula_bits_up", "formula_bits_down", "hessians",
    "seconds",
)  # fmt: skip
_ROW = np.dtype([("exchanges", "i4"), *((name, "f8") for name in _NUMBERS), ("has_gap", "?")])
"""A record that has these alone, of a round that is its place, takes 85 bytes, 4 more for each of its levels, and 8 for
each of its monitors' columns; as an object eight times as many."""
_LEVELS = ("levels_up", "levels_down")

_FIELDS = tuple(field.name for field in fields(Record) if field.name != "monitors")


def _is_plain(record: Record) -> bool:
    """Whether a row holds all of it but its levels, in the same types."""
    numbers = [getattr(record, name) for name in _NUMBERS if name != "gap" or record.gap is not None]
    more = (
        record.missing, record.waits, record.setup_bytes_up, record.setup_bytes_down, record.setup_formula_bits_up,
        record.setup_formula_bits_down,
    )  # fmt: skip
    numbers += (record.monitors or {}).values()
    whole = type(record.round) is type(record.exchanges) is int and 0 <= record.exchanges < 2**31
    return whole and all(type(number) is float for number in numbers) and all(value is None for value in more)


class _Counts:
    """Counts by place, in blocks as wide as the first of each; -1 stands behind the last one of a place."""

    def __init__(self) -> None:
        self._blocks: dict[int, Array] = {}

    def take(self, at: int, counts: tuple[int, ...] | None) -> bool:
        """Keep the `counts` of a place; whether they fit."""
        if counts is None:
            return True
        if not counts or not all(type(count) is int and 0 <= count < 2**31 for count in counts):
            return False
        block, place = divmod(at, _BLOCK)
        if block not in self._blocks:
            self._blocks[block] = np.full((_BLOCK, len(counts)), -1, np.int32)
        if len(counts) > self._blocks[block].shape[1]:
            return False
        self._blocks[block][place, : len(counts)] = counts
        return True

    def at(self, at: int) -> tuple[int, ...] | None:
        """The counts of a place; None where there are none."""
        block, place = divmod(at, _BLOCK)
        row = self._blocks[block][place].tolist() if block in self._blocks else []
        return tuple(count for count in row if count >= 0) or None


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
        self._blocks: list[Array] = []
        self._levels = {name: _Counts() for name in _LEVELS}
        self._monitors: tuple[str, ...] = ()  # the first record's
        self._measured: list[Array] = []
        self._others: dict[int, Record] = {}  # that hold more than a row does
        self._length = 0
        for record in records:
            self.append(record)

    def append(self, record: Record) -> None:
        """Add the `record` of the next round."""
        block, place = divmod(self._length, _BLOCK)
        columns = tuple(record.monitors or ())
        if not self._length:
            self._monitors = columns
        if not place:
            self._blocks.append(np.zeros(_BLOCK, _ROW))
            self._measured.append(np.zeros((_BLOCK, len(self._monitors))))
        fits = record.round == self._length and columns == self._monitors and _is_plain(record)
        if fits and all(self._levels[name].take(self._length, getattr(record, name)) for name in _LEVELS):
            numbers = [0.0 if value is None else value for value in (getattr(record, name) for name in _NUMBERS)]
            self._blocks[block][place] = (record.exchanges, *numbers, record.gap is not None)
            self._measured[block][place] = [*(record.monitors or {}).values()]
        else:
            self._others[self._length] = record
        self._length += 1

    def __repr__(self) -> str:
        return f"History of {len(self)} records, the last {self[-1]}" if len(self) else "History of 0 records"

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, i: int) -> Record: ...
    @overload
    def __getitem__(self, i: slice) -> list[Record]: ...
    def __getitem__(self, i: int | slice) -> Record | list[Record]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(self._length))]
        at = range(self._length)[i]  # from behind as well; IndexError beyond
        if at in self._others:
            return self._others[at]
        block, place = divmod(at, _BLOCK)
        row = dict(zip(_ROW.names or (), self._blocks[block][place].tolist(), strict=True))
        row |= {name: counts.at(at) for name, counts in self._levels.items()}
        has_gap = row.pop("has_gap")
        if self._monitors:
            row["monitors"] = dict(zip(self._monitors, self._measured[block][place].tolist(), strict=True))
        return Record(at, **row) if has_gap else Record(at, **{**row, "gap": None})

    def __iter__(self) -> Iterator[Record]:
        return (self[i] for i in range(self._length))

    def sent(
        self, kind: Literal["bytes", "formula_bits"], ways: Sequence[str] = ("up", "down"), setup: bool = True
    ) -> Array:
        """What the mean client sent and got up to each record.

        Parameters
        ----------
        kind : {"bytes", "formula_bits"}
            Measured, or by the papers' formulas.
        ways : sequence of str
            "up", "down", or both, whose sum it is.
        setup : bool
            With the set-up.

        Returns
        -------
        numpy.ndarray, shape (records,)
        """
        first = sum(getattr(self[0], f"setup_{kind}_{way}") or 0.0 for way in ways) if len(self) and setup else 0.0
        return np.array([first + sum(getattr(record, f"{kind}_{way}") for way in ways) for record in self], dtype=float)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a record's fields, and behind them those of the monitors' columns."""
        rare = (tuple(record.monitors or ()) for record in self._others.values())
        return (*_FIELDS, *dict.fromkeys(chain(self._monitors, *rare)))

    @property
    def numbers(self) -> tuple[str, ...]:
        """Those of the :attr:`columns` that hold one number a record."""
        return tuple(name for name in self.columns if name not in (*_LEVELS, "missing"))

    def column(self, name: str) -> Array:
        """One of the :attr:`numbers` as an array; nan where a record has none of it.

        Parameters
        ----------
        name : str
            A field of :class:`Record`, or a monitor's column.

        Returns
        -------
        numpy.ndarray of float64, shape (records,)

        Raises
        ------
        ValueError
            If the history has no such column, or it holds several numbers a record.
        """
        if name not in self.numbers:
            raise ValueError(f"column: given {name!r}, allowed are {', '.join(self.numbers)}")
        found = (getattr(r, name) if name in _FIELDS else (r.monitors or {}).get(name) for r in self)
        return np.array([np.nan if value is None else value for value in found], dtype=float)

    def to_jsonl(self) -> str:
        """All records, a line each."""
        return "".join(record.to_json() + "\n" for record in self)

    def to_csv(self, path: str | Path) -> None:
        """Write a header and a row a record to `path`; None stays empty, several numbers are one cell with spaces."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(self.columns)
            table.writerows([_cell(value) for value in row.values()] for row in self._rows())

    def to_pandas(self) -> Any:
        """The records as a pandas.DataFrame, a column a name and a row a record; several numbers stay tuples.

        Raises
        ------
        RuntimeError
            If pandas is not installed.
        """
        return pandas().DataFrame(list(self._rows()), columns=list(self.columns))

    def _rows(self) -> Iterator[dict[str, Any]]:
        measured = dict.fromkeys(self.columns[len(_FIELDS) :])
        for record in self:
            yield {name: getattr(record, name) for name in _FIELDS} | measured | (record.monitors or {})

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
