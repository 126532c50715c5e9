"""3PCv1: a fresh start from the last target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from newtonfl.comm.messages import Message
from newtonfl.compressors import Compressor, Identity
from newtonfl.mechanisms.constants import a_compressor, contraction, sends_whole
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints


@dataclass(frozen=True)
class ThreePCv1(Mechanism):
    """y + C(x - y); (A, B) = (1, 1-δ) (3PCv1, arXiv 2202.00998).

    Whoever listens must know y. The server knows means only, so the whole increment y + C(x - y) - h is sent: as many
    numbers as x has, which is what the papers count.

    Parameters
    ----------
    compressor : Compressor
        C.
    whole : Compressor
        How the increment is sent: the identity, at the wire's precision.

    Raises
    ------
    TypeError
        If `compressor` is not one.
    ValueError
        If `whole` rounds to powers of two.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.ThreePCv1(nf.TopK(2)).constants(4)
    (1.0, 0.5)
    """

    compressor: Compressor
    whole: Compressor = field(default_factory=Identity)
    needs_previous: ClassVar[bool] = True
    name = "3pc-v1"
    shorthand = ()

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        sends_whole("3pc-v1", self.whole)

    def constants(self, size: int) -> tuple[float, float]:
        return 1.0, 1.0 - contraction(self.compressor, size)

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        lost = encoder.less(points.change, encoder.compress(self.compressor, points.change))
        return encoder.compress(self.whole, points.error - lost)  # y + C(x - y) - h = (x - h) - (x - y - C(x - y))
