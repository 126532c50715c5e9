"""Powers of a base as levels."""

from __future__ import annotations

import math

import numpy as np

from newtonfl.comm.messages import Levels
from newtonfl.core.backend import Array

_LARGEST, _SMALLEST = np.finfo(np.float64).max, np.finfo(np.float64).smallest_normal


def power(base: int, exponents: Array) -> Array:
    """base^exponents, exactly so for base 2."""
    if base == 2:
        return np.ldexp(1.0, exponents)
    return np.power(float(base), exponents)


def range_of(base: int) -> tuple[int, int]:
    """The least and the greatest exponent in use: all of float64's powers of two, else its normal numbers."""
    if base == 2:
        return -1074, 1023
    return math.ceil(math.log(_SMALLEST, base)), math.floor(math.log(_LARGEST, base))


def floors(magnitudes: Array, base: int) -> Array:
    """For each of the `magnitudes` above zero the exponent e with base^e ≤ magnitude < base^(e + 1)."""
    if base == 2:
        return np.frexp(magnitudes)[1].astype(np.int64) - 1
    least, most = range_of(base)
    guess = np.clip(np.floor(np.log(magnitudes) / math.log(base)), least, most).astype(np.int64)
    guess -= power(base, guess) > magnitudes  # the logarithm may be off by an ulp
    guess += power(base, np.minimum(guess + 1, most)) <= magnitudes
    return np.minimum(guess, most)


def as_levels(signs: Array, exponents: Array, base: int, formula_bits: int) -> Levels:
    """Levels of the numbers sign · base^exponent, all of shape (m, size); sign 0 makes zero.

    Each row's scale is its largest power. Exponents above the range in use become its greatest, and numbers below it
    zero.
    """
    least, most = range_of(base)
    exponents = np.minimum(exponents, most)
    signs = np.where(exponents < least, 0, signs).astype(np.int64)
    there = signs != 0
    top = np.max(exponents, axis=1, where=there, initial=least)
    low = np.min(exponents, axis=1, where=there, initial=most)
    s = int(max(1, (top - low).max(initial=0) + 1))
    scales = np.where(there.any(axis=1), power(base, top), 0.0)
    codes = signs * (exponents - top[:, None] + s)
    return Levels(codes.ravel(), scales, s, base, formula_bits=formula_bits)
