"""Descriptions of several sources of rows, and whether they fit together. Nothing else compares sources.

A source is one file, or the rows that one rank passes. Each is described where its rows are; all descriptions are
gathered on every rank, and every rank comes to the same agreement, or to the same refusal, which names two sources and
what they differ in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy

from newtonfl.comm.collective import allgather
from newtonfl.comm.envelope import pack
from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array
from newtonfl.datasets.columns import Baseline, ColumnSummary, Levels, SharedColumns
from newtonfl.datasets.csv_columns import OFFSETS
from newtonfl.datasets.guard import check_counts, check_rows, check_values
from newtonfl.datasets.table import is_filled
from newtonfl.datasets.values import ordered, sort

NOTHING_TO_JOIN = ColumnSummary({}, {}, {})
NO_NAMES = SharedColumns(None, {}, {})


@dataclass(frozen=True)
class SourceDescription:
    """What the others need to know of one source.

    Attributes
    ----------
    name : str
        As messages name it: "csv:silos/a.csv", "rank 2".
    rows, columns, nonzeros : int
        How many there are; labels and client ids are no columns.
    dense : bool
        Whether its rows are kept as a dense array.
    column_names : tuple of str, or None where it has none
    summary : ColumnSummary
        What must be joined over all sources before columns become features.
    label_name : str
        The labels' column; empty where they have none.
    offset_names : (str, str)
        The columns of the rows' offsets and exposures; empty where they have none.
    labels : tuple of numbers or strings
        The distinct ones in order; empty where labels are no classes.
    label_dtype : str
        NumPy's name of the labels' data type.
    client_ids : tuple of numbers or strings, or None
        The distinct ones, where the source names the client of each row.
    left_out : int
        How many rows it left out, for want of a value or for another label than the classes.
    fingerprint : str
        Of everything that the source holds, where all sources must be alike; else empty.
    """

    name: str
    rows: int
    columns: int
    nonzeros: int
    dense: bool
    column_names: tuple[str, ...] | None = None
    summary: ColumnSummary = NOTHING_TO_JOIN
    label_name: str = ""
    offset_names: tuple[str, str] = ("", "")
    labels: tuple[Any, ...] = ()
    label_dtype: str = ""
    client_ids: tuple[Any, ...] | None = None
    left_out: int = 0
    fingerprint: str = ""

    @property
    def label_kind(self) -> str:
        """What its classes are: "strings", "numbers", or "" where it has no classes."""
        return "" if not self.labels else "strings" if isinstance(self.labels[0], str) else "numbers"


@dataclass(frozen=True)
class Agreement:
    """What holds for all sources together.

    Attributes
    ----------
    columns : int
        How many features there are.
    dense : bool
        How rows are to be kept: dense where half of all entries or more are not zero, or no source is sparse.
    labels : tuple of numbers or strings
        The distinct ones of all sources, in order; empty where labels are no classes.
    label_dtype : str
        A data type that holds all labels.
    clients : tuple of numbers or strings, or None
        Of all sources, in order, where they have client ids. A client's number is its position here.
    owners : tuple of int
        The position of the source that has each client's rows.
    shared : SharedColumns
        The features that all sources have.
    label_name : str
        The labels' column; empty where they have none.
    offset_names : (str, str)
        The columns of the rows' offsets and exposures; empty where they have none.
    left_out : int
        How many rows all sources left out, likewise.
    """

    columns: int
    dense: bool
    labels: tuple[Any, ...] = ()
    label_dtype: str = ""
    clients: tuple[Any, ...] | None = None
    owners: tuple[int, ...] = ()
    shared: SharedColumns = NO_NAMES
    label_name: str = ""
    offset_names: tuple[str, str] = ("", "")
    left_out: int = 0


def describe(
    name: str,
    rows: Array,
    labels: Array | None = None,
    *,
    column_names: Sequence[str] | None = None,
    levels: Levels | None = None,
    means: bool = False,
    label_name: str = "",
    offset_names: tuple[str, str] = ("", ""),
    left_out: int = 0,
    client_ids: Array | None = None,
    fingerprint: str = "",
) -> SourceDescription:
    """The description of a source's `rows`, dense or CSR; `labels` are passed where they are classes.

    `levels` and `means` are as in :meth:`newtonfl.datasets.columns.ColumnSummary.of`, which needs dense rows.

    Raises
    ------
    ValueError
        If a label is neither a finite number nor a string, or the rows are too few for a guard.
    """
    sparse = scipy.sparse.issparse(rows)
    classes = np.zeros(0) if labels is None else np.unique(ordered("y: labels", labels))
    names = None if column_names is None else tuple(column_names)
    nonzeros = int(rows.nnz if sparse else np.count_nonzero(rows))
    check_rows([name], np.array([rows.shape[0]]))
    check_counts(name, {column: _counts(rows[:, names.index(column)]) for column in levels or {}} if names else {})
    summary = NOTHING_TO_JOIN if names is None else ColumnSummary.of(rows, names, levels or {}, means)
    values = np.array([[counts[0] if counts else 0 for counts in summary.counts.values()]])
    check_values([name], [repr(column) for column in summary.counts], values)
    for column in levels or {}:  # a word is a one in its own column, the first word too
        nonzeros += int(np.sum(rows[:, names.index(column)] == 0)) if names else 0
    return SourceDescription(
        name,
        rows=rows.shape[0],
        columns=rows.shape[1],
        nonzeros=nonzeros,
        dense=not sparse,
        column_names=names,
        summary=summary,
        label_name=label_name,
        offset_names=offset_names,
        labels=tuple(classes.tolist()),
        label_dtype="" if labels is None else classes.dtype.str,
        client_ids=None if client_ids is None else tuple(np.unique(client_ids).tolist()),
        left_out=left_out,
        fingerprint=fingerprint,
    )


def _counts(positions: Array) -> Array:
    """How many rows have each word of a column, of their positions, NaN where a row has none."""
    return np.bincount(positions[~np.isnan(positions)].astype(np.int64))


def gather(mine: Sequence[SourceDescription], transport: Transport) -> list[SourceDescription]:
    """The descriptions of all ranks, in rank order, on every rank. Collective."""
    everyone = allgather(pack({}, sources=[asdict(source) for source in mine]), transport)
    return [_restored(fields) for _, values in everyone for fields in values["sources"]]


def _restored(fields: dict[str, Any]) -> SourceDescription:
    """The description whose tuples JSON has made lists."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    summary = {key: {name: tuple(words) for name, words in value.items()} for key, value in fields["summary"].items()}
    return SourceDescription(**{**values, "summary": ColumnSummary(**summary)})


