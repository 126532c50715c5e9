"""LedgerTable: what every client sent and received, by part; to read, to sum, as CSV and as a data frame."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from io import StringIO
from pathlib import Path
from typing import Any, Self

import numpy as np

from newtonfl.comm.parts import PARTS
from newtonfl.core.backend import Array
from newtonfl.core.optional import pandas

KEYS = ("client", "direction", "phase", "part")
COUNTS = ("messages", "numbers", "bytes")
ALL = "all"
"""What stands in a column that was summed over."""

SETUP, ROUNDS = _PHASES = "setup", "rounds"
HEAD, COLUMNS = "packet head", "shared columns"
"""What is sent beside the parts, none of which can have a name with a blank."""

_ORDER = (COLUMNS, *PARTS)
_SHOWN = 60


@dataclass(frozen=True, eq=False, repr=False)
class LedgerTable:
    """A row each client, direction, phase and part; all columns are arrays of one length.

    Attributes
    ----------
    client : numpy.ndarray of int64, or of str where it was summed over
    direction : numpy.ndarray of str
        "up" is from the client to the server, or to its neighbours; "down" from these to the client.
    phase : numpy.ndarray of str
        "setup", "rounds", or what came after them, such as "inference".
    part : numpy.ndarray of str
        As packets name it; "packet head" is all that is no part, "shared columns" what travels before a solve so that
        all clients have the same features.
    messages, numbers, bytes : numpy.ndarray of int64
        How many messages about the part, the numbers in them, and their bytes. A message to all counts once for each
        client that receives it. Of heads messages are packets. Numbers are those of vectors and matrices, in full or
        quantised: positions and scales are none, nor what an entropy code hides, as of lattice-newton.
    """

    client: Array
    direction: Array
    phase: Array
    part: Array
    messages: Array
    numbers: Array
    bytes: Array

    @classmethod
    def of(cls, parts: Mapping[tuple[str, str, str], Array]) -> Self:
        """The rows that are not empty, of messages, numbers and bytes, shape (3, n), by (direction, phase, part).

        By client, then direction, up first, then phase, the set-up first, then part, the packets' heads last.
        """
        keys = sorted(parts, key=_place)
        if not keys:
            return cls(*(np.zeros(0, np.int64 if name in ("client", *COUNTS) else str) for name in (*KEYS, *COUNTS)))
        counts = np.stack([parts[key] for key in keys], axis=2)  # (3, n, keys)
        client, key = np.nonzero(counts[0])
        names = np.array(keys)[key]
        return cls(client, *names.T, *counts[:, client, key])

    def __len__(self) -> int:
        return len(self.bytes)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows, as dictionaries."""
        columns = {field.name: getattr(self, field.name).tolist() for field in fields(self)}
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))

    def by(self, *keys: str) -> Self:
        """The sums over all that is none of the `keys`, in the order in which they first occur.

        Parameters
        ----------
        keys : {"client", "direction", "phase", "part"}

        Returns
        -------
        LedgerTable
            With "all" in the columns that were summed over.

        Raises
        ------
        ValueError
            If a key is no such column.
        """
        if wrong := [key for key in keys if key not in KEYS]:
            raise ValueError(f"by: given {wrong[0]!r}, must be of {', '.join(KEYS)}")
        group = np.zeros(len(self), np.int64)
        for key in keys:
            codes = np.unique(getattr(self, key), return_inverse=True)[1]
            group = group * (codes.max(initial=0) + 1) + codes
        _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
        order = np.argsort(first)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        sums = {name: np.zeros(len(order), np.int64) for name in COUNTS}
        for name, total in sums.items():
            np.add.at(total, place[inverse], getattr(self, name))
        kept = {key: getattr(self, key)[first[order]] if key in keys else np.full(len(order), ALL) for key in KEYS}
        return replace(self, **kept, **sums)

    def _at(self, rows: Array) -> Self:
        return replace(self, **{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def __repr__(self) -> str:
        """The rows, a line each, of many the first and the last, and a line of sums."""
        half = _SHOWN // 2
        shown = self if len(self) <= _SHOWN else self._at(np.r_[:half, len(self) - half : len(self)])
        rows = [[str(value) if name in KEYS else f"{value:,}" for name, value in row.items()] for row in shown]
        if shown is not self:
            rows.insert(half, ["…"] * len(fields(self)))
        total = ["sum", "", "", "", *(f"{int(getattr(self, name).sum()):,}" for name in COUNTS)]
        lines = [[*KEYS, *COUNTS], *rows, total]
        widths = [max(len(line[j]) for line in lines) for j in range(len(lines[0]))]
        kinds = "<<<<>>>"
        return "\n".join(
            "  ".join(f"{cell:{kind}{width}}" for cell, kind, width in zip(line, kinds, widths, strict=True)).rstrip()
            for line in lines
        )

    @property
    def csv(self) -> str:
        """A header and the rows, as CSV."""
        file = StringIO()
        out = csv.writer(file, lineterminator="\n")
        out.writerow([*KEYS, *COUNTS])
        out.writerows(row.values() for row in self)
        return file.getvalue()

    def to_csv(self, path: str | Path) -> None:
        """Write :attr:`csv` to `path`."""
        Path(path).write_text(self.csv, encoding="utf-8", newline="")

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as dictionaries, without the columns that were summed over."""
        return [{name: value for name, value in row.items() if value != ALL} for row in self]

    def to_pandas(self) -> Any:
        """The rows as a pandas.DataFrame.

        Raises
        ------
        RuntimeError
            If pandas is not installed.
        """
        return pandas().DataFrame({field.name: getattr(self, field.name) for field in fields(self)})


def _place(key: tuple[str, str, str]) -> tuple[object, ...]:
    """Where a (direction, phase, part) stands, whatever came first."""
    direction, phase, part = key
    known = part in _ORDER
    when = _PHASES.index(phase) if phase in _PHASES else len(_PHASES)
    what = _ORDER.index(part) if known else len(_ORDER)
    return direction == "down", when, phase, part == HEAD, what, part
