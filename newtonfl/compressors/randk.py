"""K entries drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.backend import Array
from newtonfl.compressors.compressor import KeepsK, Unbiased
from newtonfl.keys import Key
from newtonfl.messages import Message, Sparse


@dataclass(frozen=True)
class RandK(KeepsK):
    """Rand-K: K coordinates drawn without replacement, scaled by size/K; ω = size/K - 1 (arXiv 2106.02969, section 3).

    A client with fewer than K coordinates sends them all, unscaled.
    """

    label = "randk"

    def contract(self, size: int) -> Unbiased:
        return Unbiased(size / self.kept(size) - 1.0 if size else 0.0)

    def compress(self, v: Array, key: Key) -> Message:
        k = self.kept(len(v))
        indices = np.sort(key.generator().choice(len(v), k, replace=False, shuffle=False))
        return Sparse(indices, v[indices] * (len(v) / max(k, 1)), formula_bits=self.formula_bits(len(v)))
