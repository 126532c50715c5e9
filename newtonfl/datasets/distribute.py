"""From rows to ranks: the only way, whether rows come from files or from memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import scipy

from newtonfl.comm.collective import allgather
from newtonfl.comm.envelope import pack, unpack
from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array, empty_on
from newtonfl.datasets.agreement import Agreement
from newtonfl.datasets.build import Kind, assemble
from newtonfl.datasets.guard import check_coefficients, check_rows, warn_of_few_rows
from newtonfl.objectives.ordinal import Ordered
from newtonfl.objectives.row_problem import RowProblem
from newtonfl.objectives.scaling import UNSCALED, Scaling
from newtonfl.objectives.schema import Schema

_LEAST = 1e-200
"""Sums of weights from here to its inverse leave room for products."""

Placement = Literal["everywhere", "own", "rank 0"]
"""Which rows a rank passes: all of them, those of its own clients, or all on rank 0 and none elsewhere."""


@dataclass(frozen=True, eq=False)
class Federation:
    """Rows on the ranks that hold their clients.

    Attributes
    ----------
    transport : Transport
    agreement : Agreement
        What holds for the rows of all ranks.
    n_clients : int
        Over all ranks.
    clients, sizes : numpy.ndarray of int64
        The clients held here, increasing, and how many rows each has; perhaps none.
    rows : array (N, c), or SciPy CSR array
        Their rows end to end.
    per_row : dict of str to numpy.ndarray, shape (N,)
        Of each row held here: "labels", and where there are any "weights", "offset" and "events".
    classes : tuple of numbers or strings
        What the labels were before they became -1 and +1, or 0 to K - 1; empty where they are as they were.
    scaling : Scaling
        What was done to the rows.
    preparation : (array, array) or None
        As :attr:`newtonfl.objectives.base.Problem.preparation`.
    apart : bool
        Whether clients' rows have never been in one place.
    """

    transport: Transport
    agreement: Agreement
    n_clients: int
    clients: Array
    sizes: Array
    rows: Array
    per_row: Mapping[str, Array]
    classes: tuple[Any, ...] = ()
    scaling: Scaling = UNSCALED
    preparation: tuple[Array, Array] | None = None
    apart: bool = False

    @property
    def labels(self) -> Array:
        """Of the rows held here, shape (N,), as they were passed."""
        return self.per_row["labels"]

    @property
    def weights(self) -> Array | None:
        """Of the rows held here, shape (N,); None where every row counts once."""
        return self.per_row.get("weights")

    def sums(self, table: Array) -> Array:
        """Each client's column sums of a `table` (N, k) over the rows held here, shape (n, k). Collective.

        Client by client, so that the bits do not depend on who holds whom.
        """
        ends = np.cumsum(self.sizes)
        mine = [np.sum(table[end - size : end], axis=0) for size, end in zip(self.sizes, ends, strict=True)]
        arrays = {"clients": self.clients, "sums": np.reshape(np.array(mine, np.float64), (-1, table.shape[1]))}
        everyone = [arrays for arrays, _ in allgather(pack(arrays), self.transport)]
        by_client = np.argsort(np.concatenate([arrays["clients"] for arrays in everyone]))
        whole: Array = np.concatenate([arrays["sums"] for arrays in everyone])[by_client]
        return whole

    def class_totals(self, codes: Array, count: int) -> Array:
        """The weight of each of `count` classes, whose numbers are `codes` (N,), over all rows. Collective."""
        per_row = np.ones(len(codes)) if self.weights is None else self.weights
        sums = self.sums(per_row[:, None] * (codes[:, None] == np.arange(count)))
        return np.array([math.fsum(column) for column in sums.T])

    def ordered(self, codes: Array) -> Ordered:
        """The classes in their order, whose numbers are `codes` (N,), with their shares of all weight. Collective."""
        totals = self.class_totals(codes, len(self.classes))
        return Ordered(tuple((totals / math.fsum(totals)).tolist()))

    def problem(
        self, labels: Array, weights: Array | None, loss: Kind, *, device: str = "cpu", **more: Any
    ) -> RowProblem:
        """The problem of these rows. Collective.

        Parameters
        ----------
        labels : numpy.ndarray, shape (N,)
            Of the rows held here, as the loss wants them.
        weights : numpy.ndarray, shape (N,), or None
        loss : Loss, int, "efron", "breslow" or Ordered
            As :func:`newtonfl.datasets.build.assemble` has it.
        device : {"cpu", "cuda", "auto"}
        more : arguments of :func:`newtonfl.datasets.build.assemble`

        Raises
        ------
        ValueError
            If no weight is positive, :func:`newtonfl.datasets.build.assemble` refuses, or a client's rows are too few
            for a guard.
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
            made = assemble(
                self.rows, labels, self.sizes, loss, clients=self.clients, n_clients=self.n_clients,
                total=int(total) if weights is None else total, transport=self.transport, weights=weights,
                offset=self.per_row.get("offset"), events=self.per_row.get("events"), like=empty_on(device),
                **more,
            )  # fmt: skip
            shared, last = self.agreement.shared, ("intercept",) if more.get("intercept") else ()
            names = None if shared.feature_names is None else (*shared.feature_names, *last)
            if isinstance(loss, Ordered):
                known = shared.feature_names or tuple(f"x{j}" for j in range(self.rows.shape[1]))
                names = (*known, *(f"{low}|{high}" for low, high in pairwise(self.classes)))
            made.schema = Schema(
                names, shared.names, self.agreement.label_name, self.classes, self.agreement.left_out,
                bool(last), shared.levels, shared.means, shared.baselines, self.scaling, *self.agreement.offset_names,
            )  # fmt: skip
            made.preparation = self.preparation
            check_coefficients(self.clients, self.sizes, made.dim)
            if self.apart:
                warn_of_few_rows(self.clients, self.sizes, made.dim)
            return made