def agree(sources: Sequence[SourceDescription], remedy: str = "", baseline: Baseline = None) -> Agreement:
    """Compare all sources.

    Parameters
    ----------
    sources : sequence of SourceDescription
        At least one.
    remedy : str
        What a message names as the way to pass rows that differ, where all sources must be alike.
    baseline : "first", dict of str to str, or None
        Which words have no feature, as :data:`newtonfl.datasets.columns.Baseline`.

    Raises
    ------
    ValueError
        If two differ in their number of columns, in the columns' names (not in their order), in the columns of labels,
        offsets or exposures, in the kind of their labels or of their client ids, or in whether they have any; if one
        has names and another none; if two that must be alike are not; if a client has rows in two sources.
    """
    names = _column_names(sources)
    _check_alike(sources, remedy)
    labels, label_dtype = _labels(sources)
    clients, owners = _clients(sources)
    shared = SharedColumns.merge(names, {source.name: source.summary for source in sources}, baseline)
    columns = sources[0].columns if shared.feature_names is None else len(shared.feature_names)
    filled = is_filled(sum(s.nonzeros for s in sources), sum(s.rows for s in sources), columns)
    dense = filled or (not shared.levels and all(source.dense for source in sources))
    left_out = sum(source.left_out for source in sources)
    label, offsets = sources[0].label_name, sources[0].offset_names
    return Agreement(columns, dense, labels, label_dtype, clients, owners, shared, label, offsets, left_out)


