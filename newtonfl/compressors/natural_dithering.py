"""Random rounding to powers of a base times the norm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.comm.messages import Levels
from newtonfl.compressors.compressor import Unbiased
from newtonfl.compressors.dithering import checked_levels
from newtonfl.compressors.powers import floors, power
from newtonfl.compressors.quantiser import Quantiser, norms
from newtonfl.compressors.rounding import checked_base
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class NaturalDithering(Quantiser):
    """Exponential dithering: t_j = abs(x_j)/‖x‖₂ up or down to one of 0, b^(1-s), …, 1/b, 1 at random.

    Beznosikov et al., arXiv 2002.12410; with b = 2 natural dithering (arXiv 1905.10988). The ω is worked out here for
    any base: from a to ba the variance (t - a)(ba - t) is at most (b - 1)²/(4b)·t², and below l = b^(1-s), where it is
    t(l - t), the D coordinates add at most min(√D l, D l²/4), since Σt ≤ √D. So ω = (b - 1)²/(4b) + min(√D l, D l²/4),
    1/8 + … for b = 2. The papers count 32 + D(1 + ⌈log₂(s + 1)⌉) bits.

    Parameters
    ----------
    levels : int
        s.
    base : int
        b, from 2 to 255.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.NaturalDithering(8).compress(np.array([4.0, 0.0]), nf.Key(0)).coordinates()[1]
    array([4., 0.])
    >>> nf.NaturalDithering(8).contract(16).omega < 0.13
    True
    """

    levels: int
    base: int = 2

    name = "natural-dithering"

    def contract(self, size: int) -> Unbiased:
        least = float(self.base) ** (1 - self.levels)
        small = min(math.sqrt(size) * least, size * least**2 / 4)
        return Unbiased((self.base - 1) ** 2 / (4 * self.base) + small)

    def bits(self, size: int) -> int:
        return 32 + size * (1 + self.levels.bit_length())

    def quantise(self, rows: Array, key: Key) -> Levels:
        scales, shares = norms(rows)
        t, s, b = np.minimum(np.abs(shares), 1.0), self.levels, self.base
        lower = np.where(t > 0, floors(np.where(t > 0, t, 1.0), b), -s)
        inside = lower > -s  # at least b^(1-s); below that the neighbours are 0 and b^(1-s)
        below = np.where(inside, power(b, np.maximum(lower, 1 - s)), 0.0)
        above = power(b, np.clip(lower + 1, 1 - s, 0))
        gap = np.where(above > below, above - below, 1.0)
        level = np.where(inside, lower + s, 0) + (key.generator().random(rows.shape) < (t - below) / gap)
        codes = (np.sign(shares) * level).astype(np.int64).ravel()
        return Levels(codes, scales, s, b, formula_bits=len(rows) * self.bits(rows.shape[1]))

    def for_dimension(self, dim: int) -> Self:
        base = checked_base(self, self.base)
        return replace(self, levels=checked_levels(self, self.levels, int(1000 / math.log2(base))), base=base)
