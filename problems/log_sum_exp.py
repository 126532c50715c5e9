"""Smooth maximum of linear functions, minimised at zero

f_i(x) = σ log Σ_j exp((a_ijᵀx - b_ij)/σ) + (λ/2)‖x‖²: no generalised linear model (Newton-3PC, arXiv 2206.03588,
experiments). With g = (1/n) Σ_i Σ_j p_ij c_ij for raw rows c_ij and p_ij ∝ exp(-b_ij/σ), the rows are a_ij = c_ij - g.
Since Σ_j p_ij = 1, that moves the gradient at 0 from g to 0: x* = 0 and f* = (1/n) Σ_i σ log Σ_j exp(-b_ij/σ).
"""

import numpy as np
from scipy.special import logsumexp, softmax

import newtonfl as nf

DIM, ROWS = 20, 50


def parts(clients, sigma, seed=0):
    """The rows a_ij, shape (n, m, d), and b_ij, shape (n, m)."""
    draw = np.random.Generator(np.random.Philox(seed))
    rows, offsets = draw.uniform(-1.0, 1.0, (clients, ROWS, DIM)), draw.uniform(-1.0, 1.0, (clients, ROWS))
    at_zero = softmax(-offsets / sigma, axis=1)
    return rows - np.mean([p @ c for p, c in zip(at_zero, rows, strict=True)], axis=0), offsets


def problem(comm=None, clients=10, l2=1e-3, sigma=0.5):
    """`clients` smooth maxima of 50 functions each, in 20 dimensions."""
    rows, offsets = parts(clients, sigma)
    longest = np.linalg.norm(rows, axis=2).max(axis=1)

    def value(i, x):
        return sigma * logsumexp((rows[i] @ x - offsets[i]) / sigma)

    def shares(i, x):
        return softmax((rows[i] @ x - offsets[i]) / sigma)

    def hessian(i, x):
        p = shares(i, x)
        centred = np.sqrt(p)[:, None] * (rows[i] - p @ rows[i])
        return centred.T @ centred / sigma

    return nf.FromFunctions(
        clients, DIM,
        value,
        lambda i, x: shares(i, x) @ rows[i],
        hessian,
        l2=l2,
        # uᵀ∇²f_i u is the variance of a_ijᵀu over j, divided by σ; the third derivative a third moment over σ².
        smoothness=np.mean(longest**2) / sigma * np.eye(DIM),
        hessian_lipschitz=2 * longest**3 / sigma**2,
        objective=f"(1/{clients}) Σ_i {sigma:g} log Σ_j exp((a_ijᵀx - b_ij)/{sigma:g}) + ({l2:g}/2)‖x‖²",
        transport=comm,
        f_star=float(np.mean([value(i, np.zeros(DIM)) for i in range(clients)])),
    )  # fmt: skip
