"""The compressed difference is sent, every round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, TypeAlias

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import FLOAT_BITS, Batch, Message, Sparse
from newtonfl.compressors import Compressor, TopK, Unbiased
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array, on_host
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.core.timing import timed_as
from newtonfl.kernels import send_largest
from newtonfl.mechanisms.constants import a_compressor, contraction, of_contraction, per_size
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, Memory, ThreePoints

Alpha: TypeAlias = float | Literal["auto", "theory"]


@dataclass(frozen=True)
class EF21(Mechanism):
    """h ← h + α C(x - h).

    EF21 (arXiv 2106.05203) on gradients, FedNL's rule (arXiv 2106.02969, Algorithm 1, line 6) and the EF21 form of
    Newton-3PC (arXiv 2206.03588) on Hessians. (A, B) = (1 - √(1-δ), (1-δ)/(1 - √(1-δ))) for α = 1, and with
    1 - (1 - α + α√(1-δ))² in the place of δ for another α; an unbiased compressor contracts by 2α - α²(1+ω).

    Parameters
    ----------
    compressor : Compressor
        C.
    alpha : float, "theory" or "auto"
        α. ``theory`` is 1 - √(1-δ) for a contractive compressor and 1/(ω+1) for an unbiased one, per client; ``auto``
        is 1 for a contractive one and 1/(ω+1) for an unbiased one.

    Raises
    ------
    TypeError
        If `compressor` is not one.
    ValueError
        If α is a number outside (0, 1] or another word.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.EF21(nf.TopK(3)).constants(4)[0]
    0.5
    >>> nf.EF21(nf.RandK(1)).memory_rates([4])
    array([0.25])
    """

    compressor: Compressor
    alpha: Alpha = "auto"
    name = "ef21"
    shorthand = ()
    bare = True

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        if isinstance(self.alpha, str):
            if self.alpha not in ("auto", "theory"):
                raise ValueError(f"alpha: given {self.alpha!r}, allowed are auto, theory and a number in (0, 1]")
        elif not is_number(self.alpha) or not 0 < self.alpha <= 1:
            raise ValueError(f"alpha: given {self.alpha}, must be in (0, 1], or 'theory'")

    def memory_rates(self, sizes: Array) -> Array:
        if self.alpha != "theory" and not isinstance(self.compressor.contract(1), Unbiased):
            return np.full(len(sizes), self._rate(1))  # whatever the size
        return per_size(self._rate, sizes)

    def _rate(self, size: int) -> float:
        contract = self.compressor.contract(size)
        if isinstance(contract, Unbiased):
            largest = 1.0 / (contract.omega + 1.0)
            if not isinstance(self.alpha, str) and self.alpha > largest * (1 + 1e-12):
                raise ValueError(
                    f"alpha: given {self.alpha}, {self.compressor} is unbiased with ω = "
                    f"{contract.omega:g} and allows at most 1/(ω+1) = {largest:g}: use alpha=theory"
                )
            return largest if isinstance(self.alpha, str) else float(self.alpha)
        if self.alpha == "theory":
            return float(1.0 - np.sqrt(1.0 - contraction(self.compressor, size)))
        return 1.0 if self.alpha == "auto" else float(self.alpha)

    def constants(self, size: int) -> tuple[float, float]:
        contract, alpha = self.compressor.contract(size), self._rate(size)
        if isinstance(contract, Unbiased):
            return of_contraction(min(1.0, 2 * alpha - alpha**2 * (1 + contract.omega)))
        delta = contraction(self.compressor, size)
        return of_contraction(1.0 - (1.0 - alpha + alpha * np.sqrt(1.0 - delta)) ** 2)

    def preset_settings(self) -> dict[str, str | float]:
        plain = replace(self, alpha="auto")
        return {**Mechanism.preset_settings(plain), "alpha": self.alpha}

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        return encoder.compress(self.compressor, points.error)

    @timed_as("compression")
    def send_and_measure(
        self, memory: Memory, target: Blocks, space: Coordinates, clients: Array, key: Key, coin: bool = True,
        diagonal: tuple[Array, Array] | None = None,
    ) -> tuple[Sequence[Message], Memory, Array]:  # fmt: skip
        if type(self.compressor) is not TopK or not space.norms_are_plain or not on_host(target.values):
            return super().send_and_measure(memory, target, space, clients, key, coin, diagonal)
        # Top-K, the estimate moved by it and the norm of what is left, one client after the other while it is in cache.
        counted, h, sizes = self.compressor.counts(space.sizes), memory.estimate, space.sizes
        sent = send_largest(
            target.values, target.offsets, h.values, counted, self.memory_rates(sizes), self.estimate_rates(sizes),
            diagonal,
        )  # fmt: skip
        messages = Batch(Sparse, sent.counts, sent.values, sent.positions, FLOAT_BITS * counted)
        return messages, Memory(h, own=memory.own), sent.norms

    def for_dimension(self, dim: int) -> Self:
        # An unbiased compressor stays: its rate makes it contractive.
        return self._mapped(lambda compressor: compressor.for_dimension(dim))
