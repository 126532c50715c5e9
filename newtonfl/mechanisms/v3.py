"""3PCv3: another mechanism, then a correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Choice, Message, Several
from newtonfl.compressors import Compressor
from newtonfl.core.ragged import Blocks
from newtonfl.mechanisms.constants import a_compressor, contraction
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, OwnMemory, ThreePoints


@dataclass(frozen=True)
class ThreePCv3(Mechanism):
    """b + C(x - b) with b = C¹_{h,y}(x) of another mechanism; (A, B) = (1 - (1-δ)(1-A₁), (1-δ)B₁) (arXiv 2202.00998).

    Parameters
    ----------
    compressor : Compressor
        C.
    inner : Mechanism
        C¹, one whose messages move h in full: any but EF21 with a rate below 1.

    Raises
    ------
    TypeError
        If `compressor` is no Compressor, or `inner` no Mechanism.

    Examples
    --------
    >>> import newtonfl as nf
    >>> two = nf.ThreePCv3(nf.TopK(2), nf.LAG(2.0))
    >>> two.to_spec(), two.constants(4)
    ('3pc-v3:lag:2/topk:2', (1.0, 1.0))
    """

    compressor: Compressor
    inner: Mechanism
    needs_previous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        if not isinstance(self.inner, Mechanism):
            raise TypeError(f"inner: given {self.inner!r}, must be a Mechanism such as CLAG(TopK(30))")

    name = "3pc-v3"

    @property
    def coin(self) -> float | None:
        return self.inner.coin

    def constants(self, size: int) -> tuple[float, float]:
        delta, (a, b) = contraction(self.compressor, size), self.inner.constants(size)
        return 1.0 - (1.0 - delta) * (1.0 - a), (1.0 - delta) * b

    def check(self, space: Coordinates) -> None:
        super().check(space)
        if (self.inner.memory_rates(space.sizes) != 1.0).any():
            raise ValueError(
                f"3pc-v3: {self.inner.name} moves by less than its message says; give it a contractive compressor "
                "and alpha = 1"
            )

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        if self.inner.skips(coin):
            return encoder.compress(self.compressor, points.error)
        steps = self.inner.messages(points, replace(encoder, key=encoder.key.to("inner")), coin)
        corrections = encoder.compress(self.compressor, encoder.less(points.error, steps))
        plain = [step.message if isinstance(step, Choice) else step for step in steps]  # a sum has no level
        return [Several(pair) for pair in zip(plain, corrections, strict=True)]

    def init_own_memory(self, estimate: Blocks) -> OwnMemory:
        return self.inner.init_own_memory(estimate)

    def update_own_memory(
        self, points: ThreePoints, messages: Sequence[Message], encoder: Encoder, coin: bool
    ) -> OwnMemory:
        if self.inner.skips(coin):
            return points.own
        steps = [message.parts[0] for message in messages if isinstance(message, Several)]
        return self.inner.update_own_memory(points, steps, replace(encoder, key=encoder.key.to("inner")), coin)
