"""CSV → a Table: features that are finite numbers, words where they may be, or missing where that is allowed.

Good files go through a library's parser; only when something is wrong are the lines walked, to name the one.
"""

from __future__ import annotations

import csv
import io
import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.quoting import excerpt, quoted
from newtonfl.datasets.csv_columns import MISSING, Columns, CsvLayout, assign
from newtonfl.datasets.file_bytes import read_utf8
from newtonfl.datasets.table import Table
from newtonfl.datasets.values import is_number, sort_names


@dataclass(frozen=True)
class Words:
    """A column of words: the distinct ones in order, and each row's position among them.

    A long word is kept once, where NumPy's strings would make every row as long.
    """

    distinct: list[str]
    codes: Array

    @classmethod
    def of(cls, cells: Iterable[str]) -> Words:
        """The column of these cells, without blanks around them."""
        words = [cell.strip() for cell in cells]
        distinct = sorted(set(words))
        position = {word: i for i, word in enumerate(distinct)}
        return cls(distinct, np.array([position[word] for word in words], np.int64))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def cells(self) -> Array:
        """The words themselves, shape (N,), of Python's strings."""
        return np.array(self.distinct, object)[self.codes]


def read_csv(path: Path, layout: CsvLayout, source: str) -> Table:
    """The rows of a CSV file.

    Parameters
    ----------
    path : Path
    layout : CsvLayout
    source : str
        What the user wrote.

    Raises
    ------
    ValueError
        If the file is not sound, or has not the columns that `layout` names; the message has the file and the line.
    """
    content = read_utf8(path)
    try:
        lines = lines_of(content, layout.separator)
        first = next(lines, (0, []))[1]
        if not first:
            raise ValueError(f"{path}: no rows; the file is empty")
        columns = assign(str(path), first, next(lines, (0, []))[1], layout)
        cells, fault = _cells(content, layout, columns)
        if cells is None or not all(_is_sound(j, cells[j], columns, layout) for j in columns.used):
            raise ValueError(_bad_cell(path, content, columns, layout) or f"{path}: not CSV text ({excerpt(fault)})")
    except csv.Error as error:
        raise ValueError(f"{path}: not CSV text ({excerpt(error)})") from None
    if not len(cells[0]):
        raise ValueError(f"{path}: no rows; the file holds only a header")
    for name, values in zip(columns.names, cells, strict=True) if columns.header and layout.header is None else ():
        if isinstance(values, Words) and name in values.distinct:
            raise ValueError(
                f"{path}, line 1: {quoted(name)} stands in its own column below: header = true or header = false says "
                "whether the first line is a header"
            )
    return _table(path, cells, columns, layout, source)


def _stream(content: bytes) -> io.TextIOWrapper:
    """UTF-8 text, decoded as it is read: large files lie in memory once."""
    return io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="")


