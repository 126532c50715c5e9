"""Rows in memory, shared out over clients and ranks: what from_arrays and the estimators have in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy

from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array
from newtonfl.datasets.agreement import agree, describe, gather
from newtonfl.datasets.distribute import Federation, Placement, distribute
from newtonfl.datasets.guard import check_own_rows
from newtonfl.datasets.splits import split
from newtonfl.datasets.table import store
from newtonfl.datasets.values import client_ids

DEFAULT_CLIENTS = 8


def distribute_arrays(
    X: Array,
    y: Array,
    beside: Mapping[str, Array] = MappingProxyType({}),
    *,
    offset_names: tuple[str, str] = ("", ""),
    clients: int | str | Sequence[Any] | Array | None,
    transport: Transport,
    own: bool = False,
    classes: bool = False,
    column_names: Sequence[str] | None = None,
    seed: int = 0,
    remedy: str = "own=True",
    also: Sequence[Any] = (),
) -> Federation:
    """Share out rows. Collective.

    Parameters
    ----------
    X : array (N, c) or SciPy sparse array
        Real and finite.
    y : array, shape (N,)
        Labels, which splits by label look at.
    beside : dict of str to array, shape (N,)
        What else belongs to each row, as :attr:`newtonfl.datasets.distribute.Federation.per_row` has it.
    offset_names : (str, str)
        What a table for a prediction calls the offset and the exposure; empty where there is none.
    clients : int, str, array of shape (N,), or None
        That many near-equal blocks of consecutive rows, at most one a row; "SPLIT:COUNT" such as "by-label:8"; every
        row's client id, numbers or strings. None is 8 blocks, or, where ranks pass rows of their own, a client a rank.
    transport : Transport
    own : bool
        Whether each rank passes rows of its own; else all pass the same, which is checked.
    classes : bool
        Whether labels are classes, which all ranks must come to know.
    column_names : sequence of str, or None
        Rows of ranks that have them in another order are brought into rank 0's.
    seed : int
        Of the drawn splits.
    remedy : str
        What an error names as the way to pass one's own rows.
    also : sequence
        What else of the rows all ranks must pass alike, where they pass the same: arrays, or what JSON can hold.

    Raises
    ------
    ValueError
        If ranks pass other rows, other columns or other kinds of labels, a client's rows lie on two ranks, or
        `clients` does not fit.
    """
    with transport.agreed("looking at the rows"):
        rows = store(X)
        n_rows = rows.shape[0]
        plain = clients is None or isinstance(clients, (str, int, np.integer))
        ids = clients if plain else client_ids("clients", clients, n_rows)
        if own and not (ids is None or isinstance(ids, np.ndarray)):
            raise ValueError(
                f"clients: given {clients!r}, but where every rank passes rows of its own each rank is a client, or "
                "client ids say whose a row is"
            )
        if own:
            check_own_rows(ids, n_rows, transport.rank)
        alike = not own and transport.size > 1
        mine = describe(
            f"rank {transport.rank}",
            rows,
            y if classes else None,
            column_names=column_names,
            offset_names=offset_names,
            client_ids=ids if own and isinstance(ids, np.ndarray) else None,
            fingerprint=_fingerprint(rows, y, ids, column_names, *beside.values(), *also) if alike else "",
        )
    sources = gather([mine], transport)
    with transport.agreed("sharing out the rows"):
        agreement = agree(sources, remedy)
        rows = agreement.shared.features(store(rows, agreement.dense), column_names, {}, agreement.dense)
        numbers, n_clients = None, None
        if not own:
            parts = _parts(ids, y, n_rows, seed)
        elif agreement.clients is None:
            n_clients, numbers, parts = len(sources), np.array([transport.rank]), [np.arange(n_rows)]
        else:
            numbers = np.flatnonzero(np.array(agreement.owners) == transport.rank)
            n_clients = len(agreement.clients)
            parts = [np.flatnonzero(ids == agreement.clients[number]) for number in numbers]
    placement: Placement = "own" if own else "everywhere"
    return distribute(
        rows, {"labels": y, **beside}, parts, placement, agreement, transport, clients=numbers, n_clients=n_clients
    )


def _fingerprint(rows: Array, *arrays: Any) -> str:
    """The SHA-256 of what a rank passed."""
    whole = hashlib.sha256()
    kept = [rows.data, rows.indices, rows.indptr] if scipy.sparse.issparse(rows) else [rows]
    for array in [*kept, *arrays]:
        if isinstance(array, np.ndarray) and array.dtype.kind in "biuf":
            # The numbers count, not how they are kept.
            plain = array.astype(np.float64 if array.dtype.kind == "f" else np.int64)
            whole.update(f"{plain.shape}".encode())
            whole.update(np.ascontiguousarray(plain).tobytes())
        else:
            values = np.asarray(array).tolist() if isinstance(array, np.ndarray) else array
            whole.update(json.dumps(values, default=str).encode())
    return whole.hexdigest()


def _parts(clients: Any, y: Array, n_rows: int, seed: int) -> list[Array]:
    """Each client's rows where one place knows them all."""
    if isinstance(clients, np.ndarray):
        return [np.flatnonzero(clients == client) for client in np.unique(clients)]
    how, count = "blocks", DEFAULT_CLIENTS if clients is None else clients
    if isinstance(clients, str):
        how, _, number = clients.rpartition(":")
        count = int(number) if number.isdecimal() else 0
    known = how.partition(":")[0] in ("blocks", "shuffled", "by-label", "dirichlet")
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1 or not known:
        raise ValueError(
            f"clients: given {clients!r}, must be a number of at least 1, every row's client id, or SPLIT:COUNT with "
            "SPLIT of blocks, shuffled, by-label, dirichlet:BETA"
        )
    codes = np.unique(y, return_inverse=True)[1] if how.startswith(("by-label", "dirichlet")) else np.zeros(n_rows)
    return split(how, codes, min(int(count), n_rows), seed)
