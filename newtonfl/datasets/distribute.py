"""Federation: rows in memory, shared out over clients, and the clients over ranks."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from newtonfl.comm.collective import allgather, client_ids, in_one_order
from newtonfl.comm.packets import pack
from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array, empty_on
from newtonfl.datasets.build import assemble
from newtonfl.datasets.splits import split
from newtonfl.datasets.table import is_filled, store
from newtonfl.objectives.losses import Loss
from newtonfl.objectives.row_problem import RowProblem

DEFAULT_CLIENTS = 8

_LEAST = 1e-200
"""Sums of weights from here to its inverse leave room for products."""


@dataclass(frozen=True, eq=False)
class Federation:
    """Who holds which rows.

    Attributes
    ----------
    transport : Transport
    n_clients : int
        Over all ranks.
    clients, sizes : numpy.ndarray of int64
        The clients held here, increasing, and how many rows each has; perhaps none.
    order : numpy.ndarray of int64, shape (N,)
        Their rows end to end, as numbers of the rows that were passed here.
    rows : array (N, c), or SciPy CSR array
        These rows, as they are kept.
    """

    transport: Transport
    n_clients: int
    clients: Array
    sizes: Array
    order: Array
    rows: Array

    def held(self, per_row: Array) -> Array:
        """Of one value for each row passed here, those of the rows held here, end to end."""
        return per_row[self.order]

    def sums(self, table: Array) -> Array:
        """Each client's column sums of a `table` (N, k) over the rows held here, shape (n, k). Collective.

        Client by client, so that the bits do not depend on who holds whom.
        """
        ends = np.cumsum(self.sizes)
        mine = [np.sum(table[end - size : end], axis=0) for size, end in zip(self.sizes, ends, strict=True)]
        arrays = {"clients": self.clients, "sums": np.reshape(np.array(mine, np.float64), (-1, table.shape[1]))}
        everyone = allgather(pack(arrays), self.transport)
        by_client = np.argsort(np.concatenate([told["clients"] for told, _ in everyone]))
        whole: Array = np.concatenate([told["sums"] for told, _ in everyone])[by_client]
        return whole

    def problem(
        self, labels: Array, weights: Array | None, loss: Loss | int, *, device: str = "cpu", **more: Any
    ) -> RowProblem:
        """The problem of these rows. Collective.

        Parameters
        ----------
        labels : numpy.ndarray, shape (N,)
            Of the rows held here, as the loss wants them.
        weights : numpy.ndarray, shape (N,), or None
        loss : Loss or int
            A number K stands for multinomial regression.
        device : {"cpu", "cuda", "auto"}
        more : arguments of :func:`newtonfl.datasets.build.assemble`

        Raises
        ------
        ValueError
            If no weight is positive.
        """
        counts = np.ones((len(labels), 1)) if weights is None else np.asarray(weights, np.float64)[:, None]
        with np.errstate(over="ignore"):
            sums = self.sums(counts)[:, 0]
            roughly = float(np.sum(sums))
        with self.transport.agreed("weighing the rows"):
            if not _LEAST < roughly < 1.0 / _LEAST:
                raise ValueError(
                    f"no row counts, or none can be told apart: the weights of all rows sum to {roughly:g}, which is "
                    "zero or far from 1"
                )
            total: float = math.fsum(sums)
            return assemble(
                self.rows, labels, self.sizes, loss, clients=self.clients, n_clients=self.n_clients,
                total=int(total) if weights is None else total, transport=self.transport, weights=weights,
                like=empty_on(device),
                **more,
            )  # fmt: skip


def distribute(
    X: Array,
    y: Array,
    *,
    clients: int | str | Sequence[Any] | Array | None,
    transport: Transport,
    own: bool = False,
    also: Sequence[Array] = (),
    seed: int = 0,
    remedy: str = "own=True",
) -> Federation:
    """Share out rows. Collective.

    Parameters
    ----------
    X : array (N, c) or SciPy sparse array
        Real and finite.
    y : array, shape (N,)
        What splits by label look at.
    clients : int, str, array of shape (N,), or None
        That many near-equal blocks of consecutive rows, at most one a row; "SPLIT:COUNT" such as "by-label:8"; every
        row's client id, numbers or strings. None is 8 blocks, or, where ranks pass rows of their own, a client a rank.
    transport : Transport
    own : bool
        Whether each rank passes rows of its own; else all pass the same, which is checked.
    also : arrays
        What else ranks that pass the same must pass alike.
    seed : int
        Of the drawn splits.
    remedy : str
        What an error names as the way to pass one's own rows.

    Raises
    ------
    ValueError
        If ranks pass other rows or other numbers of columns, a client's rows lie on two ranks, or `clients` does not
        fit.
    """
    with transport.agreed("looking at the rows"):
        rows = store(X)
        many, columns = rows.shape
        plain = clients is None or isinstance(clients, (str, int, np.integer))
        ids = clients if plain else client_ids("clients", clients, many)
        if own and not (ids is None or isinstance(ids, np.ndarray)):
            raise ValueError(
                f"clients: given {clients!r}, but where every rank passes rows of its own each rank is a client, or "
                "client ids say whose a row is"
            )
        mine = {
            "columns": columns, "dense": not scipy.sparse.issparse(rows), "rows": many,
            "nonzeros": int(rows.nnz if scipy.sparse.issparse(rows) else np.count_nonzero(rows)),
            "print": "" if own else _fingerprint(rows, y, ids, *also),
            "ids": np.unique(ids).tolist() if own and isinstance(ids, np.ndarray) else None,
        }  # fmt: skip
    everyone = [told for _, told in allgather(pack({}, **mine), transport)]
    with transport.agreed("sharing out the rows"):
        _check_alike(everyone, remedy)
        filled = is_filled(sum(told["nonzeros"] for told in everyone), sum(told["rows"] for told in everyone), columns)
        dense = filled or all(told["dense"] for told in everyone)
        if own:
            n, held, parts = _own_parts([told["ids"] for told in everyone], ids, many, transport.rank)
        else:
            all_parts = _parts(ids, y, many, seed)
            n, held = len(all_parts), transport.share(len(all_parts))
            parts = [all_parts[client] for client in held]
        order = np.concatenate([np.zeros(0, np.int64), *parts])
        sizes = np.array([len(part) for part in parts], np.int64)
        return Federation(transport, n, held, sizes, order, store(rows[order], dense))


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
            told = np.asarray(array).tolist() if isinstance(array, np.ndarray) else array
            whole.update(json.dumps(told, default=str).encode())
    return whole.hexdigest()


def _check_alike(everyone: Sequence[dict[str, Any]], remedy: str) -> None:
    first = everyone[0]
    for rank, told in enumerate(everyone):
        if told["print"] != first["print"]:
            raise ValueError(f"rank {rank} passed other rows than rank 0; for its own rows say {remedy}")
        if told["columns"] != first["columns"]:
            raise ValueError(f"rank {rank} passed {told['columns']} columns, and rank 0 {first['columns']}")
        if (told["ids"] is None) != (first["ids"] is None):
            raise ValueError(f"rank {rank} and rank 0: one passed client ids and one did not")


def _own_parts(everyone: Sequence[list[Any] | None], ids: Any, many: int, rank: int) -> tuple[int, Array, list[Array]]:
    """How many clients there are where ranks pass their own rows, and which of them and of the rows are here."""
    if ids is None:
        return len(everyone), np.array([rank]), [np.arange(many)]
    owner: dict[Any, int] = {}
    for other, names in enumerate(everyone):
        for name in names or ():
            if name in owner:
                raise ValueError(
                    f"client {name!r} has rows on ranks {owner[name]} and {other}: a client's rows live on one rank"
                )
            owner[name] = other
    if not owner:
        raise ValueError("no rank passed a row")
    order = in_one_order(owner)
    held = np.array([number for number, name in enumerate(order) if owner[name] == rank], np.int64)
    return len(order), held, [np.flatnonzero(ids == order[number]) for number in held]


def _parts(clients: Any, y: Array, many: int, seed: int) -> list[Array]:
    """Each client's rows where one place knows them all."""
    if isinstance(clients, np.ndarray):
        return [np.flatnonzero(clients == name) for name in np.unique(clients)]
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
    codes = np.unique(y, return_inverse=True)[1] if how.startswith(("by-label", "dirichlet")) else np.zeros(many)
    return split(how, codes, min(int(count), many), seed)
