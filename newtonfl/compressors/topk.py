"""The K entries of largest magnitude."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from newtonfl.comm.messages import FLOAT_BITS, Batch, Message, Sparse
from newtonfl.compressors.compressor import Contractive, KeepsK
from newtonfl.core.backend import Array, namespace, to_device, to_host
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.kernels import largest


@dataclass(frozen=True)
class TopK(KeepsK):
    """Top-K: the K coordinates of largest magnitude; δ = K/size (Safaryan et al., arXiv 2106.02969, section 3).

    In the isometric coordinates of a symmetric matrix that δ is exact: the 2-norm is the Frobenius norm. Zeros are not
    sent, and of equal magnitudes the lowest position goes first. A client with fewer than K coordinates sends them all.

    Parameters
    ----------
    k : int or str
        K, or a multiple of the dimension such as ``"8d"``, or ``"1r"`` of that of the client's own matrix: in the data
        basis its rank r.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> nf.TopK(2).compress(np.array([3.0, 1.0, -5.0]), nf.Key(0)).coordinates()
    (array([0, 2]), array([ 3., -5.]))
    >>> nf.TopK(2).contract(8)
    Contractive(delta=0.25)
    """

    name = "topk"

    def contract(self, size: int) -> Contractive:
        return Contractive(self.kept(size) / size if size else 1.0)

    def compress(self, v: Array, key: Key) -> Message:
        return self.compress_all(Blocks.of([v]), [key])[0]

    def compress_all(self, vectors: Blocks, keys: Sequence[Key]) -> Sequence[Message]:
        k = self.counts(vectors.sizes)
        chosen, kept = largest(vectors.values, vectors.offsets, k)
        everywhere = np.repeat(vectors.offsets[:-1], kept) + chosen
        values = to_host(namespace(vectors.values).take(vectors.values, to_device(everywhere, vectors.values)))
        return Batch(Sparse, kept, values, chosen, FLOAT_BITS * k)
