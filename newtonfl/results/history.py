"""History: what happened, round by round; JSON Lines in and out, CSV and data frames out."""

from __future__ import annotations

import csv
import json
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.optional import pandas
from newtonfl.results.page import table
from newtonfl.results.record import Record

_BLOCK = 256
_NUMBERLESS = ("levels_up", "levels_down", "missing")

_FIELDS = tuple(field.name for field in fields(Record) if field.name != "monitors")


def _packed(records: Sequence[Record]) -> bytes:
    """Records in an eighth of their memory, about 60 bytes each where they hold numbers alone: columns as JSON, packed.

    JSON of Python's gives every double back, also those that are not finite.
    """
    columns = [[getattr(record, field.name) for record in records] for field in fields(Record)]
    return zlib.compress(json.dumps(columns, default=np.generic.item).encode())


def _unpacked(packed: bytes) -> list[Record]:
    return [Record(*map(_value, row)) for row in zip(*json.loads(zlib.decompress(packed)), strict=True)]


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


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
        self._blocks: list[bytes] = []  # of all but the last records
        self._last: list[Record] = []
        self._opened: tuple[int, list[Record]] = (-1, [])  # the block that was looked into last
        self._monitors: dict[str, None] = {}  # their columns, in order
        for record in records:
            self.append(record)

    def append(self, record: Record) -> None:
        """Add the `record` of the next round."""
        if len(self._last) == _BLOCK:
            self._blocks.append(_packed(self._last))
            self._last = []
        self._last.append(record)
        self._monitors |= dict.fromkeys(record.monitors or ())

    def __repr__(self) -> str:
        return f"History of {len(self)} records, the last {self[-1]}" if len(self) else "History of 0 records"

    def _repr_html_(self) -> str:
        """What a notebook shows: a dozen rounds, with the first and the last."""
        shown = sorted({round(place) for place in np.linspace(0, len(self) - 1, min(12, len(self)))})
        names = ("round", "f(x)", "f(x) − f*", "‖∇f(x)‖₂", "bytes up", "bytes down", "seconds")
        lines = [
            (record.round, *("–" if value is None else value for value in (record.f, record.gap)), record.gradient_norm,
             round(record.bytes_up), round(record.bytes_down), record.seconds)
            for record in map(self.__getitem__, shown)
        ]  # fmt: skip
        return table(names, lines).code

    def __len__(self) -> int:
        return _BLOCK * len(self._blocks) + len(self._last)

    @overload
    def __getitem__(self, i: int) -> Record: ...
    @overload
    def __getitem__(self, i: slice) -> list[Record]: ...
    def __getitem__(self, i: int | slice) -> Record | list[Record]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        block, place = divmod(range(len(self))[i], _BLOCK)  # from behind as well; IndexError beyond
        if block == len(self._blocks):
            return self._last[place]
        if self._opened[0] != block:
            self._opened = block, _unpacked(self._blocks[block])
        return self._opened[1][place]

    def __iter__(self) -> Iterator[Record]:
        return (self[i] for i in range(len(self)))

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
        return (*_FIELDS, *self._monitors)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Those of the :attr:`columns` that hold one number a record."""
        return tuple(name for name in self.columns if name not in _NUMBERLESS)

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
        """All records, a line record."""
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
