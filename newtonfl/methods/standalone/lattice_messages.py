"""What lattice-newton's messages say: integers on grids that both ends know, and how both predict their magnitudes.

Every vector of a client is of its support, the columns that occur in its rows: `support` (n, d) says which, and arrays
(n, d) are zero elsewhere. Predictions are worked out of what has been sent alone, by the same operations in the same
order, so that both ends hold the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from newtonfl.comm.coding import NotFinite, WireError
from newtonfl.comm.heads import Kind
from newtonfl.comm.laws import WrongCode, decode_heads, decode_vectors, encode_heads, encode_vectors, powers, quarters
from newtonfl.comm.messages import Lattice, Message
from newtonfl.comm.packets import measure
from newtonfl.comm.parts import ManyParts, Sizes
from newtonfl.core.backend import Array
from newtonfl.core.random import Key

FINENESS = 0.04
"""The grid of a Hessian's entries off the diagonal, in units of what their row and column have on it; a half of it at
each further level."""

_START = 0.5
_MOST = 900.0  # of log₂
_LEAST = -800.0  # of log₂ h, where a column's curvature is 0
_CLASSES = (0.25, 0.5, 0.75, 0.9)
_BEYOND = 2.0**60  # of an integer: from here on the wire's form has no code for some
_KINDS = 2 + len(_CLASSES)  # of a Hessian's integers: the diagonal, and five classes of pairs
_SIXTEENTHS = 8.0  # of an octave, in a level


def dither(key: Key, clients: Array, dim: int, purpose: str) -> Array:
    """u uniform on [-½, ½) for every coordinate of some clients, shape (n, d): both ends draw it."""
    drawn = [key.of(client).to(purpose).generator().random(dim) for client in clients]
    return np.reshape(drawn, (len(drawn), dim)) - 0.5


def lattices(codes: Sequence[bytes]) -> list[Message]:
    """A message for each code."""
    return [Lattice(code) for code in codes]


def codes_of(messages: Sequence[Message]) -> list[bytes]:
    """The codes of messages; WireError where one is no lattice."""
    found = []
    for message in messages:
        if not isinstance(message, Lattice):
            raise WireError(f"a {type(message).__name__} message where a lattice was to come")
        found.append(message.code)
    return found


@contextmanager
def reading(round: int, part: str, clients: Array) -> Iterator[None]:
    """Say of which round, part and client a code cannot be."""
    try:
        yield
    except WrongCode as error:
        raise WireError(f"round {round}, client {clients[error.position]}, {part}: {error.reason}") from None
    except WireError as error:
        kind = NotFinite if isinstance(error, NotFinite) else WireError
        raise kind(f"round {round}, {part}: {error}") from None


def sizes(dim: int) -> Sizes:
    """Every part is about d coordinates."""
    return lambda part, clients, decoded: dim


def mean_bytes(round: int, clients: Array, columns: Mapping[str, Sequence[Message]]) -> float:
    """Bytes of a client's packet, on the average; 0 where there are no clients."""
    if not len(clients):
        return 0.0
    parts = ManyParts(dict(columns), len(clients))
    return float(np.mean(measure(Kind.REPLY, round, clients, parts)[0]))


def integers_of(values: Array) -> Array:
    """The nearest integers; where one has more than 60 bits, or is none, what says so: :func:`_decoded` refuses it."""
    return np.where(np.abs(values) < _BEYOND, np.rint(values), 2.0 * _BEYOND).astype(np.int64)


def check_codes(integers: Array) -> None:
    """NotFinite where one of the `integers` has no code."""
    if (np.abs(integers) >= _BEYOND).any():
        raise NotFinite("a number is so far beyond its grid that it has no code; give a larger accuracy")


def _decoded(codes: Sequence[bytes], predicted: Array, *more: Any) -> Array:
    """:func:`newtonfl.comm.laws.decode_vectors`; NotFinite where an integer says that it had no code."""
    integers = decode_vectors(codes, predicted, *more)
    check_codes(integers)
    return integers


def encode_table(integers: Array, support: Array, predicted: Array | None = None) -> list[bytes]:
    """The integers (n, d) on their supports, a code a client; `predicted` magnitudes (n, d), or all alike."""
    return encode_vectors(integers[support], _quarters(predicted, support), support.sum(axis=1))


def decode_table(codes: Sequence[bytes], support: Array, predicted: Array | None = None) -> Array:
    """What :func:`encode_table` coded, shape (n, d)."""
    table = np.zeros(support.shape, np.int64)
    table[support] = _decoded(codes, _quarters(predicted, support), support.sum(axis=1))
    return table


def _quarters(predicted: Array | None, support: Array) -> Array:
    return np.zeros(int(support.sum()), np.int64) if predicted is None else quarters(predicted[support])


