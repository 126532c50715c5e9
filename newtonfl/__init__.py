"""newtonfl: minimise convex finite sums over clients, when sending numbers is what costs."""

from newtonfl.bases import Support, Symmetric
from newtonfl.compressors import (
    BiasedRounding,
    Compressor,
    Contracted,
    Contractive,
    Dithering,
    Identity,
    Natural,
    NaturalDithering,
    PowerSGD,
    RandK,
    RandSeqK,
    RankR,
    RankThenQuantise,
    SelectThenQuantise,
    Threshold,
    TopK,
    TopLEK,
    Unbiased,
)
from newtonfl.functions import FromFunctions
from newtonfl.keys import Key
from newtonfl.loading import load
from newtonfl.messages import (
    Dense,
    Factors,
    Indices,
    Levels,
    LowRank,
    MatrixMessage,
    Message,
    Nothing,
    Run,
    Several,
    Sparse,
)
from newtonfl.methods import dingo, fednl, fib_ios, gd, giant, newton, newton_3pc, newton_zero
from newtonfl.mpi import connect
from newtonfl.problem import Problem
from newtonfl.solver import Reason, Result, solve

__version__ = "0.1.0"

__all__ = [
    "BiasedRounding",
    "Compressor",
    "Contracted",
    "Contractive",
    "Dense",
    "Dithering",
    "Factors",
    "FromFunctions",
    "Identity",
    "Indices",
    "Key",
    "Levels",
    "LowRank",
    "MatrixMessage",
    "Message",
    "Natural",
    "NaturalDithering",
    "Nothing",
    "PowerSGD",
    "Problem",
    "RandK",
    "RandSeqK",
    "RankR",
    "RankThenQuantise",
    "Reason",
    "Result",
    "Run",
    "SelectThenQuantise",
    "Several",
    "Sparse",
    "Support",
    "Symmetric",
    "Threshold",
    "TopK",
    "TopLEK",
    "Unbiased",
    "connect",
    "dingo",
    "fednl",
    "fib_ios",
    "gd",
    "giant",
    "load",
    "newton",
    "newton_3pc",
    "newton_zero",
    "solve",
]
