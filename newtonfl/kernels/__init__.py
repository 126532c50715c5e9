"""The few hot loops that one library call cannot do. Each has one entry that looks at the array it is given."""

from newtonfl.kernels.scatter import add_at
from newtonfl.kernels.select import largest
from newtonfl.kernels.solve import cholesky, cholesky_solve

__all__ = ["add_at", "cholesky", "cholesky_solve", "largest"]
