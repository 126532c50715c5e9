"""3PCv2: an unbiased step along the change, then a correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from newtonfl.comm.messages import Message, Several
from newtonfl.compressors import Compressor, Unbiased
from newtonfl.mechanisms.constants import a_compressor, contraction, made_contractive
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints


@dataclass(frozen=True)
class ThreePCv2(Mechanism):
    """b + C(x - b) with b = h + Q(x - y); (A, B) = (δ, (1-δ)ω) (3PCv2, arXiv 2202.00998). Two messages are sent.

    Parameters
    ----------
    compressor : Compressor
        C, contractive.
    first : Compressor
        Q, unbiased.

    Raises
    ------
    TypeError
        If one of them is no Compressor.

    Examples
    --------
    >>> import newtonfl as nf
    >>> two = nf.ThreePCv2(nf.TopK(2), nf.RandK(1))
    >>> two.to_spec(), two.constants(4)
    ('3pc-v2:randk:1/topk:2', (0.5, 1.5))
    """

    compressor: Compressor
    first: Compressor
    needs_previous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        a_compressor("first", self.first)

    name = "3pc-v2"

    def constants(self, size: int) -> tuple[float, float]:
        delta, contract = contraction(self.compressor, size), self.first.contract(size)
        if not isinstance(contract, Unbiased):
            raise ValueError(f"{self.first} is not unbiased, and {self.name} needs a compressor that is")
        return delta, (1.0 - delta) * contract.omega

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        steps = encoder.compress(self.first, points.change, "first")
        corrections = encoder.compress(self.compressor, encoder.less(points.error, steps))
        return [Several(pair) for pair in zip(steps, corrections, strict=True)]

    def for_dimension(self, dim: int) -> Self:
        first = self.first.for_dimension(dim)
        if not isinstance(first.contract(1), Unbiased):
            raise ValueError(f"3pc-v2: its first compressor must be unbiased, such as randk, given {first}")
        return type(self)(made_contractive(self.compressor.for_dimension(dim)), first, step_uses=self.step_uses)
