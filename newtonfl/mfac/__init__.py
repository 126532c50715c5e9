"""M-FAC: products with the inverse of a dampened empirical Fisher matrix, which is never formed.

E. Frantar, E. Kurtic, D. Alistarh, M-FAC: Efficient Matrix-Free Approximations of Second-Order Information
(arXiv 2107.03356): the dynamic algorithm for a sliding window of gradients, and the static one for gradients that stay.
Linear algebra alone, which knows neither clients nor messages.

May be imported by: components.
"""

from newtonfl.mfac.dynamic import MFAC
from newtonfl.mfac.static import StaticMFAC

__all__ = ["MFAC", "StaticMFAC"]
