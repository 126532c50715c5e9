"""Compressors: how much of a vector or matrix is sent."""

from newtonfl.compressors.compressor import Compressor, Contractive, Unbiased
from newtonfl.compressors.identity import Identity
from newtonfl.compressors.randk import RandK
from newtonfl.compressors.rankr import RankR
from newtonfl.compressors.rounded import Rounded
from newtonfl.compressors.topk import TopK

__all__ = ["Compressor", "Contractive", "Identity", "RandK", "RankR", "Rounded", "TopK", "Unbiased"]
