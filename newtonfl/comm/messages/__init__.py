"""The closed set of message forms: each knows its numbers, its bytes and the papers' formula bits."""

from newtonfl.comm.messages.batch import Batch, Batches, batched, concatenated, groups_of
from newtonfl.comm.messages.choice import Choice
from newtonfl.comm.messages.integers import Integers
from newtonfl.comm.messages.lattice import Lattice
from newtonfl.comm.messages.levels import Levels
from newtonfl.comm.messages.matrices import Factors, LowRank
from newtonfl.comm.messages.message import FLOAT_BITS, MatrixMessage, Message
from newtonfl.comm.messages.several import SUMMANDS, Several
from newtonfl.comm.messages.vectors import Dense, Indices, Nothing, Run, Sparse, batch_of_one

FORMS: dict[int, type[Message]] = {form.form: form for form in (Indices, Several, Choice, Lattice)} | SUMMANDS

__all__ = [
    "FLOAT_BITS", "FORMS", "Batch", "Batches", "Choice", "Dense", "Factors", "Indices", "Integers", "Lattice", "Levels",
    "LowRank", "MatrixMessage", "Message", "Nothing", "Run", "Several", "Sparse", "batch_of_one", "batched",
    "concatenated", "groups_of",
]  # fmt: skip
