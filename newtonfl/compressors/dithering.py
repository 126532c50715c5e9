"""Random rounding to equal steps of the norm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.comm.messages import Levels
from newtonfl.comm.messages.levels import MOST_LEVELS
from newtonfl.compressors.compressor import Unbiased, whole
from newtonfl.compressors.quantiser import Quantiser, norms
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class Dithering(Quantiser):
    """Random dithering: abs(x_j)/‖x‖₂ up or down to a multiple of 1/s at random (QSGD, arXiv 1610.02132, Lemma 3.1).

    ω = min(D/s², √D/s) for D coordinates, which is 1 for s = √D. The papers count 2.8 D + 32 bits, as for that s.

    Parameters
    ----------
    levels : int or None
        s; None is √D, rounded.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.Dithering(5).compress(np.array([3.0, -4.0]), nf.Key(0)).coordinates()[1]
    array([ 3., -4.])
    >>> nf.Dithering().contract(16)
    Unbiased(omega=1.0)
    """

    levels: int | None = None

    name = "dithering"

    def steps(self, size: int) -> int:
        """s for `size` coordinates."""
        return max(1, round(math.sqrt(size))) if self.levels is None else self.levels

    def contract(self, size: int) -> Unbiased:
        s = self.steps(size)
        return Unbiased(min(size / s**2, math.sqrt(size) / s))

    def bits(self, size: int) -> int:
        return -(-28 * size // 10) + 32

    def quantise(self, rows: Array, key: Key) -> Levels:
        s = self.steps(rows.shape[1])
        scales, shares = norms(rows)
        exact = np.minimum(np.abs(shares) * s, s)
        level = np.floor(exact)
        level += key.generator().random(rows.shape) < exact - level
        codes = (np.sign(shares) * level).astype(np.int64).ravel()
        return Levels(codes, scales, s, formula_bits=len(rows) * self.bits(rows.shape[1]))

    def for_dimension(self, dim: int) -> Self:
        if self.levels is None:
            return self
        return replace(self, levels=checked_levels(self, self.levels))


def checked_levels(compressor: Quantiser, levels: int, most: int = MOST_LEVELS) -> int:
    """The number of `levels`, if it can be."""
    count = whole(levels)
    if count is None or not 1 <= count <= most:
        raise ValueError(f"{compressor}: given {levels!r} levels, must be a whole number from 1 to {most}")
    return count
