"""Laplace's laws of integers on a grid, the same on any machine; and whole vectors coded under predicted magnitudes.

An integer whose predicted mean magnitude is b has the mass of Laplace's law on [q - ½, q + ½]; two parts in a hundred
belong to a law with heavy tails, so that a prediction that is wrong costs little. Frequencies are whole numbers made by
decimal arithmetic, and laws are chosen by comparisons alone: both ends agree wherever they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from functools import cache
from itertools import pairwise

import numpy as np

from newtonfl.comm.coding import WireError
from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of
from newtonfl.kernels import Laws, range_decode, range_encode, varints

_FIRST, _LAST = -16, 64
"""Laws are of b = 2^(j/4), j from the first to the last."""

_REACH = 32
_HEAVY = Decimal("0.02")
_QUARTERS = np.array([2.0**-0.875, 2.0**-0.625, 2.0**-0.375, 2.0**-0.125])
_FACTORS = 128
"""A vector's factor is 2^(k/2), and k + 128 its byte."""


class WrongCode(WireError):
    """Bytes that nobody can have coded.

    Parameters
    ----------
    position : int
        Of the payload among those that were read.
    reason : str
    """

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"message {position}: {reason}")
        self.position, self.reason = position, reason


@cache
def laplace_laws() -> Laws:
    """The laws by number: that of b = 2^(j/4) is j + 16."""
    edges = [_edges(j) for j in range(_FIRST, _LAST + 1)]
    return Laws(np.array(edges), np.array([_shift(j) for j in range(_FIRST, _LAST + 1)]))


