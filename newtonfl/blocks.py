"""Blocks: the one ragged container, clients first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from newtonfl.backend import Array, namespace


def offsets_of(sizes: Array) -> Array:
    """The n + 1 block boundaries of n blocks with the given `sizes`."""
    return np.concatenate(([0], np.cumsum(np.asarray(sizes, dtype=np.int64))))


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
    def of(cls, vectors: Sequence[Array]) -> Blocks:
        """Lay `vectors` (at least one) end to end."""
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

    def replaced(self, values: Array) -> Blocks:
        """Other `values` on the same offsets."""
        return Blocks(values, self.offsets)

    def __sub__(self, other: Blocks) -> Blocks:
        return self.replaced(self.values - other.values)

    def sums(self) -> Array:
        """Each client's sum, shape (n,).

        One reduction a client, never one over the rank: a client's bits must not depend on its neighbours.
        """
        xp = namespace(self.values)
        return xp.stack([xp.sum(block) for block in self])

    def norms(self) -> Array:
        """Each client's 2-norm, shape (n,)."""
        return namespace(self.values).sqrt(self.replaced(self.values * self.values).sums())
