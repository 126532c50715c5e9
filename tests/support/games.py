"""A game with a solution that is constructed: strongly convex for one player, strongly concave for the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import newtonfl as nf


@dataclass
class Game:
    """F_i(z) = A_i(z - z*) + b_i with Σ b_i = 0, so F(z*) = 0; (A_i + A_iᵀ)/2 = μI, and the rest turns.

    It is the saddle point of g_i = xᵀB_i y + (μ/2)(‖x‖² - ‖y‖²), moved to z* and tilted by b_i.
    """

    matrices: list[np.ndarray]
    tilts: np.ndarray
    solution: np.ndarray
    mu: float
    lam: float = 0.0

    @property
    def n(self) -> int:
        return len(self.matrices)

    @property
    def d(self) -> int:
        return len(self.solution)

    def gradient(self, z: np.ndarray, i: int) -> np.ndarray:
        """F_i(z): by this name boxes ask for it."""
        return self.matrices[i] @ (z - self.solution) + self.tilts[i]

    @property
    def lipschitz(self) -> np.ndarray:
        return np.array([np.linalg.norm(matrix, 2) for matrix in self.matrices])

    def problem(self, **settings) -> nf.FromOperators:
        known = {"lipschitz": self.lipschitz, "strong_monotonicity": self.mu, **settings}
        return nf.FromOperators(self.n, self.d, lambda i, z: self.gradient(z, i), **known)


def quadratic_game(n: int = 8, dim_x: int = 6, dim_y: int = 6, mu: float = 0.5, seed: int = 0) -> Game:
    """Of `n` clients, with `dim_x` and `dim_y` numbers for the players, coupled by matrices B_i of random entries."""
    draw = np.random.default_rng(seed)
    shared, matrices = draw.standard_normal((dim_x, dim_y)), []
    for _ in range(n):
        coupling = (shared + 0.5 * draw.standard_normal((dim_x, dim_y))) / np.sqrt(max(dim_x, dim_y))
        square = mu * np.eye(dim_x + dim_y)
        square[:dim_x, dim_x:], square[dim_x:, :dim_x] = coupling, -coupling.T
        matrices.append(square)
    tilts = draw.standard_normal((n, dim_x + dim_y))
    return Game(matrices, tilts - tilts.mean(axis=0), draw.standard_normal(dim_x + dim_y), mu)
