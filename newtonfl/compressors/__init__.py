"""Compressors: how much of a vector or a matrix is sent.

One class a file, a frozen dataclass of its settings. A compressor turns a vector (``acts_on = "vector"``) or a
symmetric matrix into a Message, and states its contract: ``Contractive(δ)`` with E‖C(v) - v‖² ≤ (1 - δ)‖v‖²,
``Unbiased(ω)`` with E C(v) = v and E‖C(v) - v‖² ≤ ω‖v‖², or ``Bounded(τ)``, which contracts what is bounded.
``newtonfl.checks.check_compressor`` holds it to that.

Select (topk, toplek, randk, randseqk, permk, adaptive_random, threshold), factorise (rankr, powersgd), shorten (clip),
quantise (natural, dithering, natural_dithering, rounding, grid), compose (select_quantise, rank_quantise, contracted,
rounded).

May be imported by: bases, mechanisms, components, methods, checks.
"""

from newtonfl.compressors.adaptive_random import AdaptiveRandom
from newtonfl.compressors.clip import Clip
from newtonfl.compressors.compressor import Bounded, Compressor, Contract, Contractive, Unbiased
from newtonfl.compressors.contracted import Contracted
from newtonfl.compressors.dithering import Dithering
from newtonfl.compressors.grid import Grid
from newtonfl.compressors.identity import Identity
from newtonfl.compressors.natural import Natural
from newtonfl.compressors.natural_dithering import NaturalDithering
from newtonfl.compressors.permk import PermK
from newtonfl.compressors.powersgd import PowerSGD
from newtonfl.compressors.quantiser import Quantiser
from newtonfl.compressors.randk import RandK
from newtonfl.compressors.randseqk import RandSeqK
from newtonfl.compressors.rank_quantise import RankThenQuantise
from newtonfl.compressors.rankr import RankR
from newtonfl.compressors.rounded import Rounded
from newtonfl.compressors.rounding import BiasedRounding
from newtonfl.compressors.select_quantise import SelectThenQuantise
from newtonfl.compressors.threshold import Threshold
from newtonfl.compressors.topk import TopK
from newtonfl.compressors.toplek import TopLEK

__all__ = [
    "AdaptiveRandom", "BiasedRounding", "Bounded", "Clip", "Compressor", "Contract", "Contracted", "Contractive",
    "Dithering", "Grid", "Identity", "Natural", "NaturalDithering", "PermK", "PowerSGD", "Quantiser", "RandK",
    "RandSeqK", "RankR", "RankThenQuantise", "Rounded", "SelectThenQuantise", "Threshold", "TopK", "TopLEK", "Unbiased",
]  # fmt: skip
