"""Which rows belong to which client.

contiguous    equal blocks of the first count·⌊N/count⌋ rows, as in the papers; the rest is left out
blocks        near-equal blocks of all rows, in order
shuffled      near-equal blocks of all rows, in an order drawn from the seed
by-label      near-equal blocks of all rows sorted by label: clients that have seen few classes
dirichlet:β   each class shared out by proportions drawn from Dirichlet(β): the smaller β, the less alike the clients
column:NAME   one client for each value of a column
files         one file a client (there is nothing to split)
"""

from __future__ import annotations

import math

import numpy as np

from newtonfl.core.backend import Array

HOWS = ("contiguous", "blocks", "shuffled", "by-label", "dirichlet:BETA", "column:NAME", "files")
_TRIES = 100


def parse(how: str) -> tuple[str, str]:
    """Split a ``kind`` or ``kind:argument`` as written under ``split``; the argument is empty where there is none.

    Raises
    ------
    ValueError
        If it is none of the allowed ones.
    """
    kind, _, argument = how.partition(":")
    allowed = f"split: given {how!r}, allowed are {', '.join(HOWS)}"
    if kind == "dirichlet":
        try:
            beta = float(argument)
        except ValueError:
            beta = math.nan
        if not 0 < beta < math.inf:
            raise ValueError(f"{allowed}; BETA must be a number greater than 0")
    elif kind == "column":
        if not argument:
            raise ValueError(f"{allowed}; NAME is missing")
    elif how not in HOWS:
        raise ValueError(allowed)
    return kind, argument


def split(how: str, labels: Array, count: int | None, seed: int, groups: Array | None = None) -> list[Array]:
    """Share out N rows over clients.

    Parameters
    ----------
    how : str
        One of the splits above, but for ``files``.
    labels : (N,) array
    count : int or None
        Number of clients; may be None for ``column:NAME``, which has as many as there are values.
    seed : int
        Not negative; all that the draws of ``shuffled`` and ``dirichlet`` depend on.
    groups : (N,) array, optional
        The column's values, for ``column:NAME``.

    Returns
    -------
    list of `count` int64 arrays
        Row numbers. No row is in two of them and none is empty; only ``contiguous`` leaves rows out.

    Raises
    ------
    ValueError
        If there are more clients than rows, or `count`, `seed` or `groups` do not fit.
    """
    kind, argument = parse(how)
    if seed < 0:
        raise ValueError(f"seed: given {seed}, must be at least 0")
    if kind == "files":
        raise ValueError("split: files are clients already; one table cannot be split by 'files'")
    if kind == "column":
        return _by_group(argument, groups, count)
    total = len(labels)
    if count is None or count < 1:
        raise ValueError(f"count: given {count}, must be at least 1 with split = {how!r}")
    if count > total:
        raise ValueError(f"count: given {count} clients, but there are only {total} rows; each client needs one")
    rng = np.random.Generator(np.random.Philox(seed))
    if kind == "dirichlet":
        return _dirichlet(float(argument), labels, count, rng)
    rows = np.arange(total, dtype=np.int64)
    if kind == "contiguous":
        rows = rows[: total - total % count]
    elif kind == "shuffled":
        rows = rng.permutation(rows)
    elif kind == "by-label":
        rows = np.argsort(labels, kind="stable").astype(np.int64)
    return list(np.array_split(rows, count))


def _by_group(name: str, groups: Array | None, count: int | None) -> list[Array]:
    if groups is None:
        raise ValueError(f"split: 'column:{name}' needs a source with that column")
    order = np.argsort(groups, kind="stable").astype(np.int64)
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    if count is not None and count != len(parts):
        raise ValueError(f"count: given {count}, but column {name!r} has {len(parts)} values, and each is a client")
    return parts


def _dirichlet(beta: float, labels: Array, count: int, rng: np.random.Generator) -> list[Array]:
    """No client is left empty: the draw is repeated up to 100 times, and then rows move from the largest clients."""
    _, classes = np.unique(labels, return_inverse=True)
    sizes = np.bincount(classes)
    for _ in range(_TRIES):
        owner = np.empty(len(labels), dtype=np.int64)
        for label, size in enumerate(sizes):
            ends = np.rint(np.cumsum(rng.dirichlet(np.full(count, beta))) * size).astype(np.int64)
            ends[-1] = size
            # The class's rows in a drawn order: the first ends[0] go to client 0, those up to ends[1] to client 1, …
            shuffled = rng.permutation(np.flatnonzero(classes == label))
            owner[shuffled] = np.repeat(np.arange(count), np.diff(ends, prepend=0))
        counts = np.bincount(owner, minlength=count)
        if counts.all():
            break
    for poor in np.flatnonzero(counts == 0):
        rich = int(counts.argmax())
        owner[np.flatnonzero(owner == rich)[-1]] = poor
        counts[rich] -= 1
        counts[poor] += 1
    order = np.argsort(owner, kind="stable").astype(np.int64)
    return np.split(order, np.cumsum(counts)[:-1])
