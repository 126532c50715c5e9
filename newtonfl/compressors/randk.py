"""K entries drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.comm.messages import Message, Sparse
from newtonfl.compressors.compressor import KeepsK, Unbiased
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class RandK(KeepsK):
    """Rand-K: K coordinates drawn without replacement, scaled by size/K; ω = size/K - 1 (arXiv 2106.02969, section 3).

    A client with fewer than K coordinates sends them all, unscaled.

    Parameters
    ----------
    k : int or str
        K, or a multiple of the dimension such as ``"8d"``, or ``"1r"`` of that of the client's own matrix: in the data
        basis its rank r.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.RandK(2).compress(np.arange(6.0), nf.Key(0)).coordinates()
    (array([3, 5]), array([ 9., 15.]))
    >>> nf.RandK(2).contract(6)
    Unbiased(omega=2.0)
    """

    name = "randk"

    def contract(self, size: int) -> Unbiased:
        return Unbiased(size / self.kept(size) - 1.0 if size else 0.0)

    def compress(self, v: Array, key: Key) -> Message:
        k = self.kept(len(v))
        indices = np.sort(key.generator().choice(len(v), k, replace=False, shuffle=False))
        return Sparse(indices, v[indices] * (len(v) / max(k, 1)), formula_bits=self.formula_bits(len(v)))
