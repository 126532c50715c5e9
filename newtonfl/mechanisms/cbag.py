"""The compressed difference is sent on heads: Bernoulli aggregation."""

from __future__ import annotations

from dataclasses import dataclass

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
    >>> lazy.spoken, lazy.constants(4)
    ('cbag:0.75/identity', (0.5, 0.5))
    """

    compressor: Compressor
    p: float = 0.75

    def __post_init__(self) -> None:
        a_compressor("compressor", self.compressor)
        a_probability("p", self.p)

    @property
    def text(self) -> str:
        return f"cbag:{self.p:.17g}"

    @property
    def coin(self) -> float | None:
        return self.p

    def skips(self, coin: bool) -> bool:
        return not coin

    def constants(self, size: int) -> tuple[float, float]:
        return of_contraction(self.p * contraction(self.compressor, size))

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> list[Message]:
        return encoder.compress(self.compressor, points.error)


def bag(p: float = 0.75) -> CBAG:
    """BAG: x itself with probability p, else h (Newton-3PC, arXiv 2206.03588). CBAG with the identity.

    Parameters
    ----------
    p : float
        p in (0, 1].

    Returns
    -------
    CBAG
        With the identity.

    Raises
    ------
    ValueError
        If p is not in (0, 1].

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.bag(0.5).coin
    0.5
    """
    return CBAG(Identity(), p)
