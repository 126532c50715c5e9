"""The columns of sparse rows that a fit works in. A column that no row has costs nothing.

Such a column's coefficient is the penalty's alone: zero at the minimiser, or without a penalty wherever it began.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy

from newtonfl.comm.coding import encode_indices
from newtonfl.comm.collective import allgather
from newtonfl.comm.envelope import pack
from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array
from newtonfl.datasets.distribute import Federation

LEAST = 256
"""As many columns are kept if there are as many, so that a compressor's K or rank fits as it does in all of them."""


@dataclass(frozen=True)
class WorkingColumns:
    """All columns, or those that occur in some row of some rank, and at least :data:`LEAST`.

    Attributes
    ----------
    numbers : numpy.ndarray of int64, or None
        Which ones, increasing; None is all.
    """

    numbers: Array | None = None

    def narrow(self, table: Any) -> Any:
        """`table` (…, c) in these columns alone."""
        return table if self.numbers is None else table[..., self.numbers]

    def widen(self, coefficients: Array, elsewhere: Array) -> Array:
        """`coefficients` of these columns, and those of `elsewhere` (…, c) in the others."""
        if self.numbers is None:
            return coefficients.copy()
        whole = elsewhere.copy()
        whole[..., self.numbers] = coefficients
        return whole

    def counted(self, federation: Federation) -> Federation:
        """`federation` with what agreeing on the columns takes: each client sends its own and gets all. Collective."""
        if self.numbers is None:
            return federation
        rows, ends = scipy.sparse.csr_array(federation.rows), np.cumsum(federation.sizes)
        sent = [
            len(encode_indices(self.numbers[np.unique(rows[end - size : end].indices)]))
            for size, end in zip(federation.sizes, ends, strict=True)
        ]
        mine = {"clients": federation.clients, "sent": np.array(sent, np.int64)}
        everyone = [arrays for arrays, _ in allgather(pack(mine), federation.transport)]
        by_client = np.argsort(np.concatenate([arrays["clients"] for arrays in everyone]))
        up = np.concatenate([arrays["sent"] for arrays in everyone])[by_client]
        return replace(federation, preparation=(up, np.full(len(up), len(encode_indices(self.numbers)))))


def working_columns(X: Array, names: Sequence[str] | None, transport: Transport) -> WorkingColumns:
    """The columns for the rows `X` of all ranks. Collective.

    All, unless every rank that has rows has sparse ones, of which at least half the columns never occur. All as well
    where ranks have other columns than one another: comparing them is the distributor's.
    """
    sparse = scipy.sparse.issparse(X)
    # With counts NumPy sorts; without it hashes, which takes four times as long.
    mine = np.unique(X.indices[X.data != 0], return_counts=True)[0] if sparse else np.zeros(0)
    named = None if names is None else hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()
    alike = [int(X.shape[1]), named]
    everyone = allgather(
        pack({"columns": mine.astype(np.int64)}, alike=alike, sparse=bool(sparse or not X.shape[0])), transport
    )
    if any(values["alike"] != everyone[0][1]["alike"] or not values["sparse"] for _, values in everyone):
        return WorkingColumns()
    found = np.unique(np.concatenate([arrays["columns"] for arrays, _ in everyone]))
    if 2 * max(len(found), LEAST) > X.shape[1]:
        return WorkingColumns()
    more = np.setdiff1d(np.arange(2 * LEAST), found)[: max(LEAST - len(found), 0)]
    return WorkingColumns(np.union1d(found, more))
