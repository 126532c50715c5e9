"""The entries that are large beside the largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from newtonfl.comm.messages import Message, Sparse
from newtonfl.compressors.compressor import Compressor, Contractive
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class Threshold(Compressor):
    """Adaptive thresholding: the entries with abs(x_j) ≥ λ·max abs(x) (Newton-3PC, arXiv 2206.03588).

    δ = max(1 - size·λ², 1/size): what is left out lies below λ‖x‖ an entry, and the largest entry is always kept. (The
    paper has (dλ)² for the d² entries of a matrix.) Zeros are not sent.

    Parameters
    ----------
    lam : float
        λ, above 0 and at most 1.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.Threshold(0.5).compress(np.array([4.0, 1.0, -2.0]), nf.Key(0)).coordinates()
    (array([0, 2]), array([ 4., -2.]))
    """

    lam: float

    name = "threshold"

    def contract(self, size: int) -> Contractive:
        return Contractive(max(1.0 - size * self.lam**2, 1.0 / size) if size else 1.0)

    def compress(self, v: Array, key: Key) -> Message:
        magnitudes = np.abs(v)
        small = magnitudes < self.lam * magnitudes.max(initial=0.0)  # what is not a number is sent, and refused there
        kept = np.flatnonzero(~small & (v != 0))
        return Sparse(kept, v[kept])

    def for_dimension(self, dim: int) -> Self:
        if isinstance(self.lam, bool) or not isinstance(self.lam, int | float) or not 0 < self.lam <= 1:
            raise ValueError(f"{self}: given λ = {self.lam!r}, must be above 0 and at most 1")
        return self
