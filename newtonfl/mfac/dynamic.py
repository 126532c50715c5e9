"""M-FAC's dynamic algorithm: a sliding window of gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Self

import numpy as np
import scipy

from newtonfl.core.backend import Array, namespace, to_device, to_host, zeros
from newtonfl.kernels import cholesky
from newtonfl.mfac.checks import check_memory, finite, positive, real, representable, sizes, too_small
from newtonfl.mfac.fisher import Fisher


class MFAC(Fisher):
    """The dynamic algorithm (arXiv 2107.03356): a window of the last m gradients, exact for what it holds.

    With G the gradients as rows and S = GGᵀ, the LU factors of λ⁻¹S + mI without pivoting hold all that is needed: with
    q_i = m + D_ii and D = triu(U - mI), that is D_ij = g_iᵀF_{i-1}⁻¹g_j, the vectors of the static algorithm are
    v_i = Σ_j B_ij g_j. A product is t = λ⁻¹Gx, t_i ← t_i - Σ_{k<i} D_ki t_k/q_k, F⁻¹x = λ⁻¹x - ((t/q)ᵀB)G.

    The window begins as zeros, and m counts them too. An insertion takes O(dm) for one product with the window and
    O(m³) on the host; the memory is O(dm) on the device and O(m²) on the host.

    Parameters
    ----------
    dim : int
        d.
    window : int
        m.
    dampening : float
        λ > 0.
    like : array or None
        Names the library and device that shall hold the window; None is NumPy.

    Attributes
    ----------
    gradients : array, shape (m, d)
        G, a ring of rows.
    oldest : int
        The row that the next insertion overwrites.
    products : numpy.ndarray, shape (m, m)
        S.
    unit : numpy.ndarray, shape (m, m)
        L of LU: lower triangular with ones on the diagonal, L_ij = D_ji/q_j.
    q : numpy.ndarray, shape (m,)
        The diagonal of U.

    Raises
    ------
    ValueError
        If a size is below 1, or λ is not a finite positive number.

    Examples
    --------
    One of the window's two places is filled, so that F = ½I + ½e₁e₁ᵀ:

    >>> import numpy as np, newtonfl as nf
    >>> window = nf.MFAC(dim=3, window=2, dampening=0.5)
    >>> window.insert(np.array([1.0, 0.0, 0.0]))
    >>> window.product(np.ones(3))
    array([1., 2., 2.])
    >>> window.diagonal()
    array([1., 2., 2.])
    """

    def __init__(self, dim: int, window: int, dampening: float, like: Array = None) -> None:
        dim, m = sizes(dim, window)
        check_memory(dim, m)
        self.dampening = positive(dampening)
        self.gradients = zeros((m, dim), np.zeros(0) if like is None else like)
        self.oldest, self.products, self.unit, self.q = 0, np.zeros((m, m)), np.eye(m), np.full(m, float(m))

    @classmethod
    def of(cls, gradients: Array, dampening: float) -> Self:
        """The window of given gradients. O(dm² + m³).

        Parameters
        ----------
        gradients : array, shape (m, d)
            The oldest first; their library and device hold the window.
        dampening : float
            λ > 0.

        Returns
        -------
        MFAC
            With a copy of them.

        Raises
        ------
        TypeError, ValueError
            As the class and :meth:`insert_all`.
        """
        gradients = real(gradients, (None, None), "gradients")
        filled = cls(gradients.shape[1], gradients.shape[0], dampening, like=gradients)
        filled.insert_all(gradients)
        return filled

    def copy(self) -> Self:
        """A window of its own with the same gradients."""
        other = copy.copy(self)  # an insertion replaces the arrays on the host, and writes into this one alone
        other.gradients = namespace(self.gradients).asarray(self.gradients, copy=True)
        return other

    def insert(self, gradient: Array) -> None:
        """Overwrite the oldest gradient by `gradient` (d,), as :meth:`insert_all` does. O(dm + m³)."""
        self.insert_all(real(gradient, (self.dim,), "gradient")[None, :])

    def insert_all(self, gradients: Array) -> None:
        """Overwrite the k oldest gradients, with one factorisation. O(dmk + m³).

        Parameters
        ----------
        gradients : array, shape (k, d)
            The oldest first. Where k > m the last m stay, as after one insertion each.

        Raises
        ------
        ValueError
            If the shape is another, a number is not finite, or λ is too small for float64 beside such gradients. The
            window is then as it was.
        TypeError
            If they are not real numbers.
        """
        new, m = finite(real(gradients, (None, self.dim), "gradients")), self.window
        k = new.shape[0]
        if not k:
            return
        new = new[max(k - m, 0) :, :]
        places = (self.oldest + np.arange(max(k - m, 0), k)) % m
        products = self.products.copy()
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            across = to_host(self.gradients @ new.T).copy() if k < m else np.empty((m, m))
            across[places] = to_host(new @ new.T)
            products[:, places], products[places, :] = across, across.T
        longest = representable(self.dampening, m, float(np.max(np.diag(products))))
        # U of a symmetric matrix is diag(q)Lᵀ, so Cholesky's factor is L diag(√q): half the work, and a pivot that
        # rounding has made negative is named. NumPy and SciPy on the host: an (m, m) matrix is small.
        factor = cholesky(products / self.dampening + m * np.eye(m))
        if factor is None:
            raise too_small(self.dampening, longest)
        root = np.diag(factor)
        self.unit, self.q, self.products = factor / root, root**2, products
        first, head = int(places[0]), min(len(places), m - int(places[0]))
        self.gradients[first : first + head, :] = new[:head, :]
        if head < len(places):
            self.gradients[: len(places) - head, :] = new[head:, :]
        self.oldest = (self.oldest + k) % m

    @property
    def D(self) -> Array:
        """D, upper triangular, shape (m, m), on the host: D_ij = g_iᵀF_{i-1}⁻¹g_j for i ≤ j."""
        return np.triu(self.q[:, None] * self.unit.T) - self.window * np.eye(self.window)

    @property
    def B(self) -> Array:
        """B, lower triangular, shape (m, m), on the host: v_i = Σ_j B_ij g_j. O(m³)."""
        # B_ii = λ⁻¹ and B_i = -Σ_{j<i} (D_ji/q_j) B_j left of it: row by row that is L B = λ⁻¹I.
        return self._solve(np.eye(self.window) / self.dampening)

    def _solve(self, right: Array, transposed: bool = False) -> Array:
        return scipy.linalg.solve_triangular(
            self.unit, right, trans=int(transposed), lower=True, unit_diagonal=True, check_finite=False
        )

    @property
    def _rows(self) -> Array:
        return self.gradients

    def _weights(self, inner: Array) -> Array:
        # The recurrence t_i ← t_i - Σ_{k<i} (D_ki/q_k) t_k is L t = λ⁻¹Gx; and as B is λ⁻¹L⁻¹, (t/q)ᵀB is one more
        # triangular solve, of O(m²), where B itself would take O(m³) after each insertion.
        t = self._solve(to_host(inner) / self.dampening)
        return to_device(self._solve((t.T / self.q).T, transposed=True) / self.dampening, self.gradients)

    def _squares(self) -> Callable[[Array], Array]:
        root = to_device(self.B / np.sqrt(self.q)[:, None], self.gradients)
        return lambda block: namespace(block).sum((root @ block) ** 2, axis=0)
