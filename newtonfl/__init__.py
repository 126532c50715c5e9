"""newtonfl: minimise convex finite sums over clients, when sending numbers is what costs."""

from newtonfl.bases import Support, Symmetric
from newtonfl.compressors import Compressor, Contractive, Identity, RandK, RankR, TopK, Unbiased
from newtonfl.keys import Key
from newtonfl.messages import Dense, Indices, LowRank, Message, Nothing, Run, Sparse
from newtonfl.loading import load
from newtonfl.methods import fednl, gd, newton, newton_3pc, newton_zero
from newtonfl.problem import FromFunctions, Problem
from newtonfl.mpi import connect
from newtonfl.solver import Reason, Result, solve

__version__ = "0.1.0"
