"""Numbers sent at a lower precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

from newtonfl.comm.coding import Precision
from newtonfl.comm.messages import Batch, Message
from newtonfl.compressors.compressor import Bounded, Compressor, Contract, Contractive, Unbiased, dimension
from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key

# The share of the kept energy that rounding loses at the most: (half an ulp of float32)², (a third)².
_LOST: dict[Precision, float] = {"float64": 0.0, "float32": 2.0**-48, "natural": 1.0 / 9.0}


@dataclass(frozen=True)
class Rounded(Compressor):
    """Another compressor's message with its numbers rounded to the wire's precision.

    Parameters
    ----------
    compressor : Compressor
    precision : {"float64", "float32", "natural"}
        natural: sign and exponent only, to the nearest power of two (Beznosikov et al., arXiv 2002.12410: δ = 8/9).
        Not with an unbiased compressor or one of matrices. Levels stay as they are, and their scales in full.
    """

    compressor: Compressor
    precision: Precision

    @property
    def acts_on(self) -> Literal["vector", "symmetric"]:  # type: ignore[override]
        return self.compressor.acts_on

    @property
    def correlated(self) -> bool:  # type: ignore[override]
        return self.compressor.correlated

    name = "rounded"

    def unwrapped(self) -> Compressor:
        compressor: Compressor = self.compressor.unwrapped()
        return compressor

    def contract(self, size: int) -> Contract:
        inner = self.compressor.contract(size)
        if isinstance(inner, Unbiased):
            return inner  # float32's bias, 6e-8 of a value, lies far below ω
        # A vector's rounding error stands on the kept coordinates alone. A factor's enters its matrix to first order:
        # PowerSGD's P and XᵀP lose (√R + 1)·2⁻²⁴‖X‖ together, twice that in the square, out of δ = R/d.
        lost = _LOST[self.precision]
        if isinstance(inner, Bounded):
            return Bounded(inner.tau, inner.kappa * (1.0 - lost**0.5))
        if self.acts_on == "symmetric":
            lost = 4 * dimension(size) * lost**0.5
        return Contractive(inner.delta * (1.0 - lost))

    def mean_constants(self, size: int, n_clients: int) -> tuple[float, float]:
        return self.compressor.mean_constants(size, n_clients)

    def compress(self, v: Array, key: Key) -> Message:
        return self.compressor.compress(v, key).to_precision(self.precision)

    def compress_all(self, vectors: Blocks, keys: Sequence[Key]) -> Sequence[Message]:
        messages = self.compressor.compress_all(vectors, keys)
        if isinstance(messages, Batch):
            return messages.to_precision(self.precision)
        return [message.to_precision(self.precision) for message in messages]

    def for_clients(self, n_clients: int) -> Self:
        return replace(self, compressor=self.compressor.for_clients(n_clients))

    def for_dimension(self, dim: int) -> Self:
        compressor = self.compressor.for_dimension(dim)
        vectors_that_keep = compressor.acts_on == "vector" and isinstance(compressor.contract(1), Contractive)
        if self.precision == "natural" and not vectors_that_keep:
            raise ValueError(
                f"wire=natural rounds to the nearest power of two, which {compressor}'s theory does not bear: "
                "use it with a contractive compressor of vectors such as topk"
            )
        return replace(self, compressor=compressor)
