"""The compressed difference is sent where it has grown: lazy aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from newtonfl.comm.messages import Message, Nothing
from newtonfl.compressors import Compressor, Identity
from newtonfl.core.arguments import a_factor
from newtonfl.mechanisms.constants import a_compressor, contraction, of_contraction
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
    >>> lazy.to_spec(), lazy.constants(4)
    ('clag:2/topk:3', (0.5, 2.0))
    """

    compressor: Compressor
    zeta: float = 2.0
    needs_previous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        a_factor("zeta", self.zeta)

    name = "clag"

    def constants(self, size: int) -> tuple[float, float]:
        a, b = of_contraction(contraction(self.compressor, size))
        return a, max(b, self.zeta)

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        participants = encoder.squares(points.error) > self.zeta * encoder.squares(points.change)
        if not participants.any():
            return [Nothing() for _ in participants]
        return [
            message if participates else Nothing()
            for message, participates in zip(encoder.compress(self.compressor, points.error), participants, strict=True)
        ]


@dataclass(frozen=True)
class LAG(CLAG):
    """x itself where ‖x - h‖² > ζ‖x - y‖², else h; (A, B) = (1, ζ) (3PC, arXiv 2202.00998): CLAG with the identity.

    Parameters
    ----------
    zeta : float
        ζ ≥ 0.
    compressor : Compressor
        How x is sent: the identity, at the wire's precision.

    Raises
    ------
    TypeError
        If `compressor` is not one.
    ValueError
        If ζ is not a finite number of at least 0.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.LAG(2.0).constants(4), nf.LAG(2.0).to_spec()
    ((1.0, 2.0), 'lag:2')
    """

    compressor: Compressor = field(default_factory=Identity, kw_only=True)
    name = "lag"
    main_field = None
