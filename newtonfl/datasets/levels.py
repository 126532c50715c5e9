"""The levels of columns of words or numbers, over all clients: their names travel, and which row has which does not.

A level is a string, a boolean or a number; None stands for a missing value, which comes last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.datasets.frames import values_of
from newtonfl.datasets.guard import check_counts
from newtonfl.datasets.summaries import Summary, SummaryExchange
from newtonfl.datasets.values import missing, sort

Levels = list[list[Any]]
"""The distinct values of each column, in order, None last."""


def levels_of(X: Any, names: Sequence[Any]) -> tuple[Levels, Array]:
    """The levels of each column here, and each row's positions among them, shape (N, c).

    Raises
    ------
    ValueError
        If a column holds other than strings, booleans or finite numbers, or several of these; the message has its name
        of `names`.
    TypeError
        If a value has no hash, as a list has none.
    """
    levels, codes = [], []
    for name, values in zip(names, values_of(X), strict=True):
        where = f"X: column {name!r}"
        try:
            distinct = set(zip(map(type, values), values, strict=True))  # 1 and True are one without their types
        except TypeError as error:  # a list, a dict
            raise TypeError(f"{where}: argument must be a string or a number in each row: {error}") from None
        _kind(where, [_level(value) for _, value in distinct])
        found = {_level(value) for _, value in distinct}
        levels.append([*sort(found - {None}), *([None] if None in found else [])])
        codes.append(positions(values, levels[-1]))
    return levels, np.column_stack(codes)


def positions(values: Sequence[Any], levels: Sequence[Any]) -> Array:
    """Each value's position among the levels, shape (N,); -1 where it has none."""
    place = {level: i for i, level in enumerate(levels)}
    known = {value: place.get(_level(value), -1) for value in set(values)}  # NaN, too, for dicts look at identity first
    return np.fromiter(map(known.__getitem__, values), np.int64, len(values))


def guarded_counts(
    codes: Array, levels: Levels, names: Sequence[Any], client: Array, called: Sequence[str]
) -> list[Array]:
    """How many rows of each client have each level of a column, shape (clients, levels) each.

    Parameters
    ----------
    codes : array, shape (N, c)
        Positions among the `levels`.
    client : array of int, shape (N,)
        Whose a row is, by its place among those `called` so.

    Raises
    ------
    ValueError
        If a level has too few rows of a client for a guard.
    """
    counts = [np.zeros((len(called), len(known)), np.int64) for known in levels]
    for positions_of, found in zip(codes.T, counts, strict=True):
        np.add.at(found, (client, positions_of.astype(np.int64)), 1)
    for i, name in enumerate(called):
        check_counts(name, {str(column): found[i] for column, found in zip(names, counts, strict=True)})
    return counts


def joined_levels(exchange: SummaryExchange, levels: Levels, names: Sequence[Any]) -> Levels:
    """The levels of all clients of an exchange's federation, whose rows hold positions among the `levels`. Collective.

    Raises
    ------
    ValueError
        If a column has strings at one client and numbers at another, or a level too few rows for a guard; the message
        has the column's name of `names`.
    """
    federation = exchange.federation
    client = np.repeat(np.arange(len(federation.sizes)), federation.sizes)

    def mine() -> list[Summary]:
        called = [f"client {number}" for number in federation.clients]
        counts = guarded_counts(federation.rows, levels, names, client, called)
        columns = [(known, found > 0) for known, found in zip(levels, counts, strict=True)]
        return [
            ({}, {"levels": [[known[k] for k in np.flatnonzero(has[i])] for known, has in columns]})
            for i in range(len(federation.sizes))
        ]

    def union(summaries: Sequence[Summary]) -> Summary:
        joined = []
        for name, columns in zip(names, zip(*(values["levels"] for _, values in summaries), strict=True), strict=True):
            found = dict.fromkeys(level for column in columns for level in column)  # 3 and 3.0 are one: the first
            _kind(f"X: column {name!r}, over all clients", found)
            gap = [None] if None in found else []
            joined.append([*sort(level for level in found if level is not None), *gap])
        return {}, {"levels": joined}

    whole: Levels = exchange.exchange("joining the levels", mine, union)[1]["levels"]
    return whole


def _level(value: Any) -> Any:
    """A value as Python has it, None for one that is missing."""
    return None if missing(value) else value.item() if isinstance(value, np.generic) else value


def _kind(where: str, values: Any) -> None:
    """Refuse levels that are not all strings, all booleans, or all finite numbers."""
    kinds = {"number" if type(value) in (int, float) else type(value).__name__ for value in values if value is not None}
    if len(kinds) > 1 or not kinds <= {"number", "str", "bool"}:
        mixed = ", ".join(sorted(kinds))
        raise ValueError(f"{where}: given {mixed}, must hold strings alone, booleans alone or numbers alone")
    infinite = [value for value in values if isinstance(value, float) and np.isinf(value)]
    if infinite:
        raise ValueError(f"{where}: given {infinite[0]}, must be finite")
