"""The pairs of features that meet in a row, and where each stands among those of its client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of, ranges, selected
from newtonfl.core.symmetric import position, triangle
from newtonfl.kernels import compiled
from newtonfl.kernels.blocks import blocks

_CLIENTS = 1 << 17  # pairs of the clients that are numbered together
_CHUNK = 1 << 13  # pairs that are worked on at a time
_SEATS = 1 << 22  # pairs of a client's columns that numba's form keeps account of
_TABLE = 4  # places of a table for each pair, at most


@dataclass(frozen=True, eq=False)
class Pairs:
    """What the rows of n clients make of (p, q), entries p ≤ q of one row.

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
    places : numpy.ndarray of uint16 or uint32, shape (pairs,)
        Of every pair its position's number among its client's.
    products : numpy.ndarray, shape (pairs,)
        Of its two numbers; none where `factors` hold them.
    factors : numpy.ndarray, shape (N,), or None
        Each row's product, where no row has two numbers that differ.
    """

    positions: Array
    offsets: Array
    rows: Array
    row_offsets: Array
    places: Array
    products: Array
    factors: Array | None = None

    @property
    def numbers(self) -> Array:
        """Of every pair its position's number among all clients', of the kind of `rows`."""
        return self._numbered(np.arange(len(self.offsets) - 1), self.offsets)

    def matrix(self, chosen: Array) -> scipy.sparse.csc_array:
        """The map from a weight for each row of some clients to each of their places' sum of weighted products.

        Parameters
        ----------
        chosen : numpy.ndarray of int64
            The clients, by position.

        Returns
        -------
        scipy.sparse.csc_array
        """
        edges = self.row_offsets
        ends = offsets_of(np.diff(self.offsets)[chosen])
        line = ranges(edges[chosen], np.diff(edges)[chosen])
        many = np.diff(self.rows)[line]
        if self.factors is None:
            products = selected(self.products, self.rows[edges], chosen)
        else:
            products = np.repeat(self.factors[line], many)
        arrays = (products, self._numbered(chosen, ends), offsets_of(many).astype(self.rows.dtype))
        return scipy.sparse.csc_array(arrays, shape=(int(ends[-1]), len(line)))

    def _numbered(self, chosen: Array, ends: Array) -> Array:
        of_client = self.rows[self.row_offsets]
        numbers: Array = np.repeat(ends[:-1].astype(self.rows.dtype), np.diff(of_client)[chosen])
        numbers += selected(self.places, of_client, chosen)
        return numbers


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
    rows = _Rows(indptr.astype(np.int64), columns, data, np.ascontiguousarray(offsets, np.int64), dim, diagonal)
    total, factors = int(rows.ends[-1]), rows.factors()
    places = np.empty(total, np.uint16 if rows.most.max(initial=0) <= 2**16 else np.uint32)
    products = np.empty(0 if factors is not None else total)
    fits = rows.seats <= _SEATS and dim <= _TABLE * (total + 2**14)
    form = _by_list if compiled.loaded() and fits else _by_block
    positions, edges = form(rows, places, products)
    ends = rows.ends.astype(np.int64 if total + rows.n * dim >= 2**31 else np.int32)
    return Pairs(positions, edges, ends, rows.offsets, places, products, factors)


@dataclass(frozen=True, eq=False)
class _Rows:
    """What :func:`pairs` is given, and how much it makes."""

    indptr: Array
    columns: Array
    data: Array
    offsets: Array
    dim: int
    diagonal: bool

    @property
    def n(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def ends(self) -> Array:
        """Where each row's pairs begin."""
        many = np.diff(self.indptr)
        return offsets_of(many * (many + 1) // 2)

    @cached_property
    def of_client(self) -> Array:
        """Where each client's pairs begin."""
        return self.ends[self.offsets]

    @cached_property
    def seats(self) -> int:
        """The most pairs that a client's columns could make."""
        entries = np.diff(self.indptr[self.offsets])
        most = self.dim if self.diagonal else min(self.dim, int(entries.max(initial=0)))
        return most * (most + 1) // 2

    def factors(self) -> Array | None:
        """Each row's only product, and 0 where it has none; None where some row has numbers that differ."""
        filled, first = np.diff(self.indptr) > 0, self.indptr[:-1]
        differ = self.data[1:] != self.data[:-1]
        differ[first[filled][1:] - 1] = False  # a number and the one of the row before
        if differ.any():
            return None
        factors = np.zeros(len(filled))
        factors[filled] = self.data[first[filled]] ** 2
        return factors

    @cached_property
    def most(self) -> Array:
        """The most positions that each client could have."""
        return np.minimum(np.diff(self.of_client) + (self.dim if self.diagonal else 0), self.seats)


def _by_list(rows: _Rows, places: Array, products: Array) -> tuple[Array, Array]:
    """Fill the places and products; returns the positions, and where each client's begin.

    numba's form: a client after the other, by a triangle over the columns that it has.
    """
    forms = compiled.forms()
    assert forms is not None
    positions, edges = np.empty(int(rows.most.sum()), np.int64), np.zeros(rows.n + 1, np.int64)
    own, shape = (
        (rows.indptr, rows.columns.astype(np.int32, copy=False), rows.offsets),
        (rows.dim, rows.diagonal, rows.seats),
    )
    forms.number_pairs(*own, *shape, places, positions, edges)
    if len(products):
        forms.multiply_pairs(rows.indptr, np.ascontiguousarray(rows.data), products)
    return positions[: edges[-1]].copy(), edges


def _by_block(rows: _Rows, places: Array, products: Array) -> tuple[Array, Array]:
    """The same by whole arrays, some clients at a time."""
    size = triangle(rows.dim).size
    whole = triangle(rows.dim).diagonal if rows.diagonal else np.zeros(0, np.int64)
    positions, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for a, b in blocks(rows.of_client, _CLIENTS):
        first, own, keys = size * np.arange(b - a + 1), np.diff(rows.of_client[a : b + 1]), _Keys(rows, a, b)
        here = slice(int(rows.of_client[a]), int(rows.of_client[b]))
        by = _by_table if first[-1] <= _TABLE * (here.stop - here.start + 2**14) else _by_sorting
        support = by(keys, places[here], products[here], first, own, whole)
        counts.append(np.diff(np.searchsorted(support, first)))
        positions.append(support - np.repeat(first[:-1], counts[-1]))
    return np.concatenate(positions), offsets_of(np.concatenate(counts))


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
    edges = found.row_offsets
    if found.factors is not None:
        weights = selected(found.factors, edges, chosen) * weights
    sums = np.empty(int(np.diff(found.offsets)[chosen].sum()))
    weights, chosen = np.ascontiguousarray(weights), np.ascontiguousarray(chosen)
    forms.pair_sums(found.places, found.rows, found.products, weights, chosen, edges, found.offsets, sums)
    return sums


class _Keys:
    """The pairs of some clients' rows, as packed positions in their triangles laid end to end."""

    def __init__(self, rows: _Rows, first: int, stop: int) -> None:
        edges = rows.offsets[first : stop + 1]
        indptr = rows.indptr[edges[0] : edges[-1] + 1]
        many, entries = np.diff(indptr), slice(int(indptr[0]), int(indptr[-1]))
        self.columns, self.data = rows.columns[entries].astype(np.int64), rows.data[entries]
        # Entry p of a row meets entries p, p + 1, … up to that row's end.
        self.reach = np.repeat(indptr[1:], many) - np.arange(entries.start, entries.stop)
        self.ends = offsets_of(self.reach)
        client_of_row = np.repeat(np.arange(stop - first), np.diff(edges))
        line = np.repeat(client_of_row * triangle(rows.dim).size, many)
        self.line = line + position(self.columns, self.columns, rows.dim) - self.columns

    def chunks(self, products: Array) -> Iterator[tuple[slice, Array]]:
        """Where some pairs stand, and their keys; on the way `products` is filled, where there are any."""
        for a, b in blocks(self.ends, _CHUNK):
            reach, here = self.reach[a:b], slice(int(self.ends[a]), int(self.ends[b]))
            second = ranges(np.arange(a, b), reach)
            if len(products):
                products[here] = np.repeat(self.data[a:b], reach) * self.data[second]
            yield here, np.repeat(self.line[a:b], reach) + self.columns[second]


def _by_table(keys: _Keys, places: Array, products: Array, first: Array, own: Array, diagonal: Array) -> Array:
    """Number some clients' pairs by a table of their triangles; returns the keys that there are, increasing.

    Their triangles begin at `first`, and they have `own` pairs.
    """
    met = np.zeros((len(own), int(first[1])), bool)
    flat = met.reshape(-1)
    found = places if len(flat) <= np.iinfo(places.dtype).max else np.empty(len(places), np.min_scalar_type(len(flat)))
    for here, key in keys.chunks(products):
        found[here] = key
        flat[key] = True
    met[:, diagonal] = True
    support = np.flatnonzero(flat)
    number = np.empty(len(flat), places.dtype)
    counts = np.diff(np.searchsorted(support, first))
    number[support] = ranges(np.zeros_like(counts), counts)
    for a in range(0, len(places), _CHUNK):
        places[a : a + _CHUNK] = number[found[a : a + _CHUNK]]
    return support


def _by_sorting(keys: _Keys, places: Array, products: Array, first: Array, own: Array, diagonal: Array) -> Array:
    """The same for few pairs in large triangles."""
    every = [*(key for _, key in keys.chunks(products)), (first[:-1, None] + diagonal).reshape(-1)]
    support, number = np.unique(np.concatenate(every), return_inverse=True)
    places[:] = number[: len(places)] - np.repeat(np.searchsorted(support, first[:-1]), own)
    return support
