"""Random rounding to powers of two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.comm.messages import Levels
from newtonfl.compressors.compressor import Unbiased
from newtonfl.compressors.powers import as_levels, floors
from newtonfl.compressors.quantiser import Quantiser
from newtonfl.core.backend import Array
from newtonfl.core.random import Key

NATURAL_FORMULA_BITS = 9
"""A sign and float32's 8 bits of exponent."""


@dataclass(frozen=True)
class Natural(Quantiser):
    """Natural compression: up or down to a power of two at random; ω = 1/8 (arXiv 1905.10988).

    x = (1 + t)·2^e becomes 2^(e+1) with probability t, else 2^e; the worst t is 1/3. The papers count 9 bits a
    coordinate. Numbers that have a power of two above them in float64, all below 2^1023, are unbiased.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.Natural().compress(np.array([3.0, -5.0, 8.0]), nf.Key(0)).coordinates()[1]
    array([ 2., -4.,  8.])
    """

    sends_norm = False

    name = "natural"

    def contract(self, size: int) -> Unbiased:
        return Unbiased(1 / 8)

    def bits(self, size: int) -> int:
        return NATURAL_FORMULA_BITS * size

    def quantise(self, rows: Array, key: Key) -> Levels:
        if not np.isfinite(rows).all():
            return unusable(rows, self.bits(rows.size))
        up = key.generator().random(rows.shape) < 2 * np.frexp(np.abs(rows))[0] - 1
        return as_levels(np.sign(rows), floors(np.abs(rows), 2) + up, 2, self.bits(rows.size))


def unusable(rows: Array, formula_bits: int) -> Levels:
    """What stands for numbers that are not finite: a scale that is not, which the receiver refuses."""
    return Levels(np.zeros(rows.size, np.int64), np.full(len(rows), np.nan), 1, formula_bits=formula_bits)
