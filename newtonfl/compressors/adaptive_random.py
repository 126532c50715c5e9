"""One entry, drawn the likelier the larger it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.comm.messages import Message, Nothing, Sparse
from newtonfl.compressors.compressor import Compressor, Unbiased
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class AdaptiveRandom(Compressor):
    """Adaptive random sparsification: ‖x‖₁·sign(x_j) of one j, drawn with probability abs(x_j)/‖x‖₁; ω = size - 1.

    Beznosikov et al., arXiv 2002.12410 (from memory). E C(x) = x and E‖C(x) - x‖² = ‖x‖₁² - ‖x‖², at most (size -
    1)‖x‖², and 0 where one entry alone is not zero; scaled by 1/size it contracts by δ = 1/size, as Rand-1 and Top-1
    do. Zeros are sent as nothing.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.AdaptiveRandom().compress(np.array([0.0, -5.0, 0.1]), nf.Key(0)).coordinates()
    (array([1]), array([-5.1]))
    >>> nf.AdaptiveRandom().contract(8)
    Unbiased(omega=7.0)
    """

    name = "adaptive-random"

    def contract(self, size: int) -> Unbiased:
        return Unbiased(max(size - 1.0, 0.0))

    def compress(self, v: Array, key: Key) -> Message:
        sums = np.cumsum(np.abs(v))
        if not len(v) or sums[-1] == 0:
            return Nothing()
        # The first j whose sum exceeds the draw: never an entry that is zero, nor, where rounding fills up the draw,
        # one beyond the last. What is not finite is sent so, and refused by the receiver.
        below = key.generator().random() * sums[-1]
        j = min(int(np.searchsorted(sums, below, side="right")), int(np.flatnonzero(v)[-1]))
        return Sparse(np.array([j]), np.array([np.copysign(sums[-1], v[j])]))
