"""CSV → rows, labels and the column to split by, every value a finite number.

Good files go through a library's parser; only when something is wrong are the lines walked, to name the one.
"""

from __future__ import annotations

import csv
import difflib
import warnings
from pathlib import Path

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.datasets.values import is_number


def read_csv(path: Path, label: str | int | None, group: str | int | None) -> tuple[Array, Array, Array | None]:
    """Rows, labels (column `label`, by default the last) and the entries of column `group`, where one is named."""
    try:
        return _csv_numbers(path, label, group)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error})") from None
    except csv.Error as error:
        raise ValueError(f"{path}: not CSV text ({error})") from None


def _csv_numbers(path: Path, label: str | int | None, group: str | int | None) -> tuple[Array, Array, Array | None]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        first = [cell.strip() for cell in next((cells for cells in csv.reader(stream) if cells), [])]
        if not first:
            raise ValueError(f"{path}: no rows; the file is empty")
        header, width = _is_header(path, first, label, group), len(first)
        names = first if header else [""] * width
        marked = None if group is None else _column(path, group, names, "split = column:NAME")
        target = max(j for j in range(-1, width) if j != marked)  # by default the last
        if label is not None:
            target = _column(path, label, names, "label")
        kept = [j for j in range(width) if j not in (target, marked)]
        if target == marked:
            raise ValueError(f"{path}: label and split = column:NAME both name column {label!r}")
        if not kept:
            raise ValueError(
                f"{path}: at least one feature is needed beside the label{' and the split' * (marked is not None)}; "
                f"the first line has {width} column{'s' * (width > 1)} (a comma ends a column)"
            )
        if not header:
            stream.seek(0)
        # Plain numbers are one block; where one column is text, each column is a field.
        fields = np.float64 if marked is None else [(str(j), object if j == marked else float) for j in range(width)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy's own words on a file without data
                table: Array = np.loadtxt(stream, fields, None, ",", quotechar='"', ndmin=2 if marked is None else 1)
        except UnicodeDecodeError:
            raise
        except ValueError as error:
            raise ValueError(_bad_cell(path, names, header, marked) or f"{path}: not CSV text ({error})") from None
    if table.size == 0:
        raise ValueError(f"{path}: no rows; the file holds only a header")
    if marked is None:
        columns, marks = table, None
    else:
        columns = np.stack([table[str(j)] if j != marked else np.zeros(len(table)) for j in range(width)], axis=1)
        marks = np.char.strip(table[str(marked)].astype(str))
        if all(map(is_number, np.unique(marks))):
            marks = marks.astype(np.float64)  # so that 10 comes after 2
    if columns.shape[1] != width or not np.isfinite(columns).all():
        raise ValueError(_bad_cell(path, names, header, marked))
    return columns[:, kept], columns[:, target].copy(), marks


def _is_header(path: Path, first: list[str], label: str | int | None, group: str | int | None) -> bool:
    """Whether the first line is a header. A line that could be either is an error: a row must not vanish."""
    cells = [cell for j, cell in enumerate(first) if str(j) != str(group)]  # the group may be text in every line
    words = [cell for cell in cells if cell and not is_number(cell)]
    if not words:
        return False
    if any(map(is_number, cells)) and label not in first and group not in first:
        raise ValueError(
            f"{path}, line 1: {words[0]!r} is not a finite number, and a header would have no numbers beside it"
        )
    return True


def _column(path: Path, which: str | int, names: list[str], key: str) -> int:
    """The number of the column `which`, given by name or by number from 0."""
    if isinstance(which, str) and names.count(which) == 1:
        return names.index(which)
    if names.count(str(which)) > 1:
        raise ValueError(f"{path}: {key}: several columns are named {which!r}")
    if str(which).isdecimal() and int(which) < len(names):
        return int(which)
    known = ", ".join(filter(None, names[:20])) or "there is no header line"
    near = difflib.get_close_matches(str(which), names, 1)
    raise ValueError(
        f"{path}: {key}: given {which!r}, which is no column; "
        f"allowed are numbers from 0 to {len(names) - 1} and names ({known})"
        + (f"; did you mean {near[0]!r}?" if near else "")
    )


def _bad_cell(path: Path, names: list[str], header: bool, marked: int | None) -> str | None:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        lines = csv.reader(stream)
        for cells in lines:
            if not cells:
                continue
            if header:
                header = False
            elif len(cells) != len(names):
                return f"{path}, line {lines.line_num}: {len(cells)} columns, where the first line has {len(names)}"
            else:
                for j, cell in enumerate(cells):
                    if j != marked and not is_number(cell):
                        name = names[j] or j
                        return f"{path}, line {lines.line_num}, column {name}: {cell!r} is not a finite number"
    return None
