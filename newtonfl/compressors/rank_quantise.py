"""The R largest eigenpairs, their vectors quantised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from newtonfl.comm.messages import FLOAT_BITS, Factors, Message, Nothing
from newtonfl.compressors.compressor import Compressor, Contractive, dimension
from newtonfl.compressors.quantiser import Quantiser
from newtonfl.compressors.rankr import RankR
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class RankThenQuantise(Compressor):
    """Σ Q(u_r) Q'(λ_r u_r)ᵀ/(ω + 1)² over the R largest eigenpairs, Q and Q' drawn independently; δ = R/(d(ω + 1)²).

    NRank-R and RRank-R of Basis Learn (Qian et al., arXiv 2111.01847), symmetrised. One draw for both vectors would
    make it biased. The papers count both vectors' bits, and 32 more a rank for λ_r where Q sends norms of its own.

    Parameters
    ----------
    rank : RankR
        How many eigenpairs are kept.
    quantise : Natural, Dithering or NaturalDithering
        Q.

    Examples
    --------
    >>> import newtonfl as nf
    >>> both = nf.RankThenQuantise(nf.RankR(1), nf.Natural())
    >>> both.to_spec(), round(both.contract(3).delta, 4)  # a triangle of 3 entries: d = 2
    ('rank:1+natural', 0.3951)
    """

    rank: RankR
    quantise: Quantiser
    acts_on = "symmetric"

    name = "rank-quantise"
    joined_by_plus = True

    def contract(self, size: int) -> Contractive:
        return Contractive(self.rank.contract(size).delta * self.factor(dimension(size)))

    def factor(self, dim: int) -> float:
        """1/(ω_d + 1)² for vectors of length `dim`."""
        return 1.0 / (self.quantise.contract(dim).omega + 1.0) ** 2

    def compress(self, v: Array, key: Key) -> Message:
        if not len(v):
            return Nothing()
        values, units = self.rank.eigenpairs(v)
        left = self.quantise.quantise(units, key.to("left"))
        right = self.quantise.quantise(values[:, None] * units, key.to("right"))
        norms = FLOAT_BITS * len(values) if self.quantise.sends_norm else 0
        bits = left.formula_bits + right.formula_bits + norms
        return Factors(left, right, len(values), formula_bits=bits).scaled(self.factor(len(v)))

    def for_dimension(self, dim: int) -> Self:
        return replace(self, rank=self.rank.for_dimension(dim), quantise=self.quantise.for_dimension(dim))
