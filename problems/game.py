"""A game of two players with a known equilibrium

One player chooses x, the other y. Moved from z* to zero, and without b_i, x wants xᵀB_i y + (μ/2)‖x‖² small and y wants
xᵀB_i y - (μ/2)‖y‖² large: F_i(z) = A_i (z - z*) + b_i with z = (x, y), A_i = [[μI, B_i], [-B_iᵀ, μI]] and Σ b_i = 0.
Nothing is minimised, and methods that minimise refuse it: `newtonfl solve game --method extragradient`.
"""

import numpy as np

import newtonfl as nf

PLAYER, MU = 6, 0.5


def parts(clients: int, seed: int = 0):
    """(A_i, b_i, z*): arrays of shape (n, d, d), (n, d) and (d,), with d = 12."""
    draw = np.random.Generator(np.random.Philox(seed))
    shared, own = draw.standard_normal((PLAYER, PLAYER)), draw.standard_normal((clients, PLAYER, PLAYER))
    coupling = (shared + own / 2) / np.sqrt(PLAYER)
    matrices = np.tile(MU * np.eye(2 * PLAYER), (clients, 1, 1))
    matrices[:, :PLAYER, PLAYER:] = coupling
    matrices[:, PLAYER:, :PLAYER] = -coupling.transpose(0, 2, 1)
    tilts = draw.standard_normal((clients, 2 * PLAYER))
    return matrices, tilts - tilts.mean(axis=0), draw.standard_normal(2 * PLAYER)


def problem(comm=None, clients=8):
    """The game of `clients`, in 12 dimensions."""
    matrices, tilts, z_star = parts(clients)
    return nf.FromOperators(
        clients, 2 * PLAYER,
        lambda i, z: matrices[i] @ (z - z_star) + tilts[i],
        lipschitz=np.linalg.norm(matrices, 2, axis=(1, 2)),
        strong_monotonicity=MU,
        objective="(1/n) Σ A_i (z - z*) + b_i = 0, μ = 0.5",
        transport=comm,
    )  # fmt: skip