def _column_names(sources: Sequence[SourceDescription]) -> tuple[str, ...] | None:
    """The names that all sources have, in the order of the first that has any; a source of no rows need have none."""
    for other in sources[1:]:
        if other.label_name != sources[0].label_name:
            raise ValueError(
                f"{other.name} has its labels in column {other.label_name!r} and {sources[0].name} in "
                f"{sources[0].label_name!r}: label = NAME says which"
            )
        for key, one, first_one in zip(OFFSETS, other.offset_names, sources[0].offset_names, strict=True):
            if one != first_one:
                raise ValueError(
                    f"{other.name} has its {key} in column {one!r} and {sources[0].name} in {first_one!r}: {key} = "
                    "NAME says which"
                )
    named = [source for source in sources if source.column_names is not None]
    for source in named:
        twice = [name for name, count in Counter(source.column_names).items() if count > 1]
        if twice:
            raise ValueError(f"{source.name} has several columns named {twice[0]!r}; a name must be one column's")
    for other in named[1:]:
        first = named[0]
        here, there = dict.fromkeys(first.column_names or ()), dict.fromkeys(other.column_names or ())
        lacks, more = [name for name in here if name not in there], [name for name in there if name not in here]
        if lacks or more:
            differ = [f"it lacks {_some(lacks)}" if lacks else "", f"only it has {_some(more)}" if more else ""]
            raise ValueError(
                f"{other.name} has other columns than {first.name}: {' and '.join(filter(None, differ))}; columns are "
                "compared by name, and all must have the same"
            )
    for other in sources[1:]:
        first = sources[0]
        if other.columns != first.columns:
            remedy = "; LIBSVM text leaves out what is zero: set features = N under [data]"
            raise ValueError(
                f"{first.name} has {first.columns} columns of features and {other.name} has {other.columns}: all must "
                "have as many" + (remedy if other.name.startswith("libsvm:") else "")
            )
    nameless = [source for source in sources if source.column_names is None and source.rows]
    if named and nameless:
        raise ValueError(
            f"{named[0].name} has names for its columns and {nameless[0].name} has none, so their order cannot be "
            "compared: all must have names, or none"
        )
    return named[0].column_names if named else None


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _check_alike(sources: Sequence[SourceDescription], remedy: str) -> None:
    first = sources[0]
    for other in sources[1:]:
        if other.fingerprint != first.fingerprint:
            raise ValueError(f"{other.name} passed other rows than {first.name}; for its own rows say {remedy}")
        if (other.client_ids is None) != (first.client_ids is None):
            raise ValueError(f"{other.name} and {first.name}: one passed client ids and one did not")


def _labels(sources: Sequence[SourceDescription]) -> tuple[tuple[Any, ...], str]:
    """The distinct labels of all sources, and a data type that holds them."""
    by_kind = {source.label_kind: source for source in reversed(sources) if source.labels}
    if len(by_kind) > 1:
        raise ValueError(
            f"{by_kind['strings'].name} has strings for labels, and {by_kind['numbers'].name} numbers: all must have "
            "labels of one kind"
        )
    labels = tuple(sort({label for source in sources for label in source.labels}))
    kinds = [np.dtype(source.label_dtype) for source in sources if source.labels]
    return labels, np.result_type(*kinds).str if kinds else ""


def _clients(sources: Sequence[SourceDescription]) -> tuple[tuple[Any, ...] | None, tuple[int, ...]]:
    """The clients of all sources, and which source has each."""
    if sources[0].client_ids is None:
        return None, ()
    kinds = {isinstance(ids[0], str): source.name for source in sources if (ids := source.client_ids)}
    if len(kinds) > 1:
        raise ValueError(
            f"{kinds[True]} has strings for client ids, and {kinds[False]} numbers: '3' and 3 would be two clients"
        )
    owner: dict[Any, int] = {}
    for i, source in enumerate(sources):
        for client in source.client_ids or ():
            if client in owner:
                raise ValueError(
                    f"client {client!r} has rows on {sources[owner[client]].name} and {source.name}: a client's rows "
                    "live on one rank"
                )
            owner[client] = i
    if not owner:
        raise ValueError("no rank passed a row")
    clients = tuple(sort(owner))
    return clients, tuple(owner[client] for client in clients)
