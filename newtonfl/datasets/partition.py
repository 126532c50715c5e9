"""From a checked problem file to rows at their clients' ranks.

With one file a client, each is read and described where its client is; all are compared, and each is then made ready.
One source for all clients goes the same way on rank 0, and is split.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from newtonfl.comm.envelope import pack, unpack
from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array
from newtonfl.datasets import sources, splits
from newtonfl.datasets.agreement import Agreement, SourceDescription, agree, describe, gather
from newtonfl.datasets.distribute import Federation, Placement, distribute
from newtonfl.datasets.per_row import row_offset
from newtonfl.datasets.problem_file import ProblemFile
from newtonfl.datasets.scaled import scaled
from newtonfl.datasets.sources import Table
from newtonfl.objectives.scaling import UNSCALED, How, Scaling


def distribute_file(file: ProblemFile, folder: Path, transport: Transport) -> Federation:
    """Read the rows that a problem file names, and bring every client's to the rank that holds it. Collective.

    Of one file a client, each rank reads those of its clients; else rank 0 reads all.

    Parameters
    ----------
    file : ProblemFile
    folder : Path
        The problem file's folder, which relative paths are relative to.
    transport : Transport

    Returns
    -------
    Federation
        Its labels are -1 and +1 for losses of two classes.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`newtonfl.datasets.sources.read`, :func:`newtonfl.datasets.agreement.agree`, :func:`choose_classes`,
        :func:`prepare` and :func:`newtonfl.datasets.splits.split` do.
    """
    separate = file.clients.split == "files"
    with transport.agreed("reading the data"):
        names = client_sources(file, folder) if separate or transport.rank == 0 else []
        here = transport.share(len(names)) if separate else np.arange(len(names))
        tables = [read_source(file, folder, names[i]) for i in here]
        mine = [describe_table(file, table) for table in tables]
    descriptions = gather(mine, transport)
    with transport.agreed("reading the data"):
        agreement = agree(descriptions, baseline=file.data.baseline)
        _check_agreement(file, agreement)
        classes = choose_classes(file, agreement)
        tables = [prepare(file, table, agreement, classes) for table in tables]
        if separate:
            rows, per_row = _stacked(file, tables, agreement)
            labels = per_row["labels"]
            ends = np.cumsum([len(table.labels) for table in tables], dtype=np.int64)
            parts = np.split(np.arange(len(labels), dtype=np.int64), ends[:-1]) if len(ends) else []
            number: int | None = len(names)
        elif tables:
            rows, parts, number = tables[0].rows, split_table(file, tables[0]), None
            per_row = {"labels": tables[0].labels, **tables[0].per_row}
        else:
            rows, per_row, parts, number = None, {"labels": np.zeros(0)}, [], None
    placement: Placement = "own" if separate else "rank 0"
    whole = distribute(rows, per_row, parts, placement, agreement, transport, clients=here, n_clients=number)
    sent = np.array([len(source.summary.packet) for source in descriptions], np.int64)
    if separate and sent.any():  # of one file for all clients, one place reads all and nothing travels
        received = np.full(len(sent), len(agreement.shared.packet), np.int64)
        whole = replace(whole, preparation=(sent, received))
    whole, how = replace(whole, classes=classes or ()), file.data.scale
    if separate and (how == "standard" or how == "maxabs"):
        try:
            return scaled(whole, how)
        except ValueError as error:
            raise ValueError(f"{file.where}: [data] scale: {error}") from None
    return replace(whole, scaling=_scaling_of_all(how, tables, transport))


def _scaling_of_all(how: How, tables: list[Table], transport: Transport) -> Scaling:
    """The scaling of every source. Collective: what is learned of rows rank 0 alone has learned, of all of them."""
    if how not in ("standard", "maxabs"):
        return UNSCALED if how == "none" else Scaling(how)
    learned = vars(tables[0].scaling) if transport.rank == 0 else {}
    mine = {name: array for name, array in learned.items() if isinstance(array, np.ndarray)}
    return Scaling(how, **unpack(transport.broadcast(pack(mine) if transport.rank == 0 else None))[0])


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


def read_source(file: ProblemFile, folder: Path, source: str) -> Table:
    """The rows of one of the :func:`client_sources` that have a label of the file's classes, where it names some.

    Where none has, all, which :func:`prepare` refuses once all sources are known.
    """
    split, name = splits.parse(file.clients.split)
    # Words that the file names as classes are compared as words, though they may look like numbers.
    words = isinstance((file.data.classes or (None,))[0], str) or None
    csv = {**file.data.layout, "word_labels": words if file.objective.part.classifies else False}
    table = sources.read(
        source,
        folder=folder,
        features=file.data.features if isinstance(file.data.features, int) else None,
        zero_based=file.data.zero_based,
        offset=file.data.offset,
        exposure=file.data.exposure,
        group=name if split == "column" else None,
        **(csv if source.startswith("csv:") else {}),
    )
    if len(table.label_candidates) > 1:
        raise ValueError(
            f"{file.where}: [data] label: missing, and each of the columns {sources.some(table.label_candidates)} of "
            f"{source} could be it: label = NAME says which"
        )
    if file.data.classes is None:
        return table
    labels, codes = np.unique(table.labels, return_inverse=True)
    known = np.array([label in file.data.classes for label in labels.tolist()])
    if not known.any():
        return table
    return replace(table.where(known[codes]), other_labels=labels[~known])


def describe_table(file: ProblemFile, table: Table) -> SourceDescription:
    """The description of a table as read."""
    return describe(
        table.source,
        table.rows,
        np.concatenate([np.unique(table.labels), table.other_labels]) if file.objective.part.classifies else None,
        column_names=table.column_names,
        levels=table.levels,
        means=file.data.missing == "mean",
        label_name=table.label_name,
        offset_names=table.offset_names,
        left_out=table.left_out,
    )


def choose_classes(file: ProblemFile, agreement: Agreement) -> tuple[Any, Any] | None:
    """The labels that become -1 and +1; None for losses without classes.

    Raises
    ------
    ValueError
        If the labels of all sources are not two classes, or one that the file names is in none.
    """
    if not file.objective.part.classifies:
        return None
    found, classes = agreement.labels, file.data.classes
    if classes is None:
        sources.two_classes(np.array(found), None, file.data.source)
    low, high = classes or (found[0], found[1])
    if absent := [label for label in (low, high) if label not in found]:
        raise ValueError(
            f"{file.where}: [data] classes: given [{sources.some((low, high))}], but no row of {file.data.source} has "
            f"the label {sources.some(absent[:1])}; the labels are {sources.some(found)}"
        )
    return low, high


def _check_agreement(file: ProblemFile, agreement: Agreement) -> None:
    """Refuse what all sources together are, where the file states otherwise."""
    stated, names = file.data.left_out, agreement.shared.feature_names or ()
    if stated is not None and stated != agreement.left_out:
        raise ValueError(
            f"{file.where}: [data] left_out: given {stated}, but of the rows of {file.data.source} "
            f"{agreement.left_out} are left out, for want of a value or for another label"
        )
    if isinstance(file.data.features, tuple) and file.data.features != names:
        pairs = enumerate(zip_longest(file.data.features, names, fillvalue="nothing"))
        j, (first, other) = next((j, pair) for j, pair in pairs if pair[0] != pair[1])
        raise ValueError(
            f"{file.where}: [data] features: given {len(file.data.features)} names, and {file.data.source} has "
            f"{len(names)}: number {j}, counted from 0, is {first!r} here and {other!r} there"
        )
    names += ("intercept",) * file.objective.intercept
    if agreement.shared.names is not None and not names:
        raise ValueError(f"{file.where}: [data] no feature is left of {file.data.source}, and there is no intercept")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f"{file.where}: two features would be called {twice[0]!r}, a column and "
            f"{'the column of ones' if twice[0] == 'intercept' else 'a word of another'}: rename the column, or drop it"
        )


def prepare(file: ProblemFile, table: Table, agreement: Agreement, classes: tuple[Any, Any] | None) -> Table:
    """Make columns features, map the labels of the two `classes` to -1 and +1, scale where this takes no other source,
    and join what is per row.

    Raises
    ------
    ValueError
        If no row is left, labels or an exposure do not suit the loss, or rows cannot be scaled so.
    """
    rows = agreement.shared.features(table.rows, table.column_names, table.levels, agreement.dense)
    labels = table.labels if classes is None else sources.two_classes(table.labels, classes, table.source)[0]
    if labels.dtype.kind != "f":
        raise ValueError(f"{table.source}: loss = {file.objective.loss!r} needs numbers for labels; these are words")
    fault = file.objective.part.label_fault(float(labels.min()))
    if fault:
        raise ValueError(f"{table.source}: loss = {file.objective.loss!r} {fault}")
    rows = sources.store(rows, agreement.dense)
    try:
        # With one file a client, columns are scaled once all are at their ranks.
        own = file.clients.split != "files" or file.data.scale == "unit-rows"
        scaling = Scaling.of(rows, file.data.scale) if own else UNSCALED
    except ValueError as error:
        raise ValueError(f"{file.where}: [data] scale: {error}") from None
    try:
        offset = row_offset(
            table.per_row.get("offset"), table.per_row.get("exposure"), len(labels), file.objective.part.link
        )
    except ValueError as error:
        raise ValueError(f"{table.source}: {error}") from None
    per_row = {} if offset is None else {"offset": offset}
    return replace(table, rows=scaling.apply(rows), labels=labels, scaling=scaling, per_row=per_row)


def split_table(file: ProblemFile, table: Table) -> list[Array]:
    """The row numbers of each client in a table that holds all.

    Raises
    ------
    ValueError
        As :func:`newtonfl.datasets.splits.split` does, with the file's name.
    """
    clients = file.clients
    try:
        return splits.split(clients.split, table.labels, clients.count, clients.seed, table.groups)
    except ValueError as error:
        raise ValueError(f"{file.where}: [clients] {error}") from None


def _stacked(file: ProblemFile, tables: list[Table], agreement: Agreement) -> tuple[Array, dict[str, Array]]:
    """Rows of several tables, and what belongs to each row, end to end; perhaps of none."""
    none = np.zeros((0, agreement.columns))
    blocks = [table.rows for table in tables] or [none if agreement.dense else scipy.sparse.csr_array(none)]
    rows = np.concatenate(blocks) if agreement.dense else scipy.sparse.csr_array(scipy.sparse.vstack(blocks, "csr"))
    per_row = {"labels": [table.labels for table in tables]}
    if file.data.offset is not None or file.data.exposure is not None:
        per_row["offset"] = [table.per_row["offset"] for table in tables]
    return rows, {name: np.concatenate([np.zeros(0), *values]) for name, values in per_row.items()}


def state(file: ProblemFile, folder: Path) -> str:
    """Whether the data are at hand, in a sentence; nothing is downloaded."""
    try:
        found = client_sources(file, folder)
        places = [sources.at_hand(source, folder) for source in found]
    except (FileNotFoundError, ValueError) as error:
        return f"not at hand: {error}"
    return f"at hand: {places[0]}" + (f" and {len(places) - 1} more files" if len(places) > 1 else "")
