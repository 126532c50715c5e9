"""Everything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from newtonfl.comm.messages import Batch, Dense, Message
from newtonfl.compressors.compressor import Compressor, Contractive
from newtonfl.core.backend import Array, to_host
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key


@dataclass(frozen=True)
class Identity(Compressor):
    """C(x) = x; δ = 1.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.Identity().contract(8)
    Contractive(delta=1.0)
    """

    name = "identity"

    def contract(self, size: int) -> Contractive:
        return Contractive(1.0)

    def compress(self, v: Array, key: Key) -> Message:
        return Dense(v)

    def compress_all(self, vectors: Blocks, keys: Sequence[Key]) -> Sequence[Message]:
        return Batch(Dense, vectors.sizes, to_host(vectors.values))