def lines_of(content: bytes, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The number of each line that is not empty, and its cells."""
    lines = csv.reader(_stream(content), delimiter=separator)
    return ((lines.line_num, [cell.strip() for cell in cells]) for cells in lines if cells)


def _cells(content: bytes, layout: CsvLayout, columns: Columns) -> tuple[list[Array] | None, str]:
    """Every column: floats, NaN where missing, or words; else None, and what is wrong."""
    width, numeric = len(columns.names), {*columns.used} - {columns.group} - columns.categorical
    if layout.word_labels:
        numeric -= {columns.label}
    found, fault = _parsed(content, layout, columns, numeric)
    if found is not None and not any(np.isnan(found[j]).any() for j in numeric):
        return found, ""
    # Words where numbers should be: labels, or numbers that are missing, of which the parser knows other spellings.
    found, fault = _parsed(content, layout, columns, set())
    if found is None:
        return None, fault
    for j in numeric:
        words: Words = found[j]
        wrong = [word for word in words.distinct if not (word in MISSING or is_number(word))]
        if not wrong:
            numbers = [math.nan if word in MISSING else float(word) for word in words.distinct]
            found[j] = np.array(numbers, np.float64)[words.codes]
        elif j != columns.label or layout.word_labels is False or any(map(is_number, words.distinct)):
            return None, f"{quoted(wrong[0])} is no number"
    return [found[j] for j in range(width)], ""


def _parsed(content: bytes, layout: CsvLayout, columns: Columns, numeric: set[int]) -> tuple[list[Array] | None, str]:
    """Every column, those of `numeric` as floats and the others as words."""
    stream, width = _stream(content), len(columns.names)
    if columns.header:
        next(cells for cells in csv.reader(stream, delimiter=layout.separator) if cells)
    plain = len(numeric) == width  # then one block, which is read faster
    fields = np.float64 if plain else [(str(j), float if j in numeric else object) for j in range(width)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's own words on a file without data
            block: Array = np.loadtxt(stream, fields, None, layout.separator, quotechar='"', ndmin=2 if plain else 1)
    except ValueError as error:
        return None, str(error)
    if not plain:
        names = [str(j) for j in range(width)]
        return [block[name] if block[name].dtype == float else Words.of(block[name]) for name in names], ""
    if not block.size:
        return [np.zeros(0)] * width, ""
    return (None, "lines of several lengths") if block.shape[1] != width else (list(block.T), "")


def _is_sound(j: int, values: Array, columns: Columns, layout: CsvLayout) -> bool:
    """Whether column `j`, which is used, holds nothing that is not allowed there."""
    may_miss = layout.missing == "drop-row" or (layout.missing == "mean" and j in columns.features)
    if (j == columns.group or not may_miss) and _is_missing(values).any():
        return False
    return isinstance(values, Words) or not np.isinf(values).any()


def _bad_cell(path: Path, content: bytes, columns: Columns, layout: CsvLayout) -> str | None:
    """The first line with a wrong number of cells, or with a cell that is not allowed."""
    lines, width, labels = lines_of(content, layout.separator), len(columns.names), set()
    if columns.header:
        next(lines)
    for line, cells in lines:
        if len(cells) != width:
            return f"{path}, line {line}: {len(cells)} columns, where the first line has {width}"
        for j in columns.used:
            if fault := _fault(j, cells[j], columns, layout):
                return f"{path}, line {line}, column {excerpt(columns.names[j], 60)}: {quoted(cells[j])} {fault}"
        if columns.label is None:
            continue
        label = cells[columns.label]
        labels |= {is_number(label)} if label not in MISSING and not layout.word_labels else set()
        if len(labels) > 1:
            return (
                f"{path}, line {line}, column {excerpt(columns.names[columns.label], 60)}: {quoted(label)} is a "
                f"{'number' if is_number(label) else 'word'}, and labels before are not; classes = [A, B] with two "
                "words in quotes takes all as words"
            )
    return None


def _fault(j: int, cell: str, columns: Columns, layout: CsvLayout) -> str:
    """What is wrong with a cell of column `j`; empty where nothing is."""
    if cell in MISSING:
        if j == columns.group:
            return "is no client's name"
        if j == columns.label:
            return "" if layout.missing == "drop-row" else 'is no label; missing = "drop-row" leaves such rows out'
        if j in columns.per_row.values():
            hint = '; missing = "drop-row" leaves such rows out' if layout.labelled else ""
            return "" if layout.missing == "drop-row" else f"is no number{hint}"
        if layout.missing == "refuse":
            what = "is no word" if j in columns.categorical else "is not a finite number"
            return f'{what}; missing = "mean" or "drop-row" allows it'
        return ""
    if (
        j == columns.group
        or j in columns.categorical
        or (j == columns.label and layout.word_labels is not False)
        or is_number(cell)
    ):
        return ""
    hint = "; categorical = [NAME] takes a column of words" if j in columns.features else ""
    return f"is not a finite number{hint}"


def _table(path: Path, cells: list[Array], columns: Columns, layout: CsvLayout, source: str) -> Table:
    used = [j for j in columns.used if j != columns.group and layout.missing == "drop-row"]
    whole = ~np.any([_is_missing(cells[j]) for j in used], axis=0) if used else np.ones(len(cells[0]), bool)
    if not whole.any():
        raise ValueError(f'{path}: no row is whole, and missing = "drop-row" leaves none')
    names = tuple(columns.names[j] for j in columns.features)
    levels: dict[str, tuple[str, ...]] = {}
    rows = np.empty((len(cells[0]), len(names)))
    for k, j in enumerate(columns.features):
        if j not in columns.categorical:
            rows[:, k] = cells[j]
            continue
        words: Words = cells[j]
        known = [word for word in words.distinct if word not in MISSING]
        levels[names[k]], position = tuple(known), {word: float(i) for i, word in enumerate(known)}
        rows[:, k] = np.array([position.get(word, math.nan) for word in words.distinct])[words.codes]
    labels = np.zeros(len(rows)) if columns.label is None else cells[columns.label]
    return Table(
        rows, labels.cells if isinstance(labels, Words) else labels, source,
        None if columns.group is None else sort_names(cells[columns.group].cells)[1],
        column_names=names, label_name="" if columns.label is None else columns.names[columns.label],
        label_candidates=columns.label_candidates, levels=levels,
        per_row={key: cells[j] for key, j in columns.per_row.items()}, offset_names=columns.offset_names,
    ).where(whole)  # fmt: skip


def _is_missing(values: Array | Words) -> Array:
    if isinstance(values, Words):
        return np.array([word in MISSING for word in values.distinct], bool)[values.codes]
    return np.isnan(values)