def _shift(j: int) -> int:
    """How many last bits have no law: so many that what is above them has a magnitude of about 2 to 4."""
    return max(0, j // 4 - 1)


def _edges(j: int) -> list[int]:
    """Where the integers from -K to K - 1, and any other, begin within 2¹⁶."""
    with localcontext(prec=30):
        b, width = Decimal(2) ** (Decimal(j) / 4), Decimal(2 ** _shift(j))
        ratio, half = (-width / b).exp(), (Decimal("-0.5") / b).exp()
        # The mass above h·width - ½ is ½exp(-(h·width - ½)/b) for h ≥ 1, and by symmetry for h ≤ 0.
        above = {h: ratio**h / half / 2 for h in range(1, _REACH + 1)}
        above |= {h: 1 - ratio**-h * half / 2 for h in range(-_REACH, 1)}
        mass = [above[h] - above[h + 1] for h in range(-_REACH, _REACH)]
        heavy = [Decimal(1) / (4 * (1 + abs(h)) ** 2) for h in range(-_REACH, _REACH)]
        mixed = [(1 - _HEAVY) * p + _HEAVY * q for p, q in zip(mass, heavy, strict=True)]
        mixed.append(Decimal(1) - sum(mixed, Decimal(0)))
        widths = [1 + int((2**16 - len(mixed)) * p) for p in mixed]
    widths[widths.index(max(widths))] += 2**16 - sum(widths)
    return [0, *np.cumsum(widths).tolist()]


@cache
def _costs() -> Array:
    """Bits of an integer's part that has a law, by law and part."""
    laws = laplace_laws()
    bits: Array = 16.0 - np.log2(np.diff(laws.edges, axis=1)) + laws.shifts[:, None]
    bits[:, -1] += 24.0  # about what others take
    return bits


@cache
def _roots() -> Array:
    """2^(r/16) for r from 0 to 15, each the nearest float."""
    with localcontext(prec=30):
        return np.array([float(Decimal(2) ** (Decimal(r) / 16)) for r in range(16)])


def powers(sixteenths: Array) -> Array:
    """2^(k/16) of whole numbers k, in the same bits on any machine, as exp2 is not."""
    k = np.asarray(sixteenths, np.int64)
    return np.ldexp(_roots()[k & 15], k >> 4)


def quarters(magnitudes: Array) -> Array:
    """round(4 log₂ m) of magnitudes m > 0, by comparisons."""
    fraction, exponent = np.frexp(magnitudes)
    return 4 * exponent.astype(np.int64) + np.searchsorted(_QUARTERS, fraction, side="right") - 4


def encode_vectors(
    integers: Array, predicted: Array, counts: Array, kinds: Array | None = None, many: int = 1, around: int = 3
) -> list[bytes]:
    """Each client's integers as bytes: a factor of all its predictions, a byte a kind, then the integers' code.

    Parameters
    ----------
    integers : numpy.ndarray of int64, shape (Σ counts,)
        End to end.
    predicted : numpy.ndarray of int64, shape (Σ counts,)
        :func:`quarters` of the magnitudes that both ends expect, up to a factor.
    counts : numpy.ndarray of int64, shape (n,)
    kinds : numpy.ndarray of int64, shape (Σ counts,), or None
        Integers of one kind have a factor of their own; None: all are of one kind.
    many : int
        How many kinds there are.
    around : int
        A factor is looked for in so many half octaves around the mean's own.

    Returns
    -------
    list of bytes
        Empty where a client has no integer.
    """
    n, laws = len(counts), laplace_laws()
    of = _cells(counts, kinds, many)
    size = np.bincount(of, np.abs(integers), n * many) / np.maximum(np.bincount(of, None, n * many), 1)
    scale = np.bincount(of, np.exp2(predicted / 4.0), n * many) / np.maximum(np.bincount(of, None, n * many), 1)
    guess = np.rint(2.0 * np.log2(np.maximum(size, 0.05) / np.where(scale > 0, scale, 1.0)))
    guess = np.clip(guess, around - _FACTORS, _FACTORS - 1 - around).astype(np.int64)
    best, factor = _cost(integers, predicted, guess, of), guess
    for way in (1, -1):  # from the mean's own upwards, then downwards, as long as it gets cheaper
        climbing, chosen = np.full(n * many, True), np.arange(len(of))
        for k in range(1, around + 1):
            cost = _cost(integers[chosen], predicted[chosen], guess + way * k, of[chosen])
            climbing &= cost < best
            factor, best = np.where(climbing, guess + way * k, factor), np.where(climbing, cost, best)
            chosen = np.flatnonzero(climbing[of])
            if not len(chosen):
                break
    code, lengths = range_encode(integers, _which(predicted, factor, of), counts, laws)
    cuts, whole = offsets_of(lengths).tolist(), code.tobytes()
    heads = (factor + _FACTORS).astype(np.uint8).tobytes()
    some = counts.tolist()
    return [heads[i * many : (i + 1) * many] + whole[cuts[i] : cuts[i + 1]] if some[i] else b"" for i in range(n)]


def _cost(integers: Array, predicted: Array, factor: Array, of: Array) -> Array:
    """The bits that each vector's `integers` take under a `factor` of its own."""
    which = _which(predicted, factor, of)
    part = np.clip((integers >> laplace_laws().shifts[which]) + _REACH, -1, 2 * _REACH)
    costs: Array = np.bincount(of, _costs()[which, np.where(part < 0, 2 * _REACH, part)], len(factor))
    return costs


def decode_vectors(
    payloads: Sequence[bytes], predicted: Array, counts: Array, kinds: Array | None = None, many: int = 1
) -> Array:
    """The integers that :func:`encode_vectors` coded, end to end.

    Raises
    ------
    WrongCode
        If a payload is not the one code of any integers.
    """
    of = _cells(counts, kinds, many)
    for i, (payload, count) in enumerate(zip(payloads, counts.tolist(), strict=True)):
        if len(payload) < many if count else len(payload):
            raise WrongCode(i, f"{len(payload)} bytes are not the code of {count} integers of {many} kinds")
    heads = b"".join(payload[:many] if payload else bytes([_FACTORS]) * many for payload in payloads)
    bodies = [payload[many:] for payload in payloads]
    buffer, lengths = np.frombuffer(b"".join(bodies), np.uint8), np.array([len(body) for body in bodies], np.int64)
    which = _which(predicted, np.frombuffer(heads, np.uint8).astype(np.int64) - _FACTORS, of)
    integers, wrong = range_decode(buffer, offsets_of(lengths)[:-1], lengths, which, counts, laplace_laws())
    if wrong >= 0:
        raise WrongCode(wrong, f"{len(payloads[wrong])} bytes are not the code of {counts[wrong]} integers")
    return integers


def _cells(counts: Array, kinds: Array | None, many: int) -> Array:
    """Which factor each integer has, the clients' one after the other."""
    client: Array = np.repeat(np.arange(len(counts)), counts)
    return client if kinds is None else many * client + kinds


def _which(predicted: Array, factor: Array, of: Array) -> Array:
    """The number of each integer's law."""
    which: Array = np.clip(predicted + 2 * factor[of], _FIRST, _LAST) - _FIRST
    return which


def encode_heads(numbers: Array) -> list[bytes]:
    """A few small numbers a client, shape (n, k), before its vector; signs folded in: 0, -1, 1, -2 are 0, 1, 2, 3."""
    numbers = np.asarray(numbers, np.int64)
    code, lengths = varints.write(numbers << 1 ^ numbers >> 63)
    cuts, whole = offsets_of(lengths).tolist(), code.tobytes()
    return [whole[a:b] for a, b in pairwise(cuts)]


def decode_heads(payloads: Sequence[bytes], k: int) -> tuple[Array, list[bytes]]:
    """The `k` numbers that stand before each payload, shape (n, k), and what is behind them; or WireError."""
    edges = offsets_of(np.array([len(payload) for payload in payloads], np.int64))
    buffer = np.frombuffer(b"".join(payloads), np.uint8)
    try:
        folded, end = varints.read(buffer, edges[:-1], edges[1:], k)
    except varints.BadNumbers as error:
        if len(payloads) > 1:  # to say which of them cannot be
            for i, payload in enumerate(payloads):
                try:
                    decode_heads([payload], k)
                except WrongCode as wrong:
                    raise WrongCode(i, wrong.reason) from None
        raise WrongCode(0, f"{len(buffer)} bytes where {k} numbers stand before a vector: {error}") from None
    taken = (end - edges[:-1]).tolist()
    return folded >> 1 ^ -(folded & 1), [payload[at:] for payload, at in zip(payloads, taken, strict=True)]
