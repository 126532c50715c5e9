"""Error feedback with two memories: EControl."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from newtonfl.comm.messages import Message
from newtonfl.compressors import Compressor
from newtonfl.core.arguments import is_number
from newtonfl.core.ragged import Blocks
from newtonfl.mechanisms.constants import a_compressor, contraction, per_size
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints

Eta: TypeAlias = float | Literal["theory"]


@dataclass(frozen=True)
class EControl(Mechanism):
    """h ← h + Δ with Δ = C(ηe + x - h), and e ← e + (x - h) - Δ, e⁰ = 0 (Gao, Islamov, Stich, arXiv 2311.05645).

    e is the client's own memory: the sum of all that its messages have left out. η = 0 is EF21, which never makes up
    for it. No three-point mechanism: what is lost depends on e.

    ``theory`` is η = (1-q)/(1+q) with q = √(1-δ), some δ/4. Derived here: with a what a message leaves of w = ηe +
    x - h, and d how far the next target moves, w⁺ = a + η(e⁺ - e) + d and e⁺ = (1-η)e + a. From the series of a to
    that of w - d the gain of this recursion is (2+η)/(2-η), so it is stable where q(2+η)/(2-η) < 1, which is η <
    2(1-q)/(1+q), some δ/2; and the errors x - h obey Σ‖x - h‖² ≤ G²Σ‖d‖² with G = q/(1 - q - η(1+q)/2). Half of the
    largest η doubles EF21's G = q/(1-q); beyond all of it a compressor may diverge, as Top-1 of 10 entries does for η =
    ½. The paper's theorems, which bear noise, take η = δ/400: without noise it takes some 400/δ rounds to forget an
    error.

    Parameters
    ----------
    compressor : Compressor
        C.
    eta : float or "theory"
        η in [0, 1].

    Raises
    ------
    TypeError
        If `compressor` is not one.
    ValueError
        If η is another word, or a number outside [0, 1].

    Examples
    --------
    >>> import newtonfl as nf
    >>> feedback = nf.EControl(nf.TopK(3))
    >>> feedback.error_rate(4), feedback.error_gain(4)  # q = ½
    (0.3333333333333333, 2.0)
    """

    compressor: Compressor
    eta: Eta = "theory"
    name = "econtrol"

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        right = self.eta == "theory" if isinstance(self.eta, str) else is_number(self.eta) and 0 <= self.eta <= 1
        if not right:
            raise ValueError(f"eta: given {self.eta!r}, must be 'theory', or a number of at least 0 and at most 1")

    def error_rate(self, size: int) -> float:
        """η of clients with `size` coordinates."""
        if self.eta != "theory":
            return float(self.eta)
        q = self._lost(size)
        return (1.0 - q) / (1.0 + q)

    def error_gain(self, size: int) -> float:
        """G of clients with `size` coordinates; of η = 0 it is EF21's √(B/A).

        Raises
        ------
        ValueError
            Where η is beyond what the recursion bears.
        """
        q, eta = self._lost(size), self.error_rate(size)
        room = 1.0 - q - eta * (1.0 + q) / 2.0
        if q and room <= 0.0:
            raise ValueError(
                f"eta: given {eta:g}, and errors are known to stay bounded below 2(1-q)/(1+q) = "
                f"{2.0 * (1.0 - q) / (1.0 + q):g}, q = √(1-δ)"
            )
        return q / room if q else 0.0

    def _lost(self, size: int) -> float:
        """√(1-δ): the share of a vector's norm that a message may leave out."""
        return math.sqrt(1.0 - contraction(self.compressor, size))

    def constants(self, size: int) -> tuple[float, float]:
        raise ValueError(f"{self} loses what depends on its memory of errors: there are no (A, B)")

    def init_own_memory(self, estimate: Blocks) -> Blocks:
        return estimate.replaced(0.0 * estimate.values)

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        etas = per_size(self.error_rate, encoder.space.sizes)
        return encoder.compress(self.compressor, errors_of(points).times(etas) + points.error)

    def update_own_memory(
        self, points: ThreePoints, messages: Sequence[Message], encoder: Encoder, coin: bool
    ) -> Blocks:
        return encoder.less(errors_of(points) + points.error, messages)


def errors_of(points: ThreePoints) -> Blocks:
    """e, a vector for each client."""
    assert isinstance(points.own, Blocks)
    return points.own
