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


def column_moments(exchange: SummaryExchange, *, variances: bool = True, constants: bool = False) -> Moments:
    """The moments of the rows of an exchange's federation, with their weights. Collective.

    Parameters
    ----------
    exchange : SummaryExchange
        Rows dense or CSR, NaN where a value is missing; what a CSR row leaves out is a zero.
    variances : bool
        Whether for variances as well, by a second exchange.
    constants : bool
        Whether clients say the value of a column that is the same in all their rows. Then a column that is constant
        over all has it for a mean, to the last bit, and variance 0. Only for dense rows without NaN, at least one a
        client.

    Raises
    ------
    ValueError
        If a column's sum, or that of its squares, is beyond the largest double.
    """
    federation = exchange.federation
    names = federation.agreement.shared.feature_names
    sparse = scipy.sparse.issparse(federation.rows)
    columns: Any = _Sparse if sparse else _Dense
    ends = np.concatenate([[0], np.cumsum(federation.sizes)])
    weights = np.ones(ends[-1]) if federation.weights is None else federation.weights
    # Row i has the weights of client i's rows: a product with it sums client by client, whoever else is held here.
    by_client = scipy.sparse.csr_array((weights, np.arange(ends[-1]), ends), shape=(len(federation.sizes), ends[-1]))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        mine = columns(federation.rows, by_client)

        def sums() -> list[Summary]:
            counts, totals = mine.sums()
            same = _constants(federation.rows, ends) if constants else None
            return [
                ({"counts": _short(count), "sums": total} | ({} if same is None else {"same": same[i]}), {})
                for i, (count, total) in enumerate(zip(counts, totals, strict=True))
            ]

        def means(summaries: Sequence[Summary]) -> Summary:
            totals = _total(summaries, "sums", names)
            counts = np.sum([np.broadcast_to(arrays["counts"], totals.shape) for arrays, _ in summaries], axis=0)
            mean = totals / counts
            if constants:
                values = np.stack([arrays["same"] for arrays, _ in summaries])
                mean = np.where((values == values[0]).all(axis=0), values[0], mean)
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


class _Dense:
    """Sums by client over dense rows."""

    def __init__(self, rows: Array, by_client: Any) -> None:
        self.rows, self.by_client, self.missing = rows, by_client, np.isnan(rows)

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


def _constants(rows: Array, ends: Array) -> Array:
    """The value of each client's columns that have one alone, else NaN; shape (n, c)."""
    if len(ends) == 1:
        return np.zeros((0, rows.shape[1]))
    least, largest = (extreme.reduceat(rows, ends[:-1], axis=0) for extreme in (np.minimum, np.maximum))
    return np.where(least == largest, least, np.nan)


def _total(summaries: Sequence[Summary], name: str, names: Sequence[str] | None) -> Array:
    """The sum of what all clients have under a `name`."""
    total = np.sum([arrays[name] for arrays, _ in summaries], axis=0)
    if len(beyond := np.flatnonzero(~np.isfinite(total))):
        column = int(beyond[0]) if names is None else repr(names[beyond[0]])
        raise ValueError(f"column {column}: its {name} over all rows are beyond the largest double: change its unit")
    return np.asarray(total, np.float64)
