"""Compressors: how much of a vector or matrix is sent."""

from newtonfl.compressors.compressor import Compressor, Contractive, Unbiased
from newtonfl.compressors.contracted import Contracted
from newtonfl.compressors.dithering import Dithering
from newtonfl.compressors.identity import Identity
from newtonfl.compressors.natural import Natural
from newtonfl.compressors.natural_dithering import NaturalDithering
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
    "BiasedRounding", "Compressor", "Contracted", "Contractive", "Dithering", "Identity", "Natural",
    "NaturalDithering", "PowerSGD", "Quantiser", "RandK", "RandSeqK", "RankR", "RankThenQuantise", "Rounded",
    "SelectThenQuantise", "Threshold", "TopK", "TopLEK", "Unbiased",
]  # fmt: skip