def _headed(numbers: Array, codes: Sequence[bytes]) -> list[bytes]:
    return [head + code for head, code in zip(encode_heads(numbers), codes, strict=True)]


# -- the start


def encode_starts(points: Array, u: Array, support: Array) -> list[bytes]:
    """Local minimisers (n, d) on the grid ½, dithered."""
    return encode_table(integers_of(points / _START + u), support)


def decode_starts(codes: Sequence[bytes], u: Array, support: Array) -> Array:
    return np.where(support, (decode_table(codes, support) - u) * _START, 0.0)


def start_grid(n_clients: int) -> float:
    """½/√n: a mean of starts is no finer."""
    return _START / math.sqrt(n_clients)


# -- the model


def encode_point(integers: Array) -> bytes:
    """Integers (d,) of which nothing is known."""
    return encode_vectors(integers, np.zeros_like(integers), np.array([len(integers)]))[0]


def decode_point(code: bytes, dim: int) -> Array:
    return _decoded([code], np.zeros(dim, np.int64), np.array([dim]))


def encode_step(integers: Array, last: Array, exponents: Array) -> bytes:
    """The model's integers (d,) after the `last` ones, and both grids' exponents in half octaves."""
    code = encode_vectors(integers, _predicted_step(last), np.array([len(integers)]))
    return _headed(exponents[None, :], code)[0]


def decode_step(code: bytes, last: Array) -> tuple[Array, Array]:
    """The integers (d,) and exponents (2,) of :func:`encode_step`."""
    exponents, rest = decode_heads([code], 2)
    return _decoded(rest, _predicted_step(last), np.array([len(last)])), exponents[0]


def _predicted_step(last: Array) -> Array:
    if not last.any():
        return np.zeros(len(last), np.int64)
    size = np.abs(last).astype(np.float64)
    return quarters(np.maximum(0.3 * np.cumsum(size)[-1] / len(size) + 0.7 * size, 1e-3))


def half_octaves(number: float) -> int:
    """round(2 log₂ x)."""
    return round(2.0 * math.log2(max(number, 1e-300)))


def of_half_octaves(exponents: Array) -> Array:
    """2^(k/2)."""
    return powers(8 * exponents)


def encode_scales(levels: Array) -> bytes:
    """Scales in half octaves (d,)."""
    middle = int(np.median(levels))
    return _headed(np.array([[middle]]), [encode_point(levels - middle)])[0]


def decode_scales(code: bytes, dim: int) -> Array:
    """The scales σ (d,), 2 to the half of what :func:`encode_scales` was given."""
    middle, rest = decode_heads([code], 1)
    return powers(8 * (decode_point(rest[0], dim) + middle[0, 0]))


# -- gradients


def encode_first_changes(changes: Array, support: Array) -> tuple[list[bytes], Array]:
    """Changes (n, d) of gradients, each client's on a grid of about a quarter of their size; and how they arrive."""
    sizes = np.sqrt(np.mean(changes**2, axis=1))
    exponents = np.where(sizes > 0, np.frexp(sizes)[1] - 3, 0).astype(np.int64)[:, None]
    grid = np.ldexp(1.0, exponents)
    integers = integers_of(changes / grid)
    return _headed(exponents, encode_table(integers, support)), integers * grid


def decode_first_changes(codes: Sequence[bytes], support: Array) -> Array:
    exponents, rest = decode_heads(codes, 1)
    return decode_table(rest, support) * np.ldexp(1.0, _within(exponents, _MOST, "gradient"))


def predicted_changes(last: Array, levels: Array, grid: Array, scales: Array, support: Array) -> Array:
    """How large gradients' integers (n, d) may be on a grid (d,): as the last, and as √h_jj/σ_j, by which they move."""
    before = np.abs(last) / grid
    curved = np.where(support, powers(np.rint(4.0 * levels)) / scales, 0.0)
    ratio = _means(before, support) / np.maximum(_means(curved, support), 1e-300)
    return np.maximum(0.4 * before + 0.6 * curved * ratio[:, None], 1e-4)


def _means(table: Array, support: Array) -> Array:
    """Each client's mean over its support, summed from left to right."""
    if not table.shape[1]:
        return np.zeros(len(table))
    totals: Array = np.cumsum(np.where(support, table, 0.0), axis=1)[:, -1]
    return totals / np.maximum(support.sum(axis=1), 1)


# -- diagonals of Hessians


def encode_diagonals(diagonals: Array, u: Array, support: Array) -> tuple[list[bytes], Array]:
    """Diagonals (n, d) in dithered half octaves; and their levels as they arrive, 2 log₂ h."""
    integers = integers_of(_levels(diagonals) + u)
    middle = [int(np.median(row[on])) if on.any() else 0 for row, on in zip(integers, support, strict=True)]
    heads = np.array(middle)[:, None]
    return _headed(heads, encode_table(integers - heads, support)), np.where(support, integers - u, 0.0)


