"""Rounding to the nearest power."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.comm.messages import Message
from newtonfl.compressors.compressor import Compressor, Contractive, whole
from newtonfl.compressors.natural import NATURAL_FORMULA_BITS, unusable
from newtonfl.compressors.powers import as_levels, floors, power
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class BiasedRounding(Compressor):
    """To the nearest power of `base`; δ = 4b/(b + 1)² (Beznosikov et al., arXiv 2002.12410, general biased rounding).

    Midway between two powers, at (b + 1)/2 times the lower one, the relative error is (b - 1)/(b + 1). The papers count
    9 bits a coordinate. Bases other than 2 round what lies below float64's normal numbers to zero.

    Parameters
    ----------
    base : int
        b, from 2 to 255.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.BiasedRounding().compress(np.array([0.3, -5.0, 7.0]), nf.Key(0)).coordinates()[1]
    array([ 0.25, -4.  ,  8.  ])
    """

    base: int = 2

    name = "rounding"

    def contract(self, size: int) -> Contractive:
        return Contractive(4 * self.base / (self.base + 1) ** 2)

    def compress(self, v: Array, key: Key) -> Message:
        bits = NATURAL_FORMULA_BITS * len(v)
        if not np.isfinite(v).all():
            return unusable(v[None], bits)
        magnitudes = np.where(v == 0, 1.0, np.abs(v))[None]
        lower = floors(magnitudes, self.base)
        below = power(self.base, lower)
        up = (magnitudes - below) / ((self.base - 1) / 2) > below
        return as_levels(np.sign(v)[None], lower + up, self.base, bits)

    def for_dimension(self, dim: int) -> Self:
        return replace(self, base=checked_base(self, self.base))


def checked_base(compressor: Compressor, base: int) -> int:
    """The `base`, if the wire can carry it."""
    number = whole(base)
    if number is None or not 2 <= number <= 255:
        raise ValueError(f"{compressor}: given base {base!r}, must be a whole number from 2 to 255")
    return number
