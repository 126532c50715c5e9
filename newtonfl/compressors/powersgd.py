"""One step of a power iteration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.comm.messages import Dense, Factors, Message, Nothing
from newtonfl.compressors.compressor import Contractive, KeepsRank
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class PowerSGD(KeepsRank):
    """PowerSGD: P(XᵀP)ᵀ with P an orthonormal basis of XG, G Gaussian (d, R), symmetrised (FedNL, arXiv 2106.02969).

    The papers publish no δ; this one is ours. δ = R/d in expectation: PPᵀ projects on the range of UΛG, where
    X = UΛUᵀ. By the symmetry of the rows' signs the mean of UᵀPPᵀU is diagonal, with entries π_i whose sum is R (if
    rank X < R, nothing is lost). The share π_i grows with abs(λ_i) and falls with every other abs(λ_j), and G's rows
    are exchangeable, so that π and λ² are ordered alike; by Chebyshev's inequality E‖PPᵀX‖² = Σ π_i λ_i² ≥ (R/d)‖X‖².
    The symmetric part of an estimate is no farther from the symmetric X than the estimate. X = I loses just that much.

    Parameters
    ----------
    r : int
        R, from 1 to d. A client whose matrix is smaller keeps its own dimension.

    Examples
    --------
    A matrix of rank R arrives whole:

    >>> import numpy as np, newtonfl as nf
    >>> nf.PowerSGD(1).compress(np.ones((2, 2)), nf.Key(0)).matrix().round(9)
    array([[1., 1.],
           [1., 1.]])
    """

    name = "powersgd"

    def contract(self, size: int) -> Contractive:
        return Contractive(self.share(size))

    def compress(self, v: Array, key: Key) -> Message:
        if not len(v):
            return Nothing()
        r = min(int(self.r), len(v))
        basis, upper = np.linalg.qr(v @ key.generator().standard_normal((len(v), r)))
        basis *= np.where(np.diag(upper) < 0, -1.0, 1.0)  # a LAPACK's choice of signs is not sent
        return Factors(Dense(basis.T.ravel()), Dense((v @ basis).T.ravel()), r)
