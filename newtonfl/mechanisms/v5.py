"""3PCv5 and MARINA: the compressed change, and now and then the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from newtonfl.comm.messages import Message
from newtonfl.compressors import Compressor, Identity, Unbiased
from newtonfl.mechanisms.constants import a_compressor, a_probability, contraction, sends_whole
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints


@dataclass(frozen=True)
class ThreePCv5(Mechanism):
    """x with probability p, else h + C(x - y) (3PCv5, arXiv 2202.00998).

    (A, B) = (1 - √(1-p), (1-p)(1-δ)/(1 - √(1-p))). One coin a round for all clients, as in MARINA. On heads the
    increment x - h is sent: its mean is what the server needs.

    Parameters
    ----------
    compressor : Compressor
        C.
    p : float
        p in (0, 1].
    whole : Compressor
        How the increment is sent: the identity, at the wire's precision.

    Raises
    ------
    TypeError
        If `compressor` is not one.
    ValueError
        If p is not in (0, 1], or `whole` rounds to powers of two.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.ThreePCv5(nf.TopK(2), p=0.75).constants(4)
    (0.5, 0.25)
    """

    compressor: Compressor
    p: float = 0.1
    whole: Compressor = field(default_factory=Identity)
    needs_previous: ClassVar[bool] = True
    name = "3pc-v5"
    shorthand = ("p",)

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        sends_whole(self.name, self.whole)
        a_probability("p", self.p)

    @property
    def coin(self) -> float | None:
        return self.p

    def constants(self, size: int) -> tuple[float, float]:
        root = float(np.sqrt(1.0 - self.p))
        return 1.0 - root, (1.0 - self.p) * (1.0 - contraction(self.compressor, size)) / (1.0 - root)

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        return encoder.compress(self.whole, points.error) if coin else encoder.compress(self.compressor, points.change)


@dataclass(frozen=True)
class Marina(ThreePCv5):
    """x with probability p, else h + Q(x - y), Q unbiased (MARINA, arXiv 2102.07845).

    (A, B) = (p, (1-p)ω), for C_{h,y}(x) - x = (h - y) + (Q(x - y) - (x - y)) on tails; the mean of n clients with
    independent draws has (1-p)ω/n.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.Marina(nf.RandK(2), p=0.25).constants(4)
    (0.25, 0.75)
    """

    name = "marina"

    def constants(self, size: int) -> tuple[float, float]:
        contract = self.compressor.contract(size)
        if not isinstance(contract, Unbiased):
            raise ValueError(f"{self.compressor} is not unbiased, and {self.name} needs a compressor that is")
        return self.p, (1.0 - self.p) * contract.omega

    def for_dimension(self, dim: int) -> Self:
        made = self._mapped(lambda compressor: compressor.for_dimension(dim))
        if not isinstance(made.compressor.contract(1), Unbiased):
            raise ValueError(f"marina: its compressor must be unbiased, such as randk, given {made.compressor}")
        return made
