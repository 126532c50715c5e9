"""From a table to a fitted model's features: read as data sets are, columns matched by name, nothing guessed."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.core.quoting import quoted
from newtonfl.datasets import sources
from newtonfl.datasets.csv_reader import lines_of
from newtonfl.datasets.fetch import existing
from newtonfl.datasets.file_bytes import read_utf8
from newtonfl.datasets.per_row import row_offset
from newtonfl.datasets.sources import Table, some
from newtonfl.datasets.values import is_number
from newtonfl.prediction.fitted_model import FittedModel

_ENDINGS = {".csv": "csv", ".npz": "npz", ".libsvm": "libsvm", ".svm": "libsvm"}
_PACKED = (".gz", ".bz2", ".xz")


@dataclass(frozen=True, eq=False)
class ModelRows:
    """Rows as a model takes them.

    Attributes
    ----------
    rows : (N, d) ndarray or csr_array
        The features, not yet scaled.
    offset : (N,) ndarray, or None
        What is added to the margins, the logarithms of exposures included.
    passed_over : tuple of str
        The table's columns that the model does not have.
    """

    rows: Array
    offset: Array | None = None
    passed_over: tuple[str, ...] = ()


def read_rows(model: FittedModel, file: str, folder: Path = Path()) -> ModelRows:
    """The rows of a table for a `model`.

    Columns are matched by name, in any order, and others are passed over. Where the model or the table has no names,
    they are matched by their place. Labels need not be there, but in LIBSVM text, and are not looked at. The columns of
    the model's offset and exposure must be there, by their names.

    Parameters
    ----------
    model : FittedModel
    file : str
        A path that ends as .csv, .npz, .libsvm or .svm, perhaps packed; or a source such as ``csv:PATH``.
    folder : Path
        What relative paths are relative to.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not sound, lacks a column of the model, has a word or a missing value that the model does not know, or
        an exposure that is not positive.
    """
    source = source_of(file)
    kind, what = sources.parse_source(source)
    if kind == "csv":
        table, passed_over = _csv_table(model, existing(what, folder), source)
    else:
        width, from_0 = (model.width, model.zero_based) if kind == "libsvm" else (None, False)
        table = sources.read(
            source, folder=folder, labelled=False, features=width, zero_based=from_0, offset=model.offset or None,
            exposure=model.exposure or None,
        )  # fmt: skip
        names, passed_over = table.column_names, ()
        if names is not None and model.columns is not None:
            _check_columns(model.columns, names, source)
            passed_over = tuple(name for name in names if name not in model.columns)
            places = {name: j for j, name in enumerate(names)}
            table = replace(table, rows=table.rows[:, [places[name] for name in model.columns]])
        if model.levels:
            raise ValueError(f"{source}: the model's column {next(iter(model.levels))!r} is of words: give a CSV file")
        _check_width(model, table.rows.shape[1], source)
    rows = _features(model, table)
    try:
        offset = row_offset(table.per_row.get("offset"), table.per_row.get("exposure"), rows.shape[0], model.link)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return ModelRows(rows, offset, passed_over)


def source_of(file: str) -> str:
    """A path as a source, by its ending; a source as it is.

    Raises
    ------
    ValueError
        If the ending does not say what the file is.
    """
    kind, colon, _ = file.partition(":")
    if colon and kind in sources.KINDS:
        return file
    path = Path(file)
    ending = Path(path.stem).suffix if path.suffix in _PACKED else path.suffix
    if ending not in _ENDINGS:
        raise ValueError(
            f"FILE: given {quoted(file)}, must end as {', '.join(_ENDINGS)}, or say its kind, as in csv:{file}"
        )
    return f"{_ENDINGS[ending]}:{file}"


def _csv_table(model: FittedModel, path: Path, source: str) -> tuple[Table, tuple[str, ...]]:
    """The model's columns of a CSV file, in its order and under its names; and the names of the others."""
    first = next(lines_of(read_utf8(path), model.separator), (0, list[str]()))[1]
    aside, wanted = tuple(filter(None, (model.offset, model.exposure))), model.columns
    header, places = True, {name: j for j, name in enumerate(first)}
    if wanted is None:  # by place, which of a table with names the offset's is not
        header = not any(map(is_number, first))
        beside = [j for j, name in enumerate(first) if not (header and name in aside)]
        _check_width(model, len(beside), source)
        wanted, chosen = tuple(map(str, beside)), tuple(beside)
    else:
        if model.header:
            _check_columns((*wanted, *aside), first, source)
        else:
            header, places = False, _places(sorted(map(int, (*wanted, *aside))), len(first), source)
        chosen = tuple(places[name] for name in wanted)
    words = tuple(column for column, name in zip(chosen, wanted, strict=True) if name in model.levels)
    offset, exposure = (places.get(name, name) if name else None for name in (model.offset, model.exposure))
    table = sources.read(
        f"csv:{path}", labelled=False, columns=chosen, header=header, categorical=words, missing="mean",
        separator=model.separator, offset=offset, exposure=exposure,
    )  # fmt: skip
    called = dict(zip(table.column_names or (), wanted, strict=True))
    levels = {called[column]: found for column, found in table.levels.items()}
    used = {*chosen, offset, exposure}
    others = tuple(name if header else str(j) for j, name in enumerate(first) if j not in used)
    return replace(table, column_names=wanted, levels=levels, source=source), others


