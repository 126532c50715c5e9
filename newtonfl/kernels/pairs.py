"""The pairs of features that meet in a row, and where each stands among those of its client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of, ranges
from newtonfl.core.symmetric import position, triangle
from newtonfl.kernels import compiled
from newtonfl.kernels.blocks import blocks

_CLIENTS, _CHUNK = (
    1 << 17,
    1 << 13,
)  # pairs, of the clients that are numbered together, and of what is worked on at a time
_SEATS = 1 << 22  # pairs of a client's columns that numba's form keeps account of
_TABLE = 4  # places of a table for each pair, at most


@dataclass(eq=False)
class Pairs:
    """What the rows of n clients make of (p, q), entries p ≤ q of one row.

    Where each pair of each row stands, and the product of its two numbers, is held as the form of the kernels wants it
    that asked first; the other is made of it.

    Attributes
    ----------
    positions : numpy.ndarray of int64, shape (places,)
        Where in its packed upper triangle each client has a pair of columns that meets in a row, increasing, the
        clients' end to end.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Where each client's begin.
    rows : numpy.ndarray of int32 or int64, shape (N + 1,)
        Where each row's pairs begin: row by row; in a row by p, then by q.
    row_offsets : numpy.ndarray of int64, shape (n + 1,)
        Where each client's rows begin.
    """

    positions: Array
    offsets: Array
    rows: Array
    row_offsets: Array
    _numbered: tuple[Array, Array] | None = None
    _listed: tuple[Array, Array, Array | None] | None = None

    @property
    def numbered(self) -> tuple[Array, Array]:
        """Of every pair the number of its position, counted over all clients, as `rows` are; and its product."""
        if self._numbered is None:
            assert self._listed is not None
            own, products, factors = self._listed
            before = np.repeat(self.offsets[:-1], np.diff(self.rows[self.row_offsets]))
            places = (own + before).astype(self.rows.dtype)
            self._numbered = places, products if factors is None else np.repeat(factors, np.diff(self.rows))
        return self._numbered

    @property
    def listed(self) -> tuple[Array, Array, Array | None]:
        """What numba's form of the product reads: places within a client's own support, and the products.

        Where no row has two products that differ, as where its entries are all equal, a factor for each row is enough.
        """
        if self._listed is None:
            forms = compiled.forms()
            assert forms is not None
            places, products = self.numbered
            short = np.diff(self.offsets).max(initial=0) <= 2**16
            own, factors = np.empty(len(places), np.uint16 if short else np.uint32), np.empty(len(self.rows) - 1)
            edges = self.offsets, self.row_offsets
            alike = forms.list_places(places, self.rows, products, *edges, own, factors)
            self._listed = (own, np.zeros(0), factors) if alike else (own, products, None)
        return self._listed

    @cached_property
    def matrix(self) -> scipy.sparse.csc_array:
        """The map from a weight for each row to each place's sum of weighted products, on these very arrays."""
        places, products = self.numbered
        shape = (len(self.positions), len(self.rows) - 1)
        return scipy.sparse.csc_array((products, places, self.rows), shape=shape)


