"""Problems with personal columns, and the joint problem of (θ, w_1, …, w_n) by NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

import newtonfl as nf

DRAW = np.random.default_rng(7)
N = 4
CLIENTS = np.repeat(np.arange(N), [40, 25, 50, 35])
ROWS = DRAW.standard_normal((150, 5))
MARGINS = ROWS @ [1.0, -0.5, 0.3, 0.0, 0.8] + np.array([0.5, -1.0, 0.0, 1.5])[CLIENTS]
WEIGHTS = DRAW.integers(1, 4, 150).astype(float)
OFFSET = 0.3 * DRAW.standard_normal(150)
LABELS = {
    "logistic": np.where(MARGINS + DRAW.logistic(size=150) > 0, 1.0, -1.0),
    "squared": MARGINS + DRAW.standard_normal(150),
    "poisson": DRAW.poisson(np.exp(MARGINS / 2.0)).astype(float),
    "multinomial": DRAW.integers(0, 3, 150).astype(float),
}
L2 = 0.02

_SIGMOID = scipy.special.expit
PHI = {  # φ, φ′, φ″ of (t, y)
    "logistic": (
        lambda t, y: np.logaddexp(0.0, -y * t),
        lambda t, y: -y * _SIGMOID(-y * t),
        lambda t, y: _SIGMOID(t) * _SIGMOID(-t),
    ),
    "squared": (lambda t, y: (t - y) ** 2 / 2.0, lambda t, y: t - y, lambda t, y: np.ones_like(t)),
    "poisson": (lambda t, y: np.exp(t) - y * t, lambda t, y: np.exp(t) - y, lambda t, y: np.exp(t)),
}


def base(loss="logistic", **more):
    """The problem of all columns, the intercept last: rows of unequal weight, and offsets."""
    more = {"sample_weight": WEIGHTS, "offset": OFFSET, "intercept": True, "l2": L2, "clients": CLIENTS} | more
    return nf.from_arrays(ROWS, LABELS[loss], loss, **more)


@dataclass
class Joint:
    """(1/Σw) Σ_j w_j φ(t_j) + ½ Σ_shared L2 θ² + (1/n) Σ_i ½ Σ λ w_i², of x = (θ, w_1, …, w_n)."""

    loss: str
    own: list[int]
    weights: np.ndarray
    offset: np.ndarray
    l2_own: np.ndarray

    @classmethod
    def of(cls, loss, own, l2=None):
        """With the personal columns `own` of six; the intercept, which is the last, has no penalty of its own."""
        ridge = np.array([0.0 if j == 5 else L2 for j in own]) if l2 is None else np.full(len(own), l2)
        return cls(loss, own, WEIGHTS, OFFSET, ridge)

    @property
    def design(self):
        """The rows of (θ, w_1, …, w_n): each client's personal columns in places of their own."""
        whole = np.column_stack([ROWS, np.ones(150)])
        shared = np.delete(whole, self.own, axis=1)
        private = np.zeros((150, N * len(self.own)))
        for i in range(N):
            mine = i == CLIENTS
            private[np.ix_(mine, range(i * len(self.own), (i + 1) * len(self.own)))] = whole[mine][:, self.own]
        return np.hstack([shared, private])

    @property
    def penalty(self):
        shared = [L2 if j < 5 else 0.0 for j in range(6) if j not in self.own]
        return np.concatenate([shared, np.tile(self.l2_own / N, N)])

    def derivatives(self, x):
        """f, ∇f and ∇²f at x."""
        a, y, w = self.design, LABELS[self.loss], self.weights / self.weights.sum()
        t = a @ x + self.offset
        value, slope, curvature = (part(t, y) for part in PHI[self.loss])
        hessian = a.T @ ((w * curvature)[:, None] * a) + np.diag(self.penalty)
        return w @ value + 0.5 * self.penalty @ x**2, a.T @ (w * slope) + self.penalty * x, hessian

    def solved(self):
        """Its minimiser by Newton's method, halved steps where f does not fall: θ, and w as (n, q)."""
        x = np.zeros(self.design.shape[1])
        for _ in range(60):
            value, gradient, hessian = self.derivatives(x)
            step, size = np.linalg.solve(hessian, gradient), 1.0
            while self.derivatives(x - size * step)[0] > value + 1e-13 * abs(value) and size > 1e-6:
                size /= 2.0
            x = x - size * step
        assert np.linalg.norm(self.derivatives(x)[1]) < 1e-13
        shared = 6 - len(self.own)
        return x[:shared], x[shared:].reshape(N, len(self.own))
