"""The R eigenpairs of largest magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from newtonfl.backend import Array
from newtonfl.compressors.compressor import Compressor, Contractive
from newtonfl.keys import Key
from newtonfl.messages import LowRank, Message


@dataclass(frozen=True)
class RankR(Compressor):
    """Rank-R: Σ λ_r u_r u_rᵀ over the R eigenvalues of largest magnitude; δ = R/d (arXiv 2106.02969, section 3).

    For a symmetric matrix that is the truncated singular value decomposition. Each term travels as the vector
    √abs(λ) u with the sign of λ; the vector's own sign is fixed by making its entry of largest magnitude positive.

    Parameters
    ----------
    r : int
        R.
    """

    r: int
    acts_on = "symmetric"

    @property
    def text(self) -> str:
        return f"rank:{self.r}"

    def contract(self, size: int) -> Contractive:
        dim = (np.sqrt(8 * size + 1) - 1) / 2
        return Contractive(float(min(1.0, self.r / dim)))

    def compress(self, v: Array, key: Key) -> Message:
        values, vectors = np.linalg.eigh(v)
        chosen = np.sort(np.argsort(-np.abs(values), kind="stable")[: self.r])
        factors = vectors[:, chosen].T * np.sqrt(np.abs(values[chosen]))[:, None]
        peak = np.argmax(np.abs(factors), axis=1)
        factors *= np.where(factors[np.arange(len(chosen)), peak] < 0, -1.0, 1.0)[:, None]
        return LowRank(factors, np.where(values[chosen] < 0, -1.0, 1.0))

    def for_dimension(self, dim: int) -> Self:
        if not isinstance(self.r, int) or not 1 <= self.r <= dim:
            raise ValueError(f"rank:{self.r}: the rank must be a whole number, at least 1 and at most d = {dim}")
        return self