def pairs(indptr: Array, columns: Array, data: Array, offsets: Array, dim: int, diagonal: bool) -> Pairs:
    """Find the pairs of many clients, whose memory is in proportion to the pairs, whatever `dim` is.

    Parameters
    ----------
    indptr, columns, data : numpy.ndarray
        CSR rows of all clients, the columns of a row increasing, below `dim`.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Where each client's rows begin.
    dim : int
    diagonal : bool
        Whether (p, p) is among a client's positions for every column p, met or not.

    Returns
    -------
    Pairs
    """
    indptr = indptr.astype(np.int64)
    many = np.diff(indptr)
    rows = offsets_of(many * (many + 1) // 2)
    most = dim if diagonal else min(dim, int(np.diff(indptr[offsets]).max(initial=0)))
    few = most * (most + 1) // 2 <= _SEATS and dim <= _TABLE * (int(rows[-1]) + 2**14)
    if compiled.loaded() and few:
        return _by_list(indptr, columns, data, offsets, dim, diagonal, rows, most * (most + 1) // 2)
    n, size = len(offsets) - 1, triangle(dim).size
    total, of_client = int(rows[-1]), rows[offsets]
    whole = triangle(dim).diagonal if diagonal else np.zeros(0, np.int64)
    places = np.empty(total, np.int64 if total + n * dim >= 2**31 else np.int32)
    products = np.empty(total)
    positions, counts, found = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for a, b in blocks(of_client, _CLIENTS):
        first, row = size * np.arange(b - a + 1), offsets[a : b + 1]
        client_of_row = np.repeat(np.arange(b - a), np.diff(row))
        keys = _Keys(indptr[row[0] : row[-1] + 1], columns, data, dim, client_of_row)
        here = slice(int(of_client[a]), int(of_client[b]))
        if first[-1] <= _TABLE * (here.stop - here.start + 2**14):
            met = np.zeros((b - a, size), bool)
            support = _by_table(keys, places[here], products[here], met, whole, found)
        else:
            diagonals = (first[:-1, None] + whole).reshape(-1)
            support = _by_sorting(keys, places[here], products[here], diagonals, found)
        counts.append(np.diff(np.searchsorted(support, first)))
        positions.append(support - np.repeat(first[:-1], counts[-1]))
        found += len(support)
    ends = offsets_of(np.concatenate(counts))
    return Pairs(np.concatenate(positions), ends, rows.astype(places.dtype), offsets, (places, products))


def _by_list(
    indptr: Array, columns: Array, data: Array, offsets: Array, dim: int, diagonal: bool, rows: Array, seats: int
) -> Pairs:
    """numba's form: a client after the other, by a triangle of `seats` at most over the columns that it has."""
    forms = compiled.forms()
    assert forms is not None
    n, total = len(offsets) - 1, int(rows[-1])
    own = np.empty(total, np.uint16 if seats <= 2**16 else np.uint32)
    room = int(np.minimum(np.diff(rows[offsets]) + (dim if diagonal else 0), seats).sum())
    positions, ends, factors = np.empty(room, np.int64), np.zeros(n + 1, np.int64), np.empty(len(rows) - 1)
    entries = columns.astype(np.int64), np.ascontiguousarray(data)
    edges = np.ascontiguousarray(offsets, np.int64)
    alike = forms.number_pairs(indptr, *entries, edges, dim, diagonal, seats, own, positions, ends, factors)
    products = np.zeros(0)
    if not alike:
        products = np.empty(total)
        forms.multiply_pairs(indptr, entries[1], products)
    listed = own, products, factors if alike else None
    kind = np.int64 if total + n * dim >= 2**31 else np.int32
    return Pairs(positions[: ends[-1]].copy(), ends, rows.astype(kind), offsets, None, listed)


def pair_sums(found: Pairs, weights: Array, chosen: Array) -> Array:
    """Σ_j w_j a_j a_jᵀ of some clients on their supports, without a copy of what belongs to them: numba's form.

    The form for NumPy is a product with :attr:`Pairs.matrix`, or with its columns of these clients; to the same bits.

    Parameters
    ----------
    found : Pairs
        Those of all clients.
    weights : numpy.ndarray, shape (the chosen clients' rows,)
    chosen : numpy.ndarray of int64
        The clients, by position.

    Returns
    -------
    numpy.ndarray, shape (the chosen clients' positions,)
    """
    forms = compiled.forms()
    assert forms is not None
    own, products, factors = found.listed
    if factors is not None:
        edges = found.row_offsets
        rows = factors if len(chosen) == len(edges) - 1 else factors[ranges(edges[chosen], np.diff(edges)[chosen])]
        weights = rows * weights
    sums = np.empty(int(np.diff(found.offsets)[chosen].sum()))
    weights, chosen = np.ascontiguousarray(weights), np.ascontiguousarray(chosen)
    forms.pair_sums(own, found.rows, products, weights, chosen, found.row_offsets, found.offsets, sums)
    return sums


class _Keys:
    """The pairs of some clients' rows, as packed positions in their triangles laid end to end."""

    def __init__(self, indptr: Array, columns: Array, data: Array, dim: int, client_of_row: Array) -> None:
        many, entries = np.diff(indptr), slice(int(indptr[0]), int(indptr[-1]))
        self.columns, self.data = columns[entries].astype(np.int64), data[entries]
        # Entry p of a row meets entries p, p + 1, … up to that row's end.
        self.reach = np.repeat(indptr[1:], many) - np.arange(entries.start, entries.stop)
        self.ends = offsets_of(self.reach)
        line = np.repeat(client_of_row * triangle(dim).size, many)
        self.line = line + position(self.columns, self.columns, dim) - self.columns

    def chunks(self, products: Array) -> Iterator[tuple[slice, Array]]:
        """Where some pairs stand, and their keys; on the way `products` is filled."""
        for a, b in blocks(self.ends, _CHUNK):
            reach, here = self.reach[a:b], slice(int(self.ends[a]), int(self.ends[b]))
            second = ranges(np.arange(a, b), reach)
            products[here] = np.repeat(self.data[a:b], reach) * self.data[second]
            yield here, np.repeat(self.line[a:b], reach) + self.columns[second]


def _by_table(keys: _Keys, places: Array, products: Array, met: Array, diagonal: Array, found: int) -> Array:
    """Number the pairs from `found` on by a table `met` (clients, triangle); returns their keys, increasing."""
    flat = met.reshape(-1)
    for here, key in keys.chunks(products):
        places[here] = key
        flat[key] = True
    met[:, diagonal] = True
    support = np.flatnonzero(flat)
    number = np.empty(len(flat), places.dtype)
    number[support] = np.arange(found, found + len(support))
    for a in range(0, len(places), _CHUNK):
        places[a : a + _CHUNK] = number[places[a : a + _CHUNK]]
    return support


def _by_sorting(keys: _Keys, places: Array, products: Array, diagonals: Array, found: int) -> Array:
    """The same for few pairs in large triangles."""
    every = np.concatenate([*(key for _, key in keys.chunks(products)), diagonals])
    support, number = np.unique(every, return_inverse=True)
    places[:] = number[: len(places)] + found
    return support
