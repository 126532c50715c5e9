"""Quadratics of known spectrum and minimiser

f_i(x) = ½ (x - c_i)ᵀ A_i (x - c_i) with A_i = A + E_i, where A = Q diag(spectrum) Qᵀ and the symmetric E_i sum to zero.
The c_i are such that Σ A_i (x* - c_i) = 0 for the x* that :func:`minimiser` gives, so f* is known by construction.
"""

import numpy as np

import newtonfl as nf

DIM = 20


def parts(clients: int, seed: int = 0):
    """(A_i, c_i, x*): arrays of shape (n, d, d), (n, d) and (d,)."""
    draw = np.random.Generator(np.random.Philox(seed))
    basis = np.linalg.qr(draw.standard_normal((DIM, DIM)))[0]
    mean = (basis * np.geomspace(1e-2, 1.0, DIM)) @ basis.T
    noise = draw.standard_normal((clients, DIM, DIM))
    noise = noise + noise.transpose(0, 2, 1)
    noise -= noise.mean(axis=0)
    # Each E_i stays below the smallest eigenvalue of A, so that every A_i is positive definite.
    noise *= 5e-3 / max(np.linalg.norm(e, 2) for e in noise)
    matrices = mean + (noise + noise.transpose(0, 2, 1)) / 2
    x_star = draw.standard_normal(DIM)
    pulls = draw.standard_normal((clients, DIM))
    pulls -= pulls.mean(axis=0)
    centres = np.stack([x_star - np.linalg.solve(a, pull) for a, pull in zip(matrices, pulls, strict=True)])
    return matrices, centres, x_star


def problem(comm=None, clients=10):
    """`clients` quadratics in 20 dimensions."""
    matrices, centres, x_star = parts(clients)

    def value(i, x):
        return 0.5 * (x - centres[i]) @ matrices[i] @ (x - centres[i])

    return nf.FromFunctions(
        clients, DIM,
        value,
        lambda i, x: matrices[i] @ (x - centres[i]),
        lambda i, x: matrices[i],
        smoothness=matrices.mean(axis=0),
        objective="(1/n) Σ ½ (x - c_i)ᵀ A_i (x - c_i), eigenvalues of the mean A from 0.01 to 1",
        transport=comm,
        f_star=float(np.mean([value(i, x_star) for i in range(clients)])),
    )  # fmt: skip
