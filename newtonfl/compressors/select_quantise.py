"""The K largest entries, quantised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.comm.messages import Levels, Message
from newtonfl.compressors.compressor import Compressor, Contractive
from newtonfl.compressors.quantiser import Quantiser
from newtonfl.compressors.topk import TopK
from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key


@dataclass(frozen=True)
class SelectThenQuantise(Compressor):
    """Q(Top-K(x))/(ω + 1), Q on the K entries kept; δ = (K/size)/(ω_K + 1).

    NTop-K and RTop-K of Basis Learn (Qian et al., arXiv 2111.01847) with natural compression and random dithering, and
    Top-k with exponential dithering of arXiv 2002.12410. The papers count Q's bits for K coordinates. Entries that
    became zero are not sent.

    Parameters
    ----------
    select : TopK
        Which entries are kept.
    quantise : Natural, Dithering or NaturalDithering
        Q.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.SelectThenQuantise(nf.TopK(1), nf.Natural()).compress(np.array([1.0, -4.5]), nf.Key(0)).coordinates()
    (array([1]), array([-3.55555556]))
    """

    select: TopK
    quantise: Quantiser

    name = "select-quantise"
    joined_by_plus = True

    def contract(self, size: int) -> Contractive:
        return Contractive(self.select.contract(size).delta * self.factor(size))

    def factor(self, size: int) -> float:
        """1/(ω_K + 1), for K of `size` coordinates."""
        return 1.0 / (self.quantise.contract(self.select.kept(size)).omega + 1.0)

    def compress(self, v: Array, key: Key) -> Message:
        return self.compress_all(Blocks.of([v]), [key])[0]

    def compress_all(self, vectors: Blocks, keys: Sequence[Key]) -> Sequence[Message]:
        chosen = [message.coordinates() for message in self.select.compress_all(vectors, keys)]
        return [
            self._quantised(indices, values, int(size), key)
            for (indices, values), size, key in zip(chosen, vectors.sizes, keys, strict=True)
        ]

    def _quantised(self, indices: Array, values: Array, size: int, key: Key) -> Levels:
        whole = np.zeros(self.select.kept(size))  # the theory's K, also where fewer entries are not zero
        whole[: len(values)] = values
        message = self.quantise.compress(whole, key)
        codes = message.codes[: len(values)]
        there = codes != 0
        return replace(
            message,
            codes=codes[there],
            indices=indices[there],
            scales=message.scales * self.factor(size),
            formula_bits=self.quantise.bits(self.select.counted(size)),
        )

    def for_dimension(self, dim: int) -> Self:
        return replace(self, select=self.select.for_dimension(dim), quantise=self.quantise.for_dimension(dim))