def distribute(
    rows: Array | None,
    per_row: Mapping[str, Array],
    parts: Sequence[Array],
    placement: Placement,
    agreement: Agreement,
    transport: Transport,
    *,
    clients: Array | None = None,
    n_clients: int | None = None,
) -> Federation:
    """Bring every client's rows to the rank that holds it. Collective.

    Clients go to ranks in near-equal blocks (:meth:`Transport.shares`), but where each rank passes its own.

    Parameters
    ----------
    rows : array (N, c), or SciPy CSR array, or None
        What this rank passes, as it is to be kept; None on the other ranks where rank 0 passes all.
    per_row : dict of str to numpy.ndarray, shape (N,)
        "labels", perhaps "weights", "offset" or "events": what travels with the rows. Numbers, where rank 0 passes all.
    parts : sequence of int64 arrays
        Row numbers, one array for each client whose rows are passed here, in order.
    placement : {"everywhere", "own", "rank 0"}
        Which rows this rank passes: all of them, as every rank does; those of its own clients; all, if it is rank 0.
    agreement : Agreement
        What holds for the rows of all ranks.
    transport : Transport
    clients : numpy.ndarray of int64, or None
        Where each rank passes its own: the clients of `parts`, increasing.
    n_clients : int or None
        Where each rank passes its own: how many there are over all ranks.
    """
    if placement == "rank 0" and transport.size > 1:
        shares = None
        with transport.agreed("sharing out the rows"):
            if transport.rank == 0:
                n = len(parts)
                shares = [
                    _packed(*_share(rows, per_row, [parts[client] for client in ids]), ids, n)
                    for ids in transport.shares(n)
                ]
        whole = _unpacked(transport.scatter(shares), agreement, transport)
    else:
        with transport.agreed("sharing out the rows"):
            if placement != "own":
                n_clients, clients = len(parts), transport.share(len(parts))
                parts = [parts[client] for client in clients]
            assert clients is not None and n_clients is not None
            shared = _share(rows, per_row, parts)
            whole = Federation(transport, agreement, n_clients, clients, *shared, apart=placement == "own")
    with transport.agreed("asking the guard"):
        check_rows([f"client {client}" for client in whole.clients], whole.sizes)
    return whole


def _share(rows: Any, per_row: Mapping[str, Array], parts: Sequence[Array]) -> tuple[Array, Array, dict[str, Array]]:
    """Sizes, rows and what belongs to each row of some clients, end to end; `rows` itself where they lie so."""
    order = np.concatenate([np.zeros(0, np.int64), *parts])
    sizes = np.array([len(part) for part in parts], np.int64)
    lie_so = np.array_equal(order, np.arange(rows.shape[0]))
    return sizes, rows if lie_so else rows[order], {name: values[order] for name, values in per_row.items()}


def _packed(sizes: Array, rows: Array, per_row: Mapping[str, Array], clients: Array, n_clients: int) -> bytes:
    sparse = scipy.sparse.issparse(rows)
    kept = {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr} if sparse else {"rows": rows}
    columns = {f"row {name}": values for name, values in per_row.items()}
    return pack({**kept, **columns, "sizes": sizes, "clients": clients}, shape=rows.shape, n_clients=n_clients)


def _unpacked(buffer: bytes, agreement: Agreement, transport: Transport) -> Federation:
    arrays, values = unpack(buffer)
    per_row = {name.removeprefix("row "): array for name, array in arrays.items() if name.startswith("row ")}
    rows = (
        scipy.sparse.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=tuple(values["shape"]))
        if "data" in arrays
        else arrays["rows"]
    )
    return Federation(transport, agreement, values["n_clients"], arrays["clients"], arrays["sizes"], rows, per_row)
