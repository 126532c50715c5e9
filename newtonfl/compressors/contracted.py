"""An unbiased compressor made contractive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from newtonfl.comm.messages import Batch, Message
from newtonfl.compressors.compressor import Compressor, Contractive, Unbiased
from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key


@dataclass(frozen=True)
class Contracted(Compressor):
    """Q/(ω + 1) for an unbiased Q: contractive with δ = 1/(ω + 1).

    E‖Q(x)/(ω+1) - x‖² = E‖Q(x) - x‖²/(ω+1)² + (ω/(ω+1))²‖x‖² ≤ ω/(ω+1)‖x‖².

    Parameters
    ----------
    compressor : Compressor
        Q.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.Contracted(nf.RandK(2)).contract(8)
    Contractive(delta=0.25)
    """

    compressor: Compressor

    @property
    def acts_on(self) -> Literal["vector", "symmetric"]:  # type: ignore[override]
        return self.compressor.acts_on

    @property
    def correlated(self) -> bool:  # type: ignore[override]
        return self.compressor.correlated

    name = "contracted"

    def unwrapped(self) -> Compressor:
        compressor: Compressor = self.compressor.unwrapped()
        return compressor

    def factor(self, size: int) -> float:
        """1/(ω + 1) for `size` coordinates; ValueError where Q is not unbiased."""
        contract = self.compressor.contract(size)
        if not isinstance(contract, Unbiased):
            raise ValueError(f"Contracted: given {self.compressor}, which is not unbiased")
        return 1.0 / (contract.omega + 1.0)

    def contract(self, size: int) -> Contractive:
        return Contractive(self.factor(size))

    def compress(self, v: Array, key: Key) -> Message:
        return self.compressor.compress(v, key).scaled(self.factor(len(v)))

    def compress_all(self, vectors: Blocks, keys: Sequence[Key]) -> Sequence[Message]:
        messages, factors = self.compressor.compress_all(vectors, keys), [self.factor(int(s)) for s in vectors.sizes]
        if isinstance(messages, Batch):
            return messages.scaled(np.array(factors))
        return [message.scaled(factor) for message, factor in zip(messages, factors, strict=True)]

    def for_clients(self, n_clients: int) -> Self:
        return replace(self, compressor=self.compressor.for_clients(n_clients))

    def for_dimension(self, dim: int) -> Self:
        made = replace(self, compressor=self.compressor.for_dimension(dim))
        made.factor(1)
        return made
