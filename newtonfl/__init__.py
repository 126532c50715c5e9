"""newtonfl: minimise convex finite sums over clients, when sending numbers is what costs."""

from newtonfl.bases import Support, Symmetric
from newtonfl.compressors import Compressor, Contractive, Identity, RandK, RankR, TopK, Unbiased
from newtonfl.functions import FromFunctions
from newtonfl.keys import Key
from newtonfl.loading import load
from newtonfl.messages import Dense, Indices, LowRank, Message, Nothing, Run, Sparse
from newtonfl.methods import fednl, gd, newton, newton_3pc, newton_zero
from newtonfl.mpi import connect
from newtonfl.problem import Problem
from newtonfl.solver import Reason, Result, solve

__version__ = "0.1.0"

__all__ = [
    "Compressor",
    "Contractive",
    "Dense",
    "FromFunctions",
    "Identity",
    "Indices",
    "Key",
    "LowRank",
    "Message",
    "Nothing",
    "Problem",
    "RandK",
    "RankR",
    "Reason",
    "Result",
    "Run",
    "Sparse",
    "Support",
    "Symmetric",
    "TopK",
    "Unbiased",
    "connect",
    "fednl",
    "gd",
    "load",
    "newton",
    "newton_3pc",
    "newton_zero",
    "solve",
]
