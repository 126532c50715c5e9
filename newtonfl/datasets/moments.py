"""Means and variances of the columns over all clients, in two exchanges: sums first, then squares about the means.

Squares about 0, which one exchange would do with, lose the digits that a mean and a deviation have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.datasets.guard import check_values
from newtonfl.datasets.summaries import Summary, SummaryExchange


@dataclass(frozen=True, eq=False)
class Moments:
    """Of every column's values that are not missing.

    Attributes
    ----------
    counts : numpy.ndarray, shape (c,)
        Σ w_j over the rows that have a value.
    means, variances : numpy.ndarray, shape (c,)
        m = Σ w_j a_j/Σ w_j, and Σ w_j (a_j - m)²/Σ w_j; NaN where no row has a value. Variances are None where nobody
        asked for them.
    """

    counts: Array
    means: Array
    variances: Array | None


def column_moments(exchange: SummaryExchange, *, variances: bool = True) -> Moments:
    """The moments of the rows of an exchange's federation, with their weights. Collective.

    Parameters
    ----------
    exchange : SummaryExchange
        Rows dense or CSR, NaN where a value is missing; what a CSR row leaves out is a zero.
    variances : bool
        Whether for variances as well, by a second exchange.

    Raises
    ------
    ValueError
        If a column's sum, or that of its squares, is beyond the largest double.
    """
    federation = exchange.federation
    names = federation.agreement.shared.feature_names
    sparse = scipy.sparse.issparse(federation.rows)
    kind: Any = _Sparse if sparse else _Dense
    ends = np.concatenate([[0], np.cumsum(federation.sizes)])
    weights = np.ones(ends[-1]) if federation.weights is None else federation.weights
    by_client = _by_client(weights, ends)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        mine = kind(federation.rows, by_client)

        def sums() -> list[Summary]:
            columns = [repr(name) for name in names or range(federation.rows.shape[1])]
            check_values([f"client {client}" for client in federation.clients], columns, mine.present(ends))
            counts, totals = mine.sums()
            return [({"counts": _short(n), "sums": total}, {}) for n, total in zip(counts, totals, strict=True)]

        def means(summaries: Sequence[Summary]) -> Summary:
            totals = _total(summaries, "sums", names)
            counts = np.sum([np.broadcast_to(arrays["counts"], totals.shape) for arrays, _ in summaries], axis=0)
            mean = totals / counts
            return {"counts": _short(counts), "means": mean}, {}

        def squares() -> list[Summary]:
            return [({"squares": row}, {}) for row in mine.squares(mean)]

        def spread(summaries: Sequence[Summary]) -> Summary:
            return {"variances": _total(summaries, "squares", names) / counts}, {}

        found, _ = exchange.exchange("summing the columns", sums, means)
        mean = found["means"]
        counts = np.broadcast_to(found["counts"], mean.shape)
        if not variances:
            return Moments(counts, mean, None)
        found, _ = exchange.exchange("summing the squares", squares, spread)
        return Moments(counts, mean, found["variances"])


def _by_client(weights: Array, ends: Array) -> Any:
    """Row i has the weights of client i's rows: a product with it sums client by client, whoever else is held here."""
    return scipy.sparse.csr_array((weights, np.arange(ends[-1]), ends), shape=(len(ends) - 1, ends[-1]))


class _Dense:
    """Sums by client over dense rows."""

    def __init__(self, rows: Array, by_client: Any) -> None:
        self.rows, self.by_client, self.missing = rows, by_client, np.isnan(rows)

    def present(self, ends: Array) -> Array:
        """How many rows have a value, whatever they weigh, shape (n, c)."""
        return _by_client(np.ones(ends[-1]), ends) @ (~self.missing).astype(np.float64)

    def sums(self) -> tuple[Array, Array]:
        """How much weight has a value, and the sum of the values; shape (n, c)."""
        return self.by_client @ (~self.missing).astype(np.float64), self.by_client @ np.where(
            self.missing, 0, self.rows
        )

    def squares(self, means: Array) -> Array:
        """Σ w_j (a_j - m)², shape (n, c)."""
        summed: Array = self.by_client @ np.where(self.missing, 0.0, self.rows - means) ** 2
        return summed


class _Sparse:
    """The same over CSR rows, at the cost of what they store."""

    def __init__(self, rows: Any, by_client: Any) -> None:
        self.rows, self.by_client, self.missing = rows, by_client, np.isnan(rows.data)

    def _summed(self, data: Array) -> Array:
        """`data` in the place of what the rows store, shape (n, c)."""
        summed: Array = (
            self.by_client @ scipy.sparse.csr_array((data, self.rows.indices, self.rows.indptr), self.rows.shape)
        ).toarray()
        return summed

    def present(self, ends: Array) -> Array:
        plain = _Sparse(self.rows, _by_client(np.ones(ends[-1]), ends))
        return plain.sums()[0]

    def sums(self) -> tuple[Array, Array]:
        self.counts = self.by_client.sum(axis=1)[:, None] - self._summed(self.missing.astype(np.float64))
        return self.counts, self._summed(np.where(self.missing, 0.0, self.rows.data))

    def squares(self, means: Array) -> Array:
        from_stored = np.where(self.missing, 0.0, self.rows.data - means[self.rows.indices]) ** 2
        zeros = self.counts - self._summed((~self.missing).astype(np.float64))
        return self._summed(from_stored) + np.where(zeros > 0.0, zeros * means**2, 0.0)


def _short(counts: Array) -> Array:
    """One number where all are the same."""
    return counts[:1] if (counts == counts[0]).all() else counts


def _total(summaries: Sequence[Summary], name: str, names: Sequence[str] | None) -> Array:
    """The sum of what all clients have under a `name`."""
    total = np.sum([arrays[name] for arrays, _ in summaries], axis=0)
    if len(beyond := np.flatnonzero(~np.isfinite(total))):
        column = int(beyond[0]) if names is None else repr(names[beyond[0]])
        raise ValueError(f"column {column}: its {name} over all rows are beyond the largest double: change its unit")
    return np.asarray(total, np.float64)
