"""Which column of a CSV file is what: names, label, client ids, features. A guess that could be wrong is refused."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from newtonfl.core.quoting import excerpt, quoted
from newtonfl.datasets.values import is_number

MISSING = frozenset(("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>"))
"""Cells that say that there is no value."""

OFFSETS = ("offset", "exposure")
"""Of each row, beside its label: what is added to its margin, and what its mean is multiplied by."""

Missing = Literal["refuse", "mean", "drop-row"]
Column = str | int
"""A column as a user names it: by its name, or by its number from 0."""


@dataclass(frozen=True)
class CsvLayout:
    """What is said of a CSV file's columns; the keys are those of a problem file's [data].

    Attributes
    ----------
    label, group : str, int or None
        The column of labels, and the one of client ids.
    offset, exposure : str, int or None
        The columns of what is added to the margins, and of what means are multiplied by.
    header : bool or None
        Whether the first line has names. None: it does if it holds words and no numbers.
    columns : tuple of str or int, or None
        The features, in this order; None is every column that is nothing else.
    drop, categorical : tuple of str or int
        Columns to leave out, and features that are words.
    missing : {"refuse", "mean", "drop-row"}
    separator : str
        One character.
    word_labels : bool or None
        Whether labels are words. None: they are all words or all numbers.
    labelled : bool
        Whether there is a column of labels. Without one `columns` names the features.
    """

    label: Column | None = None
    group: Column | None = None
    offset: Column | None = None
    exposure: Column | None = None
    header: bool | None = None
    columns: tuple[Column, ...] | None = None
    drop: tuple[Column, ...] = ()
    categorical: tuple[Column, ...] = ()
    missing: Missing = "refuse"
    separator: str = ","
    word_labels: bool | None = None
    labelled: bool = True


@dataclass(frozen=True)
class Columns:
    """The columns of one file, by number from 0.

    Attributes
    ----------
    names : tuple of str
        Of all columns; their numbers where the file has no header.
    header : bool
    label, group : int or None
    per_row : dict of str to int
        Those of "offset" and "exposure" that there are.
    features : tuple of int
        In order.
    categorical : frozenset of int
        Those features that are words.
    label_candidates : tuple of str
        The names of the columns that could be the label as well as the one that was taken; one where it is certain.
    """

    names: tuple[str, ...]
    header: bool
    label: int | None
    group: int | None
    per_row: Mapping[str, int]
    features: tuple[int, ...]
    categorical: frozenset[int]
    label_candidates: tuple[str, ...]

    @property
    def used(self) -> list[int]:
        """All that something is read from."""
        return [j for j in (*self.features, self.label, self.group, *self.per_row.values()) if j is not None]

    @property
    def offset_names(self) -> tuple[str, str]:
        """Those of the offset's column and the exposure's; empty where there is none."""
        offset, exposure = (self.names[self.per_row[key]] if key in self.per_row else "" for key in OFFSETS)
        return offset, exposure


def assign(where: str, first: Sequence[str], second: Sequence[str], layout: CsvLayout) -> Columns:
    """Decide what each column is.

    Parameters
    ----------
    where : str
        The file, for messages.
    first, second : sequences of str
        The cells of the first two lines; the second is empty where there is none.
    layout : CsvLayout

    Raises
    ------
    ValueError
        If a column is not there, named twice or used twice, or the first line may be a header and may be a row.
    """
    if len(first) == 1 and layout.labelled:
        raise ValueError(
            f"{where}, line 1: one column, {quoted(first[0])}, where a label and a feature are two at least; "
            f"{layout.separator!r} ends a column; separator names another sign"
        )
    header = has_header(where, first, second, layout) if layout.header is None else layout.header
    names = tuple(first) if header else tuple(map(str, range(len(first))))
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise ValueError(f"{where}: several columns are named {quoted(twice[0])}; a name must be one column's")

    numbers = {name: j for j, name in enumerate(names)}

    def number(which: Column, key: str) -> int:
        return numbers[which] if which in numbers else _number(where, which, names, key, header)

    drop = {number(which, "drop") for which in layout.drop}
    chosen = None if layout.columns is None else tuple(number(which, "columns") for which in layout.columns)
    categorical = frozenset(number(which, "categorical") for which in layout.categorical)
    group = None if layout.group is None else number(layout.group, "split = column:NAME")
    label = None if layout.label is None else number(layout.label, "label")
    said = dict(zip(OFFSETS, (layout.offset, layout.exposure), strict=True))
    per_row = {key: number(which, key) for key, which in said.items() if which is not None}
    uses: dict[str, set[Any]] = {
        "label": {label},
        "split = column:NAME": {group},
        "drop": drop,
        "columns": set(chosen or ()),
        **{key: {j} for key, j in per_row.items()},
    }
    for j, name in enumerate(names):
        twice = [key for key, columns in uses.items() if j in columns]
        if len(twice) > 1:
            raise ValueError(f"{where}: {twice[0]} and {twice[1]} both name column {quoted(name)}")
    taken = {group, *drop, *uses["columns"], *per_row.values()}
    left = [j for j in range(len(names)) if j not in taken]
    candidates = [j for j in left if j not in categorical]
    row = second if header else first
    words = [j for j in candidates if j < len(row) and _is_word(row[j])]
    if label is not None or not layout.labelled:
        candidates = [] if label is None else [label]
    elif not candidates:
        raise ValueError(f"{where}: label: missing, and columns, drop and categorical leave no column that could be it")
    elif not header or words == candidates[-1:]:  # a column of words elsewhere may be a feature not called categorical
        candidates = candidates[-1:]
    label = candidates[-1] if candidates else None
    features = chosen if chosen is not None else tuple(j for j in left if j != label)
    nameless = [j for j in (label, group, *per_row.values(), *features) if j is not None and not names[j]]
    if nameless:
        raise ValueError(
            f"{where}: column {nameless[0]} has no name in the header, as a row number that a table was written with; "
            f"drop = [{nameless[0]}] leaves it out"
        )
    if stray := categorical - set(features):
        raise ValueError(f"{where}: categorical: {quoted(names[min(stray)])} is no feature")
    if not features:
        raise ValueError(
            f"{where}: at least one feature is needed beside the label{' and the split' * (group is not None)}; "
            f"the first line has {len(names)} columns"
        )
    return Columns(names, header, label, group, per_row, features, categorical, tuple(names[j] for j in candidates))


def has_header(where: str, first: Sequence[str], second: Sequence[str], layout: CsvLayout) -> bool:
    """Whether the first line is a header. A line that could be either is refused: a row must not vanish or appear."""
    single = (layout.label, layout.group, layout.offset, layout.exposure)
    said = {*single, *layout.drop, *layout.categorical, *(layout.columns or ())}
    numbers = {which for which in said if isinstance(which, int) or (which or "").isdecimal()}
    words = [j for j, cell in enumerate(first) if _is_word(cell)]
    unexpected = [j for j in words if not {j, str(j)} & numbers]  # a column by number may be words in every line
    beginning = excerpt(", ".join(first[:6]))
    settle = "header = true or header = false says which"
    if unexpected and said & set(first):
        return True
    if any(map(is_number, first)):
        if unexpected:
            raise ValueError(
                f"{where}, line 1: {quoted(first[unexpected[0]])} is not a finite number, and a header would have no "
                f"numbers beside it: {settle}"
            )
        whole = [int(cell) for cell in first if cell.isascii() and cell.isdecimal() and len(cell) < 20]
        if (
            len(whole) == len(first) > 1
            and whole == list(range(whole[0], whole[0] + len(first)))
            and (whole[0] == 0 or len(first) > 2)
        ):
            raise ValueError(f"{where}, line 1: {beginning} may be a header of numbers, and may be a row: {settle}")
        return False
    if words and second and not any(is_number(second[j]) for j in words if j < len(second)):
        raise ValueError(
            f"{where}, line 1: {beginning} may be a header, and may be a row, for there are words below as well: "
            f"{settle}"
        )
    return bool(words)


def _is_word(cell: str) -> bool:
    return cell not in MISSING and not is_number(cell)


def _number(where: str, which: Column, names: Sequence[str], key: str, header: bool) -> int:
    """The number of the column `which`, which is the name of none."""
    if str(which).isdecimal() and int(which) < len(names):
        return int(which)
    known = excerpt(", ".join(filter(None, names[:20]))) if header else "there is no header line"
    near = [name for name in names if name.lower() == str(which).lower()]
    near = near or difflib.get_close_matches(str(which), names, 1)
    raise ValueError(
        f"{where}: {key}: given {quoted(which)}, which is no column; "
        f"allowed are numbers from 0 to {len(names) - 1} and names ({known})"
        + (f"; did you mean {quoted(near[0])}?" if near else "")
    )
