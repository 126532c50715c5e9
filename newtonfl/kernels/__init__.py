"""The few hot loops that one library call cannot do. Each has one entry that looks at the array it is given."""

from newtonfl.kernels.csr import csr_product
from newtonfl.kernels.gram import weighted_gram
from newtonfl.kernels.scatter import add_at
from newtonfl.kernels.select import largest
from newtonfl.kernels.solve import cholesky, cholesky_solve

__all__ = ["add_at", "cholesky", "cholesky_solve", "csr_product", "largest", "weighted_gram"]
