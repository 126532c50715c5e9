"""The compressed difference is sent, every round."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self, TypeAlias

import numpy as np

from newtonfl.backend import Array
from newtonfl.bases import Coordinates
from newtonfl.blocks import Blocks
from newtonfl.compressors import Compressor, Unbiased
from newtonfl.keys import Key
from newtonfl.mechanisms.mechanism import Mechanism
from newtonfl.messages import Message

Alpha: TypeAlias = float | Literal["auto", "theory"]


@dataclass(frozen=True)
class EF21(Mechanism):
    """h ← h + α C(X - h).

    EF21 (arXiv 2106.05203) on gradients, FedNL's rule (arXiv 2106.02969, Algorithm 1, line 6) and the EF21 form of
    Newton-3PC (arXiv 2206.03588) on Hessians. (A, B) = (1 - √(1-δ), (1-δ)/(1 - √(1-δ))) for α = 1.

    Parameters
    ----------
    compressor : Compressor
    alpha : float, "theory" or "auto"
        α. ``theory`` is 1 - √(1-δ) for a contractive compressor and 1/(ω+1) for an unbiased one, per client; ``auto``
        is 1 for a contractive one and 1/(ω+1) for an unbiased one.
    step_uses : {"after", "before"}
        Whether the step uses the estimate after this round's message (Newton-3PC) or before it (FedNL).
    """

    compressor: Compressor
    alpha: Alpha = "auto"
    step_uses: Literal["after", "before"] = "after"

    @property
    def acts_on(self) -> Literal["vector", "symmetric"]:  # type: ignore[override]
        return self.compressor.acts_on

    def gains(self, sizes: Array) -> Array:
        return self.rates(sizes) if self.step_uses == "after" else np.zeros(len(sizes))

    def rates(self, sizes: Array) -> Array:
        return np.array([self._rate(int(size)) for size in sizes])

    def _rate(self, size: int) -> float:
        contract = self.compressor.contract(size)
        if isinstance(contract, Unbiased):
            largest = 1.0 / (contract.omega + 1.0)
            if not isinstance(self.alpha, str) and self.alpha > largest * (1 + 1e-12):
                raise ValueError(
                    f"alpha: given {self.alpha}, {self.compressor.text} is unbiased with ω = "
                    f"{contract.omega:g} and allows at most 1/(ω+1) = {largest:g}: use alpha=theory"
                )
            return largest if isinstance(self.alpha, str) else float(self.alpha)
        if self.alpha == "theory":
            return float(1.0 - np.sqrt(1.0 - contract.delta))
        return 1.0 if self.alpha == "auto" else float(self.alpha)

    def settings(self) -> dict[str, str | float]:
        return {**self.compressor.settings(), "alpha": self.alpha, "step_uses": self.step_uses}

    def messages(self, difference: Blocks, space: Coordinates, clients: Array, key: Key) -> list[Message]:
        return space.compress(self.compressor, difference, clients, key)

    def check(self, space: Coordinates) -> None:
        space.check(self.compressor)
        self.rates(space.sizes)

    def for_dimension(self, dim: int) -> Self:
        return replace(self, compressor=self.compressor.for_dimension(dim))
