"""Blocks: the one ragged container, clients first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from newtonfl.core.backend import Array, namespace, to_device, zeros


def offsets_of(sizes: Array) -> Array:
    """The n + 1 block boundaries of n blocks with the given `sizes`."""
    return np.concatenate(([0], np.cumsum(np.asarray(sizes, dtype=np.int64))))


def ranges(starts: Array, sizes: Array) -> Array:
    """The integers ``starts[i]`` up to ``starts[i] + sizes[i]`` of every i, end to end."""
    return np.repeat(starts - offsets_of(sizes)[:-1], sizes) + np.arange(np.sum(sizes, dtype=np.int64))


def selected(values: Array, offsets: Array, chosen: Array) -> Array:
    """What belongs to some clients, end to end: not copied where these clients follow each other.

    Client i's is ``values[offsets[i]:offsets[i + 1]]``; `chosen` are positions, on the host, perhaps none.
    """
    sizes = np.diff(offsets)[chosen]
    if len(chosen) and (np.diff(chosen) == 1).all():
        return values[int(offsets[chosen[0]]) : int(offsets[chosen[-1] + 1]), ...]
    return namespace(values).take(values, to_device(ranges(offsets[chosen], sizes), values), axis=0)


@dataclass(frozen=True)
class Blocks:
    """One vector per client, of a client's own length, laid end to end.

    What differs in size between clients (rows, support, rank) lives in one flat array, so that
    element-wise work on a whole rank is one call, on the CPU and on the GPU alike.

    Parameters
    ----------
    values : array, shape (total,)
        All vectors end to end, in any array library.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Client i's vector is ``values[offsets[i]:offsets[i + 1]]``. Always on the host.
    """

    values: Array
    offsets: Array

    @classmethod
    def of(cls, vectors: Sequence[Array], like: Array = None) -> Blocks:
        """Lay `vectors` end to end; where there may be none, `like` names the library and device."""
        if not vectors:
            return cls(zeros(0, np.zeros(0) if like is None else like), offsets_of([]))
        xp = namespace(vectors[0])
        return cls(xp.concat(list(vectors)), offsets_of([v.shape[0] for v in vectors]))

    @property
    def sizes(self) -> Array:
        """The clients' lengths, shape (n,), on the host."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> Array:
        return self.values[int(self.offsets[i]) : int(self.offsets[i + 1])]

    def __iter__(self) -> Iterator[Array]:
        return (self[i] for i in range(len(self)))

    def run(self, clients: slice) -> Array:
        """The vectors of clients that follow each other, end to end, as a view."""
        return self.values[int(self.offsets[clients.start]) : int(self.offsets[clients.stop])]

    def replaced(self, values: Array) -> Blocks:
        """Other `values` on the same offsets."""
        return Blocks(values, self.offsets)

    def select(self, chosen: Array) -> Blocks:
        """The vectors of some clients, as a copy: `chosen` are positions, on the host, perhaps none."""
        values = namespace(self.values).asarray(selected(self.values, self.offsets, chosen), copy=True)
        return Blocks(values, offsets_of(self.sizes[chosen]))

    def put(self, chosen: Array, other: Blocks) -> Blocks:
        """A copy in which the clients at positions `chosen` have the vectors of `other`, in that order.

        Raises
        ------
        ValueError
            If a vector's size is not that of the one it replaces.
        """
        if not np.array_equal(self.sizes[chosen], other.sizes):
            raise ValueError(f"given vectors of sizes {other.sizes}, must be {self.sizes[chosen]}")
        values = namespace(self.values).asarray(self.values, copy=True)
        for i, vector in zip(chosen, other, strict=True):
            values[int(self.offsets[i]) : int(self.offsets[i + 1])] = vector
        return self.replaced(values)

    def __add__(self, other: Blocks) -> Blocks:
        return self.replaced(self.values + other.values)

    def __sub__(self, other: Blocks) -> Blocks:
        return self.replaced(self.values - other.values)

    def times(self, numbers: Array) -> Blocks:
        """Each client's vector times its own of the `numbers`, shape (n,), on the host."""
        return self.replaced(self.values * to_device(np.repeat(numbers, self.sizes), self.values))
