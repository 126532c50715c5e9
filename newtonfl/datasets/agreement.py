"""Descriptions of several sources of rows, and whether they fit together. Nothing else compares sources.

A source is one file, or the rows that one rank passes. Each is described where its rows are; all descriptions are
gathered on every rank, and every rank comes to the same agreement, or to the same refusal, which names two sources and
what they differ in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy

from newtonfl.comm.collective import allgather
from newtonfl.comm.packets import pack
from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array
from newtonfl.datasets.table import is_filled
from newtonfl.datasets.values import ordered, sort


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
    labels : tuple of numbers or strings
        The distinct ones in order; empty where labels are no classes.
    label_dtype : str
        NumPy's name of the labels' data type.
    client_ids : tuple of numbers or strings, or None
        The distinct ones, where the source names the client of each row.
    fingerprint : str
        Of everything that the source holds, where all sources must be alike; else empty.
    """

    name: str
    rows: int
    columns: int
    nonzeros: int
    dense: bool
    column_names: tuple[str, ...] | None = None
    labels: tuple[Any, ...] = ()
    label_dtype: str = ""
    client_ids: tuple[Any, ...] | None = None
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
    dense : bool
        How rows are to be kept: dense where half of all entries or more are not zero, or no source is sparse.
    labels : tuple of numbers or strings
        The distinct ones of all sources, in order; empty where labels are no classes.
    label_dtype : str
        A data type that holds all labels.
    clients : tuple of numbers or strings, or None
        Of all sources, numbers first, where they have client ids. A client's number is its position here.
    owners : tuple of int
        The position of the source that has each client's rows.
    """

    columns: int
    dense: bool
    labels: tuple[Any, ...] = ()
    label_dtype: str = ""
    clients: tuple[Any, ...] | None = None
    owners: tuple[int, ...] = ()


def describe(
    name: str,
    rows: Array,
    labels: Array | None = None,
    *,
    column_names: Sequence[str] | None = None,
    client_ids: Array | None = None,
    fingerprint: str = "",
) -> SourceDescription:
    """The description of a source's `rows`, dense or CSR; `labels` are given where they are classes.

    Raises
    ------
    ValueError
        If a label is neither a finite number nor a string.
    """
    sparse = scipy.sparse.issparse(rows)
    classes = np.zeros(0) if labels is None else np.unique(ordered("y: labels", labels))
    return SourceDescription(
        name,
        rows=rows.shape[0],
        columns=rows.shape[1],
        nonzeros=int(rows.nnz if sparse else np.count_nonzero(rows)),
        dense=not sparse,
        column_names=None if column_names is None else tuple(column_names),
        labels=tuple(classes.tolist()),
        label_dtype="" if labels is None else classes.dtype.str,
        client_ids=None if client_ids is None else tuple(np.unique(client_ids).tolist()),
        fingerprint=fingerprint,
    )


def gather(mine: Sequence[SourceDescription], transport: Transport) -> list[SourceDescription]:
    """The descriptions of all ranks, in rank order, on every rank. Collective."""
    everyone = allgather(pack({}, sources=[asdict(source) for source in mine]), transport)
    return [_restored(fields) for _, values in everyone for fields in values["sources"]]


def _restored(fields: dict[str, Any]) -> SourceDescription:
    """The description whose tuples JSON has made lists."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return SourceDescription(**values)


def agree(sources: Sequence[SourceDescription], remedy: str = "") -> Agreement:
    """Compare all sources.

    Parameters
    ----------
    sources : sequence of SourceDescription
        At least one.
    remedy : str
        What a message names as the way to pass rows that differ, where all sources must be alike.

    Raises
    ------
    ValueError
        If two differ in their number of columns, in the columns' names, in the kind of their labels, or in whether
        they have client ids; if two that must be alike are not; if a client has rows in two sources.
    """
    _check_columns(sources)
    _check_alike(sources, remedy)
    labels, label_dtype = _labels(sources)
    clients, owners = _clients(sources)
    filled = is_filled(sum(s.nonzeros for s in sources), sum(s.rows for s in sources), sources[0].columns)
    dense = filled or all(source.dense for source in sources)
    return Agreement(sources[0].columns, dense, labels, label_dtype, clients, owners)


def _check_columns(sources: Sequence[SourceDescription]) -> None:
    first = sources[0]
    for other in sources[1:]:
        if other.columns != first.columns:
            remedy = "; LIBSVM text leaves out what is zero: set features = N under [data]"
            raise ValueError(
                f"{first.name} has {first.columns} columns of features and {other.name} has {other.columns}: all must "
                "have as many" + (remedy if other.name.startswith("libsvm:") else "")
            )
    named = [source for source in sources if source.column_names is not None]
    for other in named[1:]:
        pairs = zip(named[0].column_names or (), other.column_names or (), strict=True)
        for j, (here, there) in enumerate(pairs):
            if here != there:
                raise ValueError(
                    f"{other.name} names or orders its columns otherwise than {named[0].name}: column {j} is {there!r} "
                    f"in the one and {here!r} in the other"
                )


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
