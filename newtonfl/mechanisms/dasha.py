"""The change, and a share of what has been left out before, sent by an unbiased compressor: DASHA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, TypeAlias

from newtonfl.comm.messages import Message
from newtonfl.compressors import Compressor
from newtonfl.core.arguments import is_number
from newtonfl.mechanisms.constants import a_compressor, omega, per_size
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints

Momentum: TypeAlias = float | Literal["theory"]


@dataclass(frozen=True)
class Dasha(Mechanism):
    """h + Q(x - y - a(h - y)), Q unbiased (DASHA, Tyurin, Richtárik, arXiv 2202.01268): MARINA, nothing sent whole.

    Derived here: (A, B) = (1 - (1-a)² - 2ωa², 2ω), for C_{h,y}(x) - x is (1-a)(h - y) and the noise of Q, of variance
    at most ω‖x - y - a(h - y)‖² ≤ 2ω‖x - y‖² + 2ωa²‖h - y‖². ``theory`` is a = 1/(2ω+1), and then A = a.

    Parameters
    ----------
    compressor : Compressor
        Q.
    momentum : float or "theory"
        a in (0, 1].

    Raises
    ------
    TypeError
        If `compressor` is not one.
    ValueError
        If a is another word, or a number outside (0, 1].

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.Dasha(nf.RandK(2)).constants(3)  # ω = ½
    (0.5, 1.0)
    """

    compressor: Compressor
    momentum: Momentum = "theory"
    needs_previous: ClassVar[bool] = True
    name = "dasha"

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        a = self.momentum
        if not (a == "theory" if isinstance(a, str) else is_number(a) and 0 < a <= 1):
            raise ValueError(f"momentum: given {a!r}, must be 'theory', or a number above 0 and at most 1")

    def momentum_of(self, size: int) -> float:
        """The a of clients with `size` coordinates."""
        return 1.0 / (2.0 * omega(self.compressor, size) + 1.0) if self.momentum == "theory" else float(self.momentum)

    def constants(self, size: int) -> tuple[float, float]:
        variance, a = omega(self.compressor, size), self.momentum_of(size)
        contraction = a * (2.0 - a * (1.0 + 2.0 * variance))
        if contraction <= 0.0:
            most = 2.0 / (1.0 + 2.0 * variance)
            raise ValueError(f"momentum: given {a:g}, and (A, B) are known below 2/(1+2ω) = {most:g}")
        return contraction, 2.0 * variance

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        behind = points.previous - points.estimate
        momenta = per_size(self.momentum_of, encoder.space.sizes)
        return encoder.compress(self.compressor, points.change + behind.times(momenta))

    def for_dimension(self, dim: int) -> Self:
        made = self._mapped(lambda compressor: compressor.for_dimension(dim))
        omega(made.compressor, dim)  # says so where it is biased
        return made
