"""MASHA1 and MASHA2: unbiased messages, and contractive ones whose errors are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

from newtonfl.compressors import Compressor, Identity, RandK, TopK
from newtonfl.mechanisms.constants import contraction, made_contractive, omega
from newtonfl.methods.settings import FIRST_ORDER, CompressorForm, TheoryOr
from newtonfl.methods.standalone.masha_round import Masha
from newtonfl.methods.typed import method


@dataclass(frozen=True)
class Masha1(Masha):
    """See :func:`masha1`."""

    keeps_errors: ClassVar[bool] = False

    def noise(self, n: int, dim: int) -> tuple[float, float]:
        growth = 1.0 + omega(self.down, dim)
        return growth, growth * omega(self.compressor, dim) / n

    def used(self, compressor: Compressor) -> Compressor:
        return compressor


@dataclass(frozen=True)
class Masha2(Masha):
    """See :func:`masha2`."""

    keeps_errors: ClassVar[bool] = True

    def noise(self, n: int, dim: int) -> tuple[float, float]:
        delta = contraction(self.compressor, dim) * contraction(self.down, dim)
        return 1.0, (1.0 - delta) / delta**2

    def used(self, compressor: Compressor) -> Compressor:
        return made_contractive(compressor)


@method("masha1", FIRST_ORDER)
def masha1(
    *,
    compressor: CompressorForm = RandK("0.1d"),
    down: CompressorForm = Identity(),
    stepsize: float | str = "theory",
    p: TheoryOr = "theory",
) -> Masha1:
    """MASHA1 (Beznosikov, Richtárik, Diskin, Ryabinin and Gasnikov, arXiv 2110.03313): unbiased compression.

    With z̄ = (1-p)z + pw and z½ = z̄ - γF(w), which everybody knows, client i sends Q(F_i(z½) - F_i(w)), the server Q_s
    of their mean, and z⁺ = z½ - γQ_s(mean Q(F_i(z½) - F_i(w))); with probability p the point w moves to z⁺, and F_i(w)
    goes up, F(w) down, whole. It finds z with F(z) = 0 for a monotone F (:class:`newtonfl.FromOperators`), and
    minimises with F = ∇f. With Q and Q_s the identity and p = 1 it is :func:`extragradient`. From memory of the paper.

    The ridge stands in every F_i. Numbers are sent as float64. γ and p are sent once, in round 0.

    Parameters
    ----------
    compressor : Compressor or str
        Q, unbiased, say RandK("0.1d") or "natural".
    down : Compressor or str
        Q_s, unbiased as well.
    stepsize : float or str
        γ: a number, or "theory" and its multiples: min{p/(2μ), √p/(2C)} with C² = (1+ω_s)(L² + (ω/n) mean L_i²). A
        round then leaves 1 - γμ/2 of the error (:class:`newtonfl.methods.standalone.masha_round.MashaRule`).
    p : float or "theory"
        p in (0, 1], how likely w moves; "theory" is 1/(1+ω), the share of the numbers that RandK sends.
    """
    return Masha1(cast(Compressor, compressor), cast(Compressor, down), stepsize, p, "masha1")


@method("masha2", FIRST_ORDER)
def masha2(
    *,
    compressor: CompressorForm = TopK("0.1d"),
    down: CompressorForm = Identity(),
    stepsize: float | str = "theory",
    p: TheoryOr = "theory",
) -> Masha2:
    """MASHA2 (arXiv 2110.03313): MASHA1 for contractive compressors, whose errors are kept for the next message.

    Client i sends c_i = C(γ(F_i(z½) - F_i(w)) + e_i) and e_i keeps the rest; the server sends C_s(mean c_i + e_s), e_s
    keeps the rest; z⁺ = z½ less that. Unbiased compressors are divided by 1 + ω. From memory of the paper; all else is
    as in :func:`masha1`.

    Parameters
    ----------
    compressor : Compressor or str
        C, contractive, say TopK("0.1d").
    down : Compressor or str
        C_s, contractive as well.
    stepsize : float or str
        γ: a number, or "theory" and its multiples: min{p/(2μ), √p/(2C)} with C² = L² + (1-δ)/δ² mean L_i², where δ is
        the product of both compressors'. No theorem: that is MASHA1's with what stands for errors in the place of ω/n.
    p : float or "theory"
        p in (0, 1], how likely w moves; "theory" is δ of C, the share of the numbers that TopK sends.
    """
    return Masha2(cast(Compressor, compressor), cast(Compressor, down), stepsize, p, "masha2")
