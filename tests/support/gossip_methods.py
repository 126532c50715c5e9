"""The boxes of methods without a server, transcribed densely: NumPy alone, a row a client.

The sibling of `local_methods`; nothing is the library's. The ridge is inside all gradients.

Conventions
- p holds n, d, lam and gradient(x, i), the data part's. W is the mixing matrix (n, n). Every function returns
  [X^1, …, X^rounds], of shape (n, d) each.
- Randomness comes in: compress(x, i, k) → x̂; stochastic(x, i, k) → a minibatch's gradient, the data part's, the same
  rows for every x of a round.
"""

import numpy as np
from scipy.linalg import expm


def gradients(p, X, stochastic=None, k=None):
    data = [p.gradient(X[i], i) if stochastic is None else stochastic(X[i], i, k) for i in range(p.n)]
    return np.stack(data) + p.lam * X


def sent(compress, X, k):
    return np.stack([compress(X[i], i, k) for i in range(len(X))])


def metropolis(edges, n):
    """w_ij = 1/(1 + max{deg_i, deg_j}), and what is left of 1 at i itself."""
    W, degree = np.zeros((n, n)), np.bincount(np.ravel(edges), minlength=n)
    for i, j in edges:
        W[i, j] = W[j, i] = 1 / (1 + max(degree[i], degree[j]))
    return W + np.diag(1 - W.sum(axis=1))


def exact_diffusion(p, x, rounds, eta, W):
    """Exact diffusion 1702.05122: Ψ⁺ = X − η∇F(X), Φ = Ψ⁺ + X − Ψ, X⁺ = ½(I + W)Φ."""
    X, half, out = np.tile(x, (p.n, 1)), (np.eye(p.n) + W) / 2, []
    psi = X
    for _ in range(rounds):
        before, psi = psi, X - eta * gradients(p, X)
        X = half @ (psi + X - before)
        out.append(X)
    return out


def nids(p, x, rounds, eta, W):
    """NIDS 1704.07807: X¹ = X⁰ − η∇F(X⁰), X⁺⁺ = ½(I + W)(2X⁺ − X − η∇F(X⁺) + η∇F(X))."""
    half, before = (np.eye(p.n) + W) / 2, np.tile(x, (p.n, 1))
    X, out = before - eta * gradients(p, before), []
    for _ in range(rounds):
        X, before = half @ (2 * X - before - eta * (gradients(p, X) - gradients(p, before))), X
        out.append(X)
    return out


def lead(p, x, rounds, eta, W, compress, alpha, gamma, prox=lambda X: X):
    """LEAD 2007.00232, Prox-LEAD 2108.04448: Y = X − η∇F(X) − D, Ŷ = H + Q(Y − H), D ← D + (γ/2)(I − W)Ŷ,
    X = prox(Y − (γ/2)(I − W)Ŷ), H ← (1−α)H + αŶ, from X¹ = X⁰ − η∇F(X⁰)."""
    X = np.tile(x, (p.n, 1))
    X = X - eta * gradients(p, X)
    H, D, out = 0 * X, 0 * X, []
    for k in range(rounds):
        Y = X - eta * gradients(p, X) - D
        heard = H + sent(compress, Y - H, k)
        apart = gamma / 2 * (heard - W @ heard)
        D, X, H = D + apart, prox(Y - apart), (1 - alpha) * H + alpha * heard
        out.append(X)
    return out


def motef(p, x, rounds, eta, W, model, change, gamma, lam=1.0, stochastic=None, corrected=False, wrong_start=False):
    """MoTEF 2405.20114; BEER 2201.13320 with λ = 1: X⁺ = X + γ(W − I)H − ηV, H ← H + C(X⁺ − H), M⁺ = (1−λ)M +
    λ∇F(X⁺; Ξ), V⁺ = V + γ(W − I)G + M⁺ − M, G ← G + C(V⁺ − G). MoTEF-VR: M⁺ = ∇F(X⁺; Ξ) + (1−λ)(M − ∇F(X; Ξ))."""
    X = np.tile(x, (p.n, 1))
    M = V = gradients(p, X)
    M = 0 * M if wrong_start else M
    H, G, out = 0 * X, 0 * X, []
    for k in range(rounds):
        after = X + gamma * (W @ H - H) - eta * V
        new = gradients(p, after, stochastic, k)
        moved = new + (1 - lam) * (M - gradients(p, X, stochastic, k)) if corrected else (1 - lam) * M + lam * new
        V = V + gamma * (W @ G - G) + moved - M
        H, G, X, M = H + sent(model, after - H, k), G + sent(change, V - G, k), after, moved
        out.append(X)
    return out


def dadao(p, x, rounds, L, mu, edges, chi1, chi2, events):
    """DADAO 2208.00779: between events x, x̃, y, ỹ, z, z̃ of a client obey v' = Av; a gradient at a client's own time, an
    edge at the end of the round. events(k) → seconds, the edge, [(when, client), …] in the order of time."""
    nu = mu / 2
    s, rate = np.sqrt(nu / L), np.sqrt(2 * chi1 * chi2)
    A = np.zeros((6, 6))
    A[0, :2], A[1, :2] = (-s / 8, s / 8), (s / 8, -s / 8)
    A[2, 2:4], A[3, [1, 2, 4]] = (-s / 4, s / 4), np.array([-nu, -1, -1]) / (2 * s)
    A[4, 4:], A[5, 4:] = (-s / 4, s / 4), (s / 8, -s / 8)
    v, last, now, out = np.zeros((p.n, 6, p.d)), np.zeros(p.n), 0.0, []
    v[:, :2] = x
    for k in range(rounds):
        passed, (i, j), gradient_events = events(k)
        for when, c in gradient_events:
            v[c], last[c] = expm(A * (now + when - last[c])) @ v[c], now + when
            r = p.gradient(v[c, 0], c) + p.lam * v[c, 0] - nu * v[c, 0] - v[c, 3]
            v[c, 0] -= r / (4 * L)
            v[c, 1] -= r / (4 * np.sqrt(L * nu))
            v[c, 3] += (s / 4 + 1) * r
        now += passed
        for c in (i, j):
            v[c], last[c] = expm(A * (now - last[c])) @ v[c], now
        r = (v[i, 2] + v[i, 4]) - (v[j, 2] + v[j, 4])
        for c, sign in ((i, 1), (j, -1)):
            v[c, 4] -= sign * r / 2
            v[c, 5] -= sign * 2 * chi1 / rate / s * r
        out.append(v[:, 0].copy())
    return out
