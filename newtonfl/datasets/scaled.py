"""Columns scaled over the rows of all clients: counts and sums travel, or largest values, and no rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from newtonfl.datasets.distribute import Federation
from newtonfl.datasets.moments import column_moments
from newtonfl.datasets.summaries import Summary, SummaryExchange
from newtonfl.objectives.scaling import Scaling, refuse_sparse


def scaled(federation: Federation, how: Literal["standard", "maxabs"]) -> Federation:
    """A federation with its columns scaled, and what that sent in its `preparation`. Collective.

    Parameters
    ----------
    federation : Federation
        With at least one row a client, not yet scaled, without NaN.
    how : {"standard", "maxabs"}
        As :class:`newtonfl.objectives.scaling.Scaling` has it, over the rows of all clients.

    Raises
    ------
    ValueError
        For "standard" of sparse rows, or if a column's sum, or that of its squares, is beyond the largest double.
    """
    exchange = SummaryExchange(federation)
    if how == "standard":
        refuse_sparse(federation.rows)
        moments = column_moments(exchange)
        assert moments.variances is not None
        scaling = Scaling.standard(moments.counts, moments.means, moments.variances)
    else:
        scaling = _maxabs(exchange)
    sent, received = federation.preparation or (0, 0)
    preparation = sent + exchange.ledger.up.bytes, received + exchange.ledger.down.bytes
    return replace(federation, rows=scaling.apply(federation.rows), scaling=scaling, preparation=preparation)


def _maxabs(exchange: SummaryExchange) -> Scaling:
    """The scaling by largest absolute values, of which each client sends its own."""

    def mine() -> list[Summary]:
        rows, sizes = exchange.federation.rows, exchange.federation.sizes
        ends = np.cumsum(sizes)
        pairs = zip(sizes, ends, strict=True)
        return [({"largest": Scaling.largest(rows[end - size : end])}, {}) for size, end in pairs]

    def over_all(summaries: Sequence[Summary]) -> Summary:
        return {"largest": np.max([arrays["largest"] for arrays, _ in summaries], axis=0)}, {}

    return Scaling.maxabs(exchange.exchange("finding the largest values", mine, over_all)[0]["largest"])
