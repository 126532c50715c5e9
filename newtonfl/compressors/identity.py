"""Everything is sent."""

from __future__ import annotations

from dataclasses import dataclass

from newtonfl.comm.messages import Dense, Message
from newtonfl.compressors.compressor import Compressor, Contractive
from newtonfl.core.backend import Array
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
