"""The upper triangle of a symmetric matrix as a vector: row by row, the diagonal included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from newtonfl.core.backend import Array, Unavailable
from newtonfl.core.memory import available

_SQUARES = 7
"""How many matrices of d² numbers a server's step takes at its peak, the index tables included: measured."""


class TooLarge(Unavailable, MemoryError):
    """Matrices of a dimension do not fit in this machine's memory."""


@dataclass(frozen=True)
class Triangle:
    """Index tables of the upper triangle of a (d, d) matrix, each made at its first use. All on the host.

    Parameters
    ----------
    dim : int
        d.

    Raises
    ------
    MemoryError
        When a table is asked for that does not fit; a method that only asks for the size goes on.
    """

    dim: int

    @property
    def size(self) -> int:
        """d(d + 1)/2."""
        return self.dim * (self.dim + 1) // 2

    @cached_property
    def upper(self) -> Array:
        """Where a packed entry stands in the flattened matrix, shape (size,)."""
        with self._fitting():
            row, column = np.triu_indices(self.dim)
            return row * self.dim + column

    @cached_property
    def square(self) -> Array:
        """Where a flattened matrix's entry stands in the packed vector, shape (d * d,)."""
        with self._fitting():
            row, column = np.divmod(np.arange(self.dim * self.dim), self.dim)
            return position(np.minimum(row, column), np.maximum(row, column), self.dim)

    @cached_property
    def diagonal(self) -> Array:
        """The packed positions of the diagonal, shape (d,)."""
        index = np.arange(self.dim)
        return position(index, index, self.dim)

    @cached_property
    def isometry(self) -> Array:
        """1 on the diagonal, √2 off it, shape (size,).

        With these factors the 2-norm of the vector is the matrix's Frobenius norm.
        """
        with self._fitting():
            factors = np.full(self.size, np.sqrt(2.0))
            factors[self.diagonal] = 1.0
            return factors

    def check_memory(self, clients: int = 0, copies: int = 0) -> None:
        """Refuse a Newton step that cannot fit, before anything is computed for it.

        Parameters
        ----------
        clients : int
            So many clients in this process keep packed entries of their own.
        copies : int
            How often each of them does.

        Raises
        ------
        TooLarge
            Where the packed entries, the matrix and its factor do not fit beside those of the clients.
        """
        free = available()
        if free is not None and self._least_bytes(clients * copies) > free:
            raise self._too_large(clients, copies, f", and {_gib(free)} are free")
        with self._fitting():
            np.empty(self._least_bytes(0), np.uint8)  # asks and gives back: memory that nobody writes takes none

    def _least_bytes(self, triangles: int) -> int:
        return 8 * ((1 + triangles) * self.size + _SQUARES * self.dim**2)

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        try:
            yield
        except MemoryError as error:
            raise self._too_large() from error

    def _too_large(self, clients: int = 0, copies: int = 0, known: str = "") -> TooLarge:
        those = f" and those of {clients} clients" if clients else ""
        size = _gib(self._least_bytes(clients * copies))
        return TooLarge(
            f"a Hessian of dimension d = {self.dim} has {self.size:,} entries, too many for this machine's memory: "
            f"with its factor{those} it takes {size} at least{known}; take newton-cg or l-bfgs, which "
            "send vectors alone, or fewer columns"
        )


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"


def position(row: Array, column: Array, dim: int) -> Array:
    """The packed position of entry (`row`, `column`), row ≤ column."""
    return row * dim - row * (row - 1) // 2 + column - row


@lru_cache(maxsize=64)  # clients' ranks differ, and each has its own
def triangle(dim: int) -> Triangle:
    """The tables for dimension `dim`."""
    return Triangle(dim)