def decode_diagonals(codes: Sequence[bytes], u: Array, support: Array) -> Array:
    """The levels (n, d)."""
    middle, rest = decode_heads(codes, 1)
    levels = np.where(support, decode_table(rest, support) + middle - u, 0.0)
    return _within(levels, 2 * _MOST, "diagonal")


def of_levels(levels: Array, support: Array) -> Array:
    """The diagonals (n, d) whose levels these are."""
    return np.where(support, np.exp2(levels / 2.0), 0.0)


def _within(numbers: Array, most: float, what: str) -> Array:
    """The `numbers`, which are logarithms; WireError where one stands for what no number here can be."""
    if (np.abs(numbers) > most).any():
        raise NotFinite(f"a {what} of 2 to the {np.abs(numbers).max():g} is beyond what a double can hold")
    return numbers


def _levels(diagonals: Array) -> Array:
    with np.errstate(divide="ignore"):
        return 2.0 * np.maximum(np.log2(np.maximum(diagonals, 0.0)), _LEAST)


# -- whole Hessians


def encode_hessians(
    hessians: Iterable[Array], levels: Array, support: Array, ridge: Array, level: int = 0
) -> list[bytes]:
    """Clients' Hessians (d, d) on their supports: diagonals in 1/16 octaves, the others by :data:`FINENESS`.

    Parameters
    ----------
    hessians : iterable of numpy.ndarray, shape (d, d)
        One a client.
    levels : numpy.ndarray, shape (m, d)
        Of their diagonals, as they have arrived before.
    support : numpy.ndarray of bool, shape (m, d)
    ridge : numpy.ndarray, shape (d,)
    level : int
        How often the grid off the diagonal has been halved.
    """
    integers, kinds = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for hessian, known, on in zip(hessians, levels, support, strict=True):
        h, near = hessian[np.ix_(on, on)], known[on]
        row, column, kind = _pairs(near)
        own = np.rint(_SIXTEENTHS * _levels(np.diag(h))).astype(np.int64)
        unit = _units(own, ridge[on])
        off = integers_of(h[row, column] / (math.ldexp(FINENESS, -level) * unit[row] * unit[column]))
        integers.append(np.concatenate([own - _sixteenths(near), off]))
        kinds.append(kind)
    whole = np.concatenate(integers)
    return encode_vectors(whole, 0 * whole, _integers_per_client(support), np.concatenate(kinds), _KINDS)


def decode_hessians(
    codes: Sequence[bytes], levels: Array, support: Array, ridge: Array, level: int = 0
) -> Iterator[Array]:
    """The Hessians (d, d) that :func:`encode_hessians` coded, zero off the supports."""
    pairs = [_pairs(known[on]) for known, on in zip(levels, support, strict=True)]
    counts = _integers_per_client(support)
    kinds = np.concatenate([np.zeros(0, np.int64), *(kind for _, _, kind in pairs)])
    whole = _decoded(codes, 0 * kinds, counts, kinds, _KINDS)
    ends = np.cumsum(counts)
    for (row, column, _), known, on, first, end in zip(pairs, levels, support, ends - counts, ends, strict=True):
        integers, k, where = whole[first:end], int(on.sum()), np.flatnonzero(on)
        own = _within(integers[:k] + _sixteenths(known[on]), 2 * _SIXTEENTHS * _MOST, "Hessian's diagonal")
        unit, hessian = _units(own, ridge[on]), np.zeros((len(on), len(on)))
        grid = math.ldexp(FINENESS, -level) * unit[row] * unit[column]
        hessian[where[row], where[column]] = integers[k:] * grid
        hessian += hessian.T
        hessian[where, where] = np.exp2(own / (2.0 * _SIXTEENTHS))
        yield hessian


def _integers_per_client(support: Array) -> Array:
    """How many integers each client's Hessian has."""
    k = support.sum(axis=1)
    return k * (k + 1) // 2


def _pairs(levels: Array) -> tuple[Array, Array, Array]:
    """The pairs of a support's columns; and the kinds of what is sent: the diagonal, then pairs by h_jj h_kk's size."""
    row, column = np.triu_indices(len(levels), 1)
    size = levels[row] + levels[column]
    cuts = np.sort(size)[[int(share * len(size)) for share in _CLASSES]] if len(size) else np.zeros(0)
    kinds = np.concatenate([np.zeros(len(levels), np.int64), 1 + np.searchsorted(cuts, size, side="right")])
    return row, column, kinds


def _sixteenths(levels: Array) -> Array:
    """What levels are in 1/16 octaves of h, about."""
    return np.rint(_SIXTEENTHS * levels).astype(np.int64)


def _units(sixteenths: Array, ridge: Array) -> Array:
    """a_j = √(h_jj + λ_j)."""
    return np.sqrt(np.exp2(sixteenths / (2.0 * _SIXTEENTHS)) + ridge)
