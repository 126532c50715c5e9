"""The R eigenpairs of largest magnitude."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.comm.messages import LowRank, Message, Nothing
from newtonfl.compressors.compressor import Contractive, KeepsRank
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.kernels.solve import eigh


@dataclass(frozen=True)
class RankR(KeepsRank):
    """Rank-R: Σ λ_r u_r u_rᵀ over the R eigenvalues of largest magnitude; δ = R/d (arXiv 2106.02969, section 3).

    For a symmetric matrix that is the truncated singular value decomposition. Each term travels as the vector
    √abs(λ) u with the sign of λ; the vector's own sign is fixed by making its entry of largest magnitude positive.

    Parameters
    ----------
    r : int
        R, from 1 to d. A client whose matrix is smaller keeps its own dimension.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.RankR(1).compress(np.diag([2.0, -9.0]), nf.Key(0)).matrix()
    array([[ 0.,  0.],
           [ 0., -9.]])
    """

    name = "rank"

    def contract(self, size: int) -> Contractive:
        return Contractive(self.share(size))

    def eigenpairs(self, v: Array) -> tuple[Array, Array]:
        """The eigenvalues of `v` that are chosen, shape (R,), and their unit vectors, shape (R, d)."""
        values, vectors = eigh(v)
        chosen = np.sort(np.argsort(-np.abs(values), kind="stable")[: self.r])
        units = vectors[:, chosen].T
        peak = np.argmax(np.abs(units), axis=1)
        signs = np.where(units[np.arange(len(chosen)), peak] < 0, -1.0, 1.0)
        return values[chosen], units * signs[:, None]

    def compress(self, v: Array, key: Key) -> Message:
        if not len(v):
            return Nothing()
        values, units = self.eigenpairs(v)
        return LowRank(units * np.sqrt(np.abs(values))[:, None], np.where(values < 0, -1.0, 1.0))
