"""From a checked problem file to rows and labels, made ready for their clients.

With one file a client, each is read where its client is (silo) and told of (summary); all settle what takes all of them
to know (agree); each is then made ready (finish). One source for all goes the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.datasets import sources, splits
from newtonfl.datasets.problem_file import ProblemFile
from newtonfl.datasets.sources import Table
from newtonfl.datasets.table import is_filled


@dataclass(frozen=True)
class Summary:
    """What the others need to know of one source: numbers of rows, columns and non-zeros, if dense, the classes."""

    source: str
    rows: int
    columns: int
    nonzeros: int
    dense: bool
    labels: tuple[float, ...]  # distinct and ascending; empty for losses without classes


@dataclass(frozen=True)
class Agreement:
    """What holds for all sources: the labels that become −1 and +1, and whether rows are dense."""

    columns: int
    classes: tuple[float, float] | None
    dense: bool


def client_sources(file: ProblemFile, folder: Path) -> list[str]:
    """The single-file sources; with split = "files", client i's is the i-th.

    Raises
    ------
    FileNotFoundError, ValueError
        If a pattern matches nothing, or the number of files is not [clients] count.
    """
    found = sources.expand(file.data.source, folder)
    count = file.clients.count
    if file.clients.split == "files" and count is not None and count != len(found):
        raise ValueError(
            f"{file.where}: [clients] count: given {count}, but {file.data.source} are {len(found)} files, one a client"
        )
    return found


def silo(file: ProblemFile, folder: Path, source: str) -> Table:
    """The rows of one of the :func:`sources`, as read."""
    split, name = splits.parse(file.clients.split)
    return sources.read(
        source,
        folder=folder,
        features=file.data.features,
        label=file.data.label,
        group=name if split == "column" else None,
    )


def summary(file: ProblemFile, table: Table) -> Summary:
    """What :func:`agree` needs to know of a table as read."""
    dense = not scipy.sparse.issparse(table.rows)
    nonzeros = int(np.count_nonzero(table.rows)) if dense else int(table.rows.nnz)
    labels = np.unique(table.labels).tolist() if file.objective.part.classifies else ()
    many, columns = table.rows.shape
    return Summary(table.source, many, columns, nonzeros, dense, tuple(labels))


def agree(file: ProblemFile, summaries: Sequence[Summary]) -> Agreement:
    """Check that the sources fit together, and settle what takes all of them to know.

    Raises
    ------
    ValueError
        If numbers of columns differ, or the labels of all sources are not two classes.
    """
    columns = sources.same_columns({one.source: one.columns for one in summaries})
    classes = file.data.classes
    if file.objective.part.classifies:
        found = sorted({label for one in summaries for label in one.labels})
        sources.two_classes(np.array(found), classes, file.data.source)
        classes = classes or (found[0], found[1])
        if absent := [label for label in classes if label not in found]:
            raise ValueError(
                f"{file.where}: [data] classes: given [{classes[0]:g}, {classes[1]:g}], but no row of "
                f"{file.data.source} has the label {absent[0]:g}; the labels are {sources.some(found)}"
            )
    filled = is_filled(sum(one.nonzeros for one in summaries), sum(one.rows for one in summaries), columns)
    return Agreement(columns, classes, filled or all(one.dense for one in summaries))


def finish(file: ProblemFile, table: Table, agreement: Agreement) -> Table:
    """Pick the classes, map their labels to −1 and +1, scale.

    Raises
    ------
    ValueError
        If no row is left, labels do not suit the loss, or rows cannot be scaled so.
    """
    rows, labels, groups = table.rows, table.labels, table.groups
    if file.objective.part.classifies:
        labels, kept = sources.two_classes(labels, agreement.classes, table.source)
        if len(kept) < rows.shape[0]:
            rows, groups = rows[kept], None if groups is None else groups[kept]
    least = file.objective.part.least_label
    if labels.min() < least:
        raise ValueError(
            f"{table.source}: loss = {file.objective.loss!r} needs labels of at least {least:g}; the least is "
            f"{labels.min():g}"
        )
    try:
        rows = sources.scale(sources.store(rows, agreement.dense), file.data.scale)
    except ValueError as error:
        raise ValueError(f"{file.where}: [data] {error}") from None
    return Table(rows, labels, table.source, groups)


def rows(file: ProblemFile, folder: Path) -> tuple[Table, list[Array]]:
    """All rows, made ready, and which of them are whose.

    Parameters
    ----------
    file : ProblemFile
    folder : Path
        The problem file's folder, which relative paths are relative to.

    Returns
    -------
    table : Table
        Labels are −1 and +1 for ``logistic`` and ``squared-hinge``.
    parts : list of int64 arrays
        Row numbers, one array a client.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`newtonfl.datasets.sources.read`, :func:`agree`, :func:`finish` and
        :func:`newtonfl.datasets.splits.split` do.
    """
    tables = [silo(file, folder, source) for source in client_sources(file, folder)]
    agreement = agree(file, [summary(file, table) for table in tables])
    tables = [finish(file, table, agreement) for table in tables]
    if file.clients.split == "files":
        blocks = [table.rows for table in tables]
        stacked = (
            np.concatenate(blocks)
            if agreement.dense
            else scipy.sparse.csr_array(scipy.sparse.vstack(blocks, format="csr"))
        )
        ends = np.cumsum([len(table.labels) for table in tables])
        parts = np.split(np.arange(ends[-1], dtype=np.int64), ends[:-1])
        return Table(stacked, np.concatenate([table.labels for table in tables]), file.data.source), parts
    (table,) = tables
    try:
        parts = splits.split(file.clients.split, table.labels, file.clients.count, file.clients.seed, table.groups)
    except ValueError as error:
        raise ValueError(f"{file.where}: [clients] {error}") from None
    return table, parts


def state(file: ProblemFile, folder: Path) -> str:
    """Whether the data are at hand, in a sentence; nothing is downloaded."""
    try:
        found = client_sources(file, folder)
        places = [sources.at_hand(source, folder) for source in found]
    except (FileNotFoundError, ValueError) as error:
        return f"not at hand: {error}"
    return f"at hand: {places[0]}" + (f" and {len(places) - 1} more files" if len(places) > 1 else "")
