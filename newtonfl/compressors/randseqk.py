"""K consecutive entries from a random place on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.comm.messages import Message, Run
from newtonfl.compressors.compressor import KeepsK, Unbiased
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class RandSeqK(KeepsK):
    """RandSeqK: K consecutive coordinates, past the end back to zero, scaled by size/K (arXiv 2410.08760).

    Each coordinate is kept with probability K/size, so ω = size/K - 1 as for Rand-K; of the positions only the first is
    sent. A client with fewer than K coordinates sends them all, unscaled.

    Parameters
    ----------
    k : int or str
        K, or a multiple of the dimension such as ``"8d"``, or ``"1r"`` of that of the client's own matrix: in the data
        basis its rank r.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.RandSeqK(3).compress(np.arange(6.0), nf.Key(0)).coordinates()
    (array([4, 5, 0]), array([ 8., 10.,  0.]))
    """

    name = "randseqk"

    def contract(self, size: int) -> Unbiased:
        return Unbiased(size / self.kept(size) - 1.0 if size else 0.0)

    def compress(self, v: Array, key: Key) -> Message:
        size, k = len(v), self.kept(len(v))
        first = int(key.generator().integers(size)) if size else 0
        chosen = (first + np.arange(k)) % max(size, 1)
        return Run(first, v[chosen] * (size / max(k, 1)), size, formula_bits=self.formula_bits(size))
