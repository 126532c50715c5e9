"""The compressed difference is sent where it has grown: lazy aggregation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from newtonfl.comm.messages import Message, Nothing
from newtonfl.compressors import Compressor, Identity
from newtonfl.mechanisms.constants import a_compressor, a_factor, contraction, of_contraction
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints


@dataclass(frozen=True)
class CLAG(Mechanism):
    """h + C(x - h) where ‖x - h‖² > ζ‖x - y‖², else h (3PC, arXiv 2202.00998; for Hessians arXiv 2206.03588).

    (A, B) = (1 - √(1-δ), max{(1-δ)/(1 - √(1-δ)), ζ}). ζ = 0 is EF21. A client that keeps still sends a word of nothing,
    and computes its Hessian all the same: the comparison needs it.

    Parameters
    ----------
    compressor : Compressor
        C.
    zeta : float
        ζ ≥ 0.

    Raises
    ------
    TypeError
        If `compressor` is not one.
    ValueError
        If ζ is not a finite number of at least 0.

    Examples
    --------
    >>> import newtonfl as nf
    >>> lazy = nf.CLAG(nf.TopK(3), zeta=2.0)
    >>> lazy.spoken, lazy.constants(4)
    ('clag:2/topk:3', (0.5, 2.0))
    """

    compressor: Compressor
    zeta: float = 2.0
    needs_previous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        a_factor("zeta", self.zeta)

    @property
    def text(self) -> str:
        return f"clag:{self.zeta:.17g}"

    def constants(self, size: int) -> tuple[float, float]:
        a, b = of_contraction(contraction(self.compressor, size))
        return a, max(b, self.zeta)

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> list[Message]:
        participants = encoder.squares(points.error) > self.zeta * encoder.squares(points.change)
        if not participants.any():
            return [Nothing() for _ in participants]
        return [
            message if participates else Nothing()
            for message, participates in zip(encoder.compress(self.compressor, points.error), participants, strict=True)
        ]


def lag(zeta: float = 2.0) -> CLAG:
    """LAG: x itself where ‖x - h‖² > ζ‖x - y‖², else h; (A, B) = (1, ζ) (3PC, arXiv 2202.00998).

    Parameters
    ----------
    zeta : float
        ζ ≥ 0.

    Returns
    -------
    CLAG
        With the identity.

    Raises
    ------
    ValueError
        If ζ is not a finite number of at least 0.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.lag(2.0).constants(4)
    (1.0, 2.0)
    """
    return CLAG(Identity(), zeta)
