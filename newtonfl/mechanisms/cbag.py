"""The compressed difference is sent on heads: Bernoulli aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from newtonfl.comm.messages import Message
from newtonfl.compressors import Compressor, Identity
from newtonfl.mechanisms.constants import a_compressor, a_probability, contraction, of_contraction
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints


@dataclass(frozen=True)
class CBAG(Mechanism):
    """h + C(x - h) with probability p, else h (Newton-3PC, arXiv 2206.03588, compressed Bernoulli aggregation).

    One coin a round for all clients, thrown by the server before any target is computed: on tails nobody needs its
    Hessian. E‖C_{h,y}(x) - x‖² ≤ (1 - pδ)‖x - h‖², hence (A, B) are those of a compressor that contracts by pδ.

    Parameters
    ----------
    compressor : Compressor
        C.
    p : float
        p in (0, 1].

    Raises
    ------
    TypeError
        If `compressor` is not one.
    ValueError
        If p is not in (0, 1].

    Examples
    --------
    >>> import newtonfl as nf
    >>> lazy = nf.CBAG(nf.Identity(), p=0.75)
    >>> lazy.to_spec(), lazy.constants(4)
    ('cbag:0.75/identity', (0.5, 0.5))
    """

    compressor: Compressor
    p: float = 0.75

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        a_probability("p", self.p)

    name = "cbag"

    @property
    def coin(self) -> float | None:
        return self.p

    def skips(self, coin: bool) -> bool:
        return not coin

    def constants(self, size: int) -> tuple[float, float]:
        return of_contraction(self.p * contraction(self.compressor, size))

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        return encoder.compress(self.compressor, points.error)


@dataclass(frozen=True)
class BAG(CBAG):
    """x itself with probability p, else h (Newton-3PC, arXiv 2206.03588): CBAG with the identity.

    Parameters
    ----------
    p : float
        p in (0, 1].
    compressor : Compressor
        How x is sent: the identity, at the wire's precision.

    Raises
    ------
    TypeError
        If `compressor` is not one.
    ValueError
        If p is not in (0, 1].

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.BAG(0.5).coin, nf.BAG(0.5).to_spec()
    (0.5, 'bag:0.5')
    """

    compressor: Compressor = field(default_factory=Identity, kw_only=True)
    name = "bag"
    main_field = None
