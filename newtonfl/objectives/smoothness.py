"""How smooth each client's function is: the largest eigenvalues of its rows' Gram matrices."""

from __future__ import annotations

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.ragged import Blocks
from newtonfl.objectives.rows import Rows
from newtonfl.objectives.sparse_rows import SparseRows


def largest_eigenvalues(rows: Rows, weights: Array) -> Array:
    """λ_max(Σ_j w_j a_j a_jᵀ) of each client's rows, shape (n,), on the host.

    From √W A Aᵀ √W or Aᵀ W A, whichever is smaller: both have the same largest eigenvalue. One client at a time and by
    a direct method, so that the bits depend on no other client, and no iteration stops below the true value.

    Parameters
    ----------
    rows : Rows
    weights : numpy.ndarray, shape (N,)
        w_j ≥ 0, on the host.
    """
    of_client = Blocks(np.sqrt(weights), rows.offsets)
    with np.errstate(over="ignore", invalid="ignore"):  # the constant is infinite then, which its reader checks
        return np.array([_largest(rows, i, root) for i, root in enumerate(of_client)], dtype=np.float64)


def _largest(rows: Rows, i: int, root: Array) -> float:
    count = len(root)
    if count == 0:
        return 0.0
    if isinstance(rows, SparseRows):
        scaled = rows.block(i).multiply(root[:, None]).tocsr()
        gram = (scaled @ scaled.T if count < rows.dim else scaled.T @ scaled).toarray()
    else:
        scaled = root[:, None] * rows.on_host(i)
        gram = scaled @ scaled.T if count < rows.dim else scaled.T @ scaled
    return max(0.0, float(np.linalg.eigvalsh(gram)[-1])) if np.isfinite(gram).all() else np.inf
