"""K entries drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.backend import Array
from newtonfl.compressors.compressor import Compressor, Unbiased, count
from newtonfl.keys import Key
from newtonfl.messages import Message, Sparse
from newtonfl.triangle import triangle


@dataclass(frozen=True)
class RandK(Compressor):
    """Rand-K: K coordinates drawn without replacement, scaled by size/K; ω = size/K - 1 (arXiv 2106.02969, section 3).

    A client with fewer than K coordinates sends them all, unscaled.

    Parameters
    ----------
    k : int or str
        K, or a multiple of the dimension such as ``"8d"``.
    """

    k: int | str

    @property
    def text(self) -> str:
        return f"randk:{self.k}"

    def contract(self, size: int) -> Unbiased:
        return Unbiased(size / min(int(self.k), size) - 1.0 if size else 0.0)

    def compress(self, v: Array, key: Key) -> Message:
        k = min(int(self.k), len(v))
        indices = np.sort(key.generator().choice(len(v), k, replace=False, shuffle=False))
        return Sparse(indices, v[indices] * (len(v) / max(k, 1)), floats=int(self.k))

    def for_dimension(self, dim: int) -> Self:
        return replace(self, k=count(self.k, dim, triangle(dim).size, f"randk:{self.k}"))
