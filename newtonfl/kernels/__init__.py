"""Kernels: the few hot loops that one library call cannot do.

Each has one entry that looks at the array that it is given, a form for NumPy, and one for CuPy where that needs
another. Beside core/backend this is the only district that may name CuPy. A kernel knows arrays, and neither clients
nor methods.

add_at, add_in_order, add_rows
    Adding into chosen positions: of one vector, of many clients one after the other; and rows one after the other.
cholesky, cholesky_solve
    Symmetric positive definite systems.
checksums
    CRC-32 of many pieces.
conjugate_gradients
    A symmetric system by products with its matrix.
damped_bfgs
    The update of a Hessian's estimate by a step and the gradient's change.
csr_product
    A sparse matrix times a vector, each row summed from left to right.
gather, interleave
    Bytes of many clients, taken out of a buffer and put together in one.
largest
    Which k entries of each client's vector are the largest.
compiled
    When the forms for numba are used.
pairs, pair_sums
    The pairs of features that meet in a row, and their places; sums of their weighted products.
range_encode, range_decode, Laws
    A range coder of integers under laws that both ends know.
rice
    Rice's code of increasing lists of positions.
lanczos
    A function of a symmetric matrix that answers with products, times a vector.
subspaces
    ``SubspaceSum``: H = Σ V_i Λ_i V_iᵀ by its small matrices, products with it and systems with it.
send_largest
    Top-K of a difference, its norm, and the estimate moved by it.
log_ndtr, erfcx
    Special functions that the Array API does not know.
sums, norms
    Each client's sum and 2-norm.
weighted
    Terms of many clients, each times a number of its client's.
weighted_grams
    Bᵀ diag(w) B of many matrices, as packed triangles.

May be imported by: comm, mfac, objectives, compressors, bases, mechanisms, components, methods, solver,
statistics.
"""

from newtonfl.kernels.bfgs import damped_bfgs
from newtonfl.kernels.checksums import checksums
from newtonfl.kernels.conjugate_gradients import conjugate_gradients
from newtonfl.kernels.csr import csr_product
from newtonfl.kernels.gram import weighted_grams
from newtonfl.kernels.pairs import pair_sums, pairs
from newtonfl.kernels.pieces import gather, interleave
from newtonfl.kernels.range_coder import Laws, range_decode, range_encode
from newtonfl.kernels.scatter import add_at, add_in_order, add_rows, weighted
from newtonfl.kernels.select import largest
from newtonfl.kernels.send import send_largest
from newtonfl.kernels.solve import cholesky, cholesky_solve, eigh
from newtonfl.kernels.special import erfcx, log_ndtr
from newtonfl.kernels.subspaces import Subspaces, SubspaceSum, is_even
from newtonfl.kernels.sums import norms, sums

__all__ = [
    "Laws", "SubspaceSum", "Subspaces", "add_at", "add_in_order", "add_rows", "checksums", "cholesky",
    "cholesky_solve", "conjugate_gradients", "csr_product", "damped_bfgs", "eigh", "erfcx", "gather", "interleave",
    "is_even", "largest", "log_ndtr", "norms", "pair_sums", "pairs", "range_decode", "range_encode",
    "send_largest", "sums", "weighted", "weighted_grams",
]  # fmt: skip
