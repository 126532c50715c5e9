"""What is long is shortened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from newtonfl.comm.messages import Batch, Dense, Message
from newtonfl.compressors.compressor import Bounded, Compressor
from newtonfl.core.backend import Array, to_host
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.kernels import norms


@dataclass(frozen=True)
class Clip(Compressor):
    """min{1, τ/‖x‖}x: no message is longer than τ (Clip21, arXiv 2305.18929). As many numbers are sent as x has.

    Parameters
    ----------
    tau : float
        τ, above 0.

    Raises
    ------
    ValueError
        If τ is no finite number above 0.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.Clip(1.0).compress(np.array([3.0, -4.0]), nf.Key(0)).coordinates()[1]
    array([ 0.6, -0.8])
    >>> nf.Clip(1.0).contract(2).within(2.0)
    Contractive(delta=0.75)
    """

    tau: float

    name = "clip"

    def __post_init__(self) -> None:
        number = isinstance(self.tau, int | float | np.number) and not isinstance(self.tau, bool)
        if not number or not 0 < self.tau < math.inf:
            raise ValueError(f"clip: given τ = {self.tau!r}, must be a finite number above 0")

    def contract(self, size: int) -> Bounded:
        return Bounded(float(self.tau))

    def compress(self, v: Array, key: Key) -> Message:
        return self.compress_all(Blocks.of([v]), [key])[0]

    def compress_all(self, vectors: Blocks, keys: Sequence[Key]) -> Sequence[Message]:
        return Batch(Dense, vectors.sizes, to_host(clipped(vectors, self.tau).values))


def clipped(vectors: Blocks, tau: float) -> Blocks:
    """min{1, τ/‖x‖}x of every client's x in `vectors`."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite stays so, and its receiver refuses it
        return vectors.times(tau / np.maximum(to_host(norms(vectors)), tau))
