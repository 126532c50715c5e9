"""Rounding to a grid that is as fine as the numbers are small, entropy coded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from newtonfl import kernels
from newtonfl.comm.laws import powers
from newtonfl.comm.messages import Dense, Integers, Message, Nothing
from newtonfl.compressors.compressor import Compressor, Contractive
from newtonfl.compressors.quantiser import norms
from newtonfl.core.backend import Array, to_host
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key

_TINY, _HUGE = 1e-140, 1e140  # beyond these a square may be no float


@dataclass(frozen=True)
class Grid(Compressor):
    """Each coordinate to the nearest multiple of Δ, the power of √2 at or below width·‖v‖/√D; δ = 1 - width²/4.

    No coordinate is off by more than Δ/2, so ‖C(v) - v‖² ≤ D Δ²/4 ≤ width²/4·‖v‖² whatever D is. The integers are
    entropy coded under Laplace's law (:mod:`newtonfl.comm.laws`), about log₂(1/width) + 2 bits each where they are
    alike, less where a few are large. Where differences are sent (EF21 and the three-point mechanisms), the grid gets
    finer by itself as they get smaller. Ours: the papers' quantisers draw at random and code at a fixed length.

    Parameters
    ----------
    width : float
        From 2⁻⁴⁰ to below 2: the grid's in units of the root mean square. Half of it costs one bit a coordinate more,
        and leaves a quarter of the error's square.

    Raises
    ------
    ValueError
        If the width is none of these.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.Grid(1.0).compress(np.array([3.0, -4.0]), nf.Key(0)).coordinates()[1]
    array([ 2.82842712, -2.82842712])
    >>> nf.Grid(1.0).contract(100)
    Contractive(delta=0.75)
    """

    width: float = 0.25

    name = "grid"

    def __post_init__(self) -> None:
        if isinstance(self.width, bool) or not isinstance(self.width, int | float) or not 2.0**-40 <= self.width < 2:
            raise ValueError(f"grid: given the width {self.width!r}, must be a number from 2^-40 to below 2")

    def contract(self, size: int) -> Contractive:
        return Contractive(1.0 - self.width**2 / 4.0)

    def compress(self, v: Array, key: Key) -> Message:
        return self.compress_all(Blocks.of([v]), [key])[0]

    def compress_all(self, vectors: Blocks, keys: Sequence[Key]) -> Sequence[Message]:
        host = Blocks(to_host(vectors.values), vectors.offsets)
        sizes = host.sizes
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = kernels.norms(host)
        for i in np.flatnonzero(~((lengths > _TINY) & (lengths < _HUGE))).tolist():  # zeros, or a square is no float
            lengths[i] = norms(host[i][None])[0][0]
        usable = np.isfinite(lengths) & (lengths > 0)
        exponents = half_octaves(self.width * np.where(usable, lengths, 1.0) / np.sqrt(np.maximum(sizes, 1)))
        with np.errstate(invalid="ignore"):
            codes = np.rint(host.values / np.repeat(powers(8 * exponents), sizes))
        chosen = np.repeat(usable, sizes)
        coded = iter(Integers.of_many(codes[chosen].astype(np.int64), sizes[usable], exponents[usable]))
        # Zeros need no code; and what is not finite, or longer than any float, stays as it is.
        return [next(coded) if usable[i] else Dense(v + 0.0) if v.any() else Nothing() for i, v in enumerate(host)]


def half_octaves(targets: Array) -> Array:
    """k of the grids 2^(k/2), the largest at or below the `targets` (n,), which are above 0."""
    mantissa, exponent = np.frexp(targets)
    return 2 * (exponent.astype(np.int64) - 1) + (mantissa >= math.sqrt(0.5))
