"""The boxes of variational inequalities, transcribed densely: n clients, plain loops, NumPy alone.

The sibling of `first_order`, with its conventions; nothing is the library's. F_i is `p.gradient` with the ridge inside:
of an ordinary problem ∇f_i, of a game whatever turns there.

Conventions
- p holds n, d, lam and gradient(z, i). Every function returns [z^1, …, z^rounds].
- Randomness comes in: coin(k) → whether w moves at the end of round k; compress(X, i, k) → X̂, down(X, k) → X̂ of the
  server's.
"""

import numpy as np
from transcriptions import average


def F(p, z):
    return [p.gradient(z, i) + p.lam * z for i in range(p.n)]


def extragradient(p, z, rounds, gamma):
    """Korpelevich: z½ = z − γF(z), z⁺ = z − γF(z½)."""
    out = []
    for _ in range(rounds):
        half = z - gamma * average(F(p, z))
        z = z - gamma * average(F(p, half))
        out.append(z)
    return out


def masha1(p, z, rounds, gamma, prob, compress, down, coin):
    """MASHA1 2110.03313: z̄ = (1−p)z + pw, z½ = z̄ − γF(w), z⁺ = z̄ − γ(F(w) + Q_s(mean Q(F_i(z½) − F_i(w)))); with
    probability p, w⁺ = z⁺."""
    w, out = z, []
    for k in range(rounds):
        known = F(p, w)
        bar = (1 - prob) * z + prob * w
        half = bar - gamma * average(known)
        sent = [compress(new - old, i, k) for i, (new, old) in enumerate(zip(F(p, half), known, strict=True))]
        z = bar - gamma * (average(known) + down(average(sent), k))
        w = z if coin(k) else w
        out.append(z)
    return out


def masha2(p, z, rounds, gamma, prob, compress, down, coin):
    """MASHA2 2110.03313: c_i = C(γ(F_i(z½) − F_i(w)) + e_i), e_i keeps the rest; z⁺ = z½ − C_s(mean c_i + e_s), e_s
    keeps the rest."""
    w, e, server, out = z, [np.zeros(p.d) for _ in range(p.n)], np.zeros(p.d), []
    for k in range(rounds):
        known = F(p, w)
        half = (1 - prob) * z + prob * w - gamma * average(known)
        meant = [gamma * (new - old) + rest for new, old, rest in zip(F(p, half), known, e, strict=True)]
        sent = [compress(X, i, k) for i, X in enumerate(meant)]
        e = [X - c for X, c in zip(meant, sent, strict=True)]
        mean = average(sent) + server
        back = down(mean, k)
        server, z = mean - back, half - back
        w = z if coin(k) else w
        out.append(z)
    return out