def _places(numbers: Sequence[int], width: int, source: str) -> dict[str, int]:
    """Where a table without names has the columns that the model knows by their `numbers`, increasing.

    As the data had it that the model was fitted on; or, where it has as many columns as the model takes, in that order.
    """
    if width == len(numbers):
        return {str(number): place for place, number in enumerate(numbers)}
    if numbers[-1] >= width:
        raise ValueError(f"{source}: has {width} columns, and the model takes number {numbers[-1]}, from 0")
    return {str(number): number for number in numbers}


def _check_columns(wanted: Sequence[str], here: Sequence[str], source: str) -> None:
    """Refuse a table that lacks a column of the model."""
    lacking = [name for name in wanted if name not in here]
    if not lacking:
        return
    near = difflib.get_close_matches(lacking[0], [name for name in here if name not in wanted], 1)
    hint = f"; did you mean {near[0]!r} by {lacking[0]!r}?" if near else ""
    raise ValueError(
        f"{source}: lacks {len(lacking)} of the model's {len(wanted)} columns, {some(lacking)}; it has "
        f"{some(list(here))}{hint}"
    )


def _check_width(model: FittedModel, width: int, source: str) -> None:
    """Refuse a table without names that has more or fewer columns than the model."""
    needed = model.width if model.columns is None else len(model.columns)
    if width != needed:
        raise ValueError(
            f"{source}: has {width} columns, must have the model's {needed}: without names they are matched by place"
        )


def _features(model: FittedModel, table: Table) -> Array:
    """The features of a table whose columns are the model's; unknown words and missing values are refused."""
    rows, levels = table.rows, table.levels
    for name, words in levels.items():
        unknown = [i for i, word in enumerate(words) if word not in model.levels[name]]
        if unknown:
            row = int(np.argmax(rows[:, (table.column_names or ()).index(name)] == unknown[0]))
            raise ValueError(
                f"{table.source}: row {row}, counted from 0, column {name!r}: {words[unknown[0]]!r} is a word that the "
                f"model does not know; it knows {some(model.levels[name])}"
            )
    if not model.means:
        if not scipy.sparse.issparse(rows) and (lacking := np.isnan(rows)).any():
            row, column = (int(i) for i in np.argwhere(lacking)[0])
            name = repr(table.column_names[column]) if table.column_names else str(column)
            raise ValueError(
                f"{table.source}: row {row}, counted from 0, column {name}: no value, and the model has no means to "
                'take its place; missing = "mean" in its problem file gives it some'
            )
        if not model.levels:
            return rows
    rows = rows.toarray() if scipy.sparse.issparse(rows) else rows
    return model.shared.features(rows, model.columns, levels, dense=True)
