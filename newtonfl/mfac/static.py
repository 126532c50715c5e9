"""M-FAC's static algorithm: gradients that stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from newtonfl.core.backend import Array, namespace, to_host, zeros
from newtonfl.mfac.checks import finite, positive, real, representable, sizes, too_small
from newtonfl.mfac.fisher import Fisher


class StaticMFAC(Fisher):
    """The static algorithm (arXiv 2107.03356): gradients that stay, and no (m, m) matrix.

    With F_i = λI + (1/m) Σ_{j≤i} g_j g_jᵀ, the formula of Sherman and Morrison gives one vector a gradient,
    v_i = F_{i-1}⁻¹g_i = λ⁻¹g_i - Σ_{j<i} (v_j·g_i)/q_j v_j with q_j = m + g_j·v_j, and
    F⁻¹x = λ⁻¹x - Σ_i (v_i·x)/q_i v_i. The set-up takes O(dm²), the memory is O(dm), twice that of the gradients.

    Parameters
    ----------
    gradients : array, shape (m, d)
        Kept as they are where they are float64: not to be changed.
    dampening : float
        λ > 0.

    Attributes
    ----------
    vectors : array, shape (m, d)
        The v_i as rows.
    q : array, shape (m,)
        The q_i.

    Raises
    ------
    TypeError
        If the gradients are not real numbers.
    ValueError
        If the shape is another, λ is not a finite positive number or too small for float64 beside such gradients, or a
        gradient is not finite.

    Examples
    --------
    F = ½I + ½(e₁e₁ᵀ + e₂e₂ᵀ):

    >>> import numpy as np, newtonfl as nf
    >>> nf.StaticMFAC(np.eye(2, 3), dampening=0.5).product(np.ones(3))
    array([1., 1., 2.])
    """

    def __init__(self, gradients: Array, dampening: float) -> None:
        self.dampening = positive(dampening)
        self.gradients = finite(real(gradients, (None, None), "gradients"))
        sizes(self.dim, self.window)
        xp = namespace(self.gradients)
        with np.errstate(over="ignore"):  # refused in the next line
            largest = float(to_host(xp.max(xp.vecdot(self.gradients, self.gradients))))
        longest = representable(self.dampening, self.window, largest)
        self.vectors, self.q = zeros((self.window, self.dim), gradients), zeros(self.window, gradients)
        for i in range(self.window):  # each needs all before it: products of a matrix and a vector
            gradient, before = self.gradients[i, :], self.vectors[:i, :]
            self.vectors[i, :] = gradient / self.dampening - ((before @ gradient) / self.q[:i]) @ before
            self.q[i] = self.window + xp.sum(gradient * self.vectors[i, :])
        if not bool(xp.all(self.q > 0)):
            raise too_small(self.dampening, longest)

    @property
    def _rows(self) -> Array:
        return self.vectors

    def _weights(self, inner: Array) -> Array:
        return (inner.T / self.q).T if inner.ndim == 2 else inner / self.q

    def _squares(self) -> Callable[[Array], Array]:
        return lambda block: (1.0 / self.q) @ block**2
