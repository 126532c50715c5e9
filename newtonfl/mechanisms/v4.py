"""3PCv4: one compressed difference after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from newtonfl.comm.messages import Message, Several
from newtonfl.compressors import Compressor
from newtonfl.mechanisms.constants import a_compressor, contraction, of_contraction
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints


@dataclass(frozen=True)
class ThreePCv4(Mechanism):
    """b + C₁(x - b) with b = h + C₂(x - h) (3PCv4, arXiv 2202.00998). Two messages are sent.

    (A, B) = (1 - √(1-δ̄), (1-δ̄)/(1 - √(1-δ̄))) with δ̄ = 1 - (1-δ₁)(1-δ₂).

    Parameters
    ----------
    compressor : Compressor
        C₁.
    first : Compressor
        C₂.

    Raises
    ------
    TypeError
        If one of them is no Compressor.

    Examples
    --------
    >>> import newtonfl as nf
    >>> two = nf.ThreePCv4(nf.TopK(2), nf.TopK(2))
    >>> two.to_spec(), two.constants(4)
    ('3pc-v4:topk:2/topk:2', (0.5, 0.5))
    """

    compressor: Compressor
    first: Compressor

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        a_compressor("first", self.first)

    name = "3pc-v4"

    def constants(self, size: int) -> tuple[float, float]:
        left = (1.0 - contraction(self.compressor, size)) * (1.0 - contraction(self.first, size))
        return of_contraction(1.0 - left)

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        steps = encoder.compress(self.first, points.error, "first")
        corrections = encoder.compress(self.compressor, encoder.less(points.error, steps))
        return [Several(pair) for pair in zip(steps, corrections, strict=True)]
