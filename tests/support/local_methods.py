"""The boxes of methods with local steps, transcribed densely: n clients, plain loops, NumPy alone.

The sibling of `first_order`, with its conventions; nothing is the library's. The ridge is inside all gradients.

Conventions
- p holds n, d, lam and gradient(x, i), the data part's. Every function returns [x^1, …, x^rounds], after exchanges.
- Randomness comes in: steps(k) → how many local steps round k has; sample(k) → who takes part in it, asked from round 1
  on, as round 0 asks all; compress(X, i, k) → X̂; stochastic(x, i, k, step) → a minibatch's gradient, the data part's.
"""

import numpy as np
from transcriptions import average


def gradient(p, x, i):
    return p.gradient(x, i) + p.lam * x


def zeros(p):
    return [np.zeros(p.d) for _ in range(p.n)]


def sampled(p, sample, k):
    return range(p.n) if k == 0 or sample is None else sample(k)


def fedavg(p, x, rounds, gamma, K, eta=1.0, nu=0.0, sample=None, stochastic=None):
    """FedAvg 1602.05629: y_i is K steps y ← y − γ∇f_i(y) from x, x⁺ = x + η mean_S(y_i − x). FedProx: + γν(y − x)."""
    out = []
    for k in range(rounds):
        ends = []
        for i in sampled(p, sample, k):
            y = x
            for step in range(K):
                g = gradient(p, y, i) if stochastic is None else stochastic(y, i, k, step) + p.lam * y
                y = y - gamma * (g + nu * (y - x))
            ends.append(y)
        x = x + eta * (average(ends) - x)
        out.append(x)
    return out


def scaffold(p, x, rounds, gamma, K, eta=1.0, sample=None):
    """SCAFFOLD 1910.06378, option II: y ← y − γ(∇f_i(y) − c_i + c), c_i⁺ = c_i − c + (x − y)/(Kγ)."""
    c, own, out = np.zeros(p.d), zeros(p), []
    for k in range(rounds):
        S, moves, changes = sampled(p, sample, k), [], []
        for i in S:
            y = x
            for _ in range(K):
                y = y - gamma * (gradient(p, y, i) - own[i] + c)
            after = own[i] - c + (x - y) / (K * gamma)
            moves.append(y - x)
            changes.append(after - own[i])
            own[i] = after
        x, c = x + eta * average(moves), c + sum(changes) / p.n
        out.append(x)
    return out


def scallion(p, x, rounds, gamma, K, compress, alpha=1.0, beta=1.0, eta=1.0, sample=None):
    """SCALLION and SCAFCOM 2308.08165: ḡ_i the mean local gradient, v_i ← (1−β)v_i + βḡ_i, δ_i = C(α(v_i − c_i)),
    c_i ← c_i + δ_i, x⁺ = x − ηγK(mean_S δ_i/α + c), c ← c + (1/n)Σδ_i."""
    c, own, v, out = np.zeros(p.d), zeros(p), zeros(p), []
    for k in range(rounds):
        sent = []
        for i in sampled(p, sample, k):
            y, total = x, np.zeros(p.d)
            for _ in range(K):
                g = gradient(p, y, i)
                y, total = y - gamma * (g - own[i] + c), total + g
            v[i] = (1 - beta) * v[i] + beta * total / K
            delta = compress(alpha * (v[i] - own[i]), i, k)
            own[i] = own[i] + delta
            sent.append(delta)
        x, c = x - eta * gamma * K * (average(sent) / alpha + c), c + sum(sent) / p.n
        out.append(x)
    return out


def scaffnew(p, x, rounds, gamma, chance, steps):
    """Scaffnew 2202.09357: x̂ = x − γ(∇f_i(x) − h_i); on the coin, which falls on heads after steps(k) steps, x_i =
    mean x̂_j; h_i ← h_i + (p/γ)(x_i − x̂_i)."""
    points, h, out = [x] * p.n, zeros(p), []
    for k in range(rounds):
        for _ in range(steps(k)):
            points = [X - gamma * (gradient(p, X, i) - h[i]) for i, X in enumerate(points)]
        x = average(points)
        h = [own + chance / gamma * (x - X) for own, X in zip(h, points, strict=True)]
        points = [x] * p.n
        out.append(x)
    return out


def vr_proxskip(p, x, rounds, gamma, chance, steps, stochastic, moves):
    """VR-ProxSkip 2207.04338 with L-SVRG: ∇f_iB(x) − ∇f_iB(w) + ∇f_i(w) in the place of ∇f_i(x); w = x̄ if moves(k)."""
    points, h, out = [x] * p.n, zeros(p), []
    anchor = x
    for k in range(rounds):
        if k == 0 or moves(k):
            anchor = x
        for step in range(steps(k)):
            estimates = [
                stochastic(X, i, k, step) + p.lam * X - stochastic(anchor, i, k, step) - p.lam * anchor
                + gradient(p, anchor, i)
                for i, X in enumerate(points)
            ]  # fmt: skip
            points = [X - gamma * (g - own) for X, g, own in zip(points, estimates, h, strict=True)]
        x = average(points)
        h = [own + chance / gamma * (x - X) for own, X in zip(h, points, strict=True)]
        points = [x] * p.n
        out.append(x)
    return out


def i_scaffnew(p, x, rounds, gammas, chance, steps):
    """i-Scaffnew 2305.13170: own γ_i; x̄ = γ̄ mean(x̂_i/γ_i), 1/γ̄ = mean 1/γ_i."""
    points, h, out = [x] * p.n, zeros(p), []
    for k in range(rounds):
        for _ in range(steps(k)):
            points = [X - gammas[i] * (gradient(p, X, i) - h[i]) for i, X in enumerate(points)]
        x = average([X / g for X, g in zip(points, gammas, strict=True)]) / np.mean(1 / np.asarray(gammas))
        h = [own + chance / g * (x - X) for own, X, g in zip(h, points, gammas, strict=True)]
        points = [x] * p.n
        out.append(x)
    return out


def gradskip(p, x, rounds, gamma, chance, steps, heads, counts=None):
    """GradSkip 2210.16402: ĥ_i = h_i where heads(i, k, step), else ∇f_i(x_i); x̂ = x − γ(∇f_i(x_i) − ĥ_i);
    on the shared coin x_i = mean(x̂_j − (γ/p)ĥ_j); h_i = ĥ_i + (p/γ)(x_i − x̂_i). `counts` receives how many different
    points clients have been asked at."""
    points, h, out = [x] * p.n, zeros(p), []
    for k in range(rounds):
        for step in range(steps(k)):
            for i in range(p.n):
                g = gradient(p, points[i], i)
                h[i] = h[i] if heads(i, k, step) else g
                moved = points[i] - gamma * (g - h[i])
                if counts is not None:
                    counts.append((i, points[i].tobytes()))
                points[i] = moved
        x = average([X - gamma / chance * own for X, own in zip(points, h, strict=True)])
        h = [own + chance / gamma * (x - X) for own, X in zip(h, points, strict=True)]
        points = [x] * p.n
        out.append(x)
    return out


def gradskip_plus(p, x, rounds, gamma, chance, steps, compress):
    """GradSkip+ 2210.16402, its second compressor a coin: ĥ_i = ∇f_i(x_i) − C(∇f_i(x_i) − h_i), C = C_Ω/(1 + Ω);
    x̂ = x − γ(∇f_i(x_i) − ĥ_i); on the shared coin as GradSkip."""
    points, h, out = [x] * p.n, zeros(p), []
    for k in range(rounds):
        for step in range(steps(k)):
            for i in range(p.n):
                g = gradient(p, points[i], i)
                h[i] = g - compress(g - h[i], i, k, step)
                points[i] = points[i] - gamma * (g - h[i])
        x = average([X - gamma / chance * own for X, own in zip(points, h, strict=True)])
        h = [own + chance / gamma * (x - X) for own, X in zip(h, points, strict=True)]
        points = [x] * p.n
        out.append(x)
    return out


def tamuna(p, x, rounds, gamma, chance, s, steps, participants, columns, late=False):
    """TAMUNA 2302.09832: row r of the mask has ones in columns rs, …, rs + s − 1 modulo c; columns(k) deals them to the
    participants(k). x̄⁺ = (1/s)Σ mask_i∘x_i; h_i ← h_i + (η/γ) mask_i∘(x̄⁺ − x_i), with the x̄⁺ of this very round, or, if
    late, with the x̄ that the client hears when it next takes part, which is no exact form."""
    h, out, owed = zeros(p), [], {}
    for k in range(rounds):
        S = list(participants(k))
        c = len(S)
        eta = chance * c * (s - 1) / (s * (c - 1))
        ends, masks = [], []
        for i, column in zip(S, columns(k), strict=True):
            if i in owed:
                m, y = owed.pop(i)
                h[i] = h[i] + eta / gamma * m * (x - y)
            y = x
            for _ in range(steps(k)):
                y = y - gamma * (gradient(p, y, i) - h[i])
            ones = {r: [(r * s + t) % c for t in range(s)] for r in range(p.d)}
            masks.append(np.array([float(column in ones[r]) for r in range(p.d)]))
            ends.append(y)
        x = sum(m * y for m, y in zip(masks, ends, strict=True)) / s
        for i, m, y in zip(S, masks, ends, strict=True):
            if late:
                owed[i] = m, y
                continue
            h[i] = h[i] + eta / gamma * m * (x - y)
        out.append(x)
    return out


def locodl(p, x, rounds, gamma, chance, theta, compress, omega, steps):
    """LoCoDL 2403.04348 with g = (θλ/2)‖·‖²: x̂_i = x_i − γ∇f_i(x_i) + γu_i, ŷ = y − γ∇g(y) + γv; on the coin
    d_i = Q(x̂_i − ŷ), d̄ = (1/2n)Σd_j; x_i = (1−ρ)x̂_i + ρ(ŷ + d̄), u_i += r(d̄ − d_i), y = ŷ + ρd̄, v += r d̄."""
    rho = 1 / (1 + omega / p.n)
    rate = chance * rho / (gamma * (1 + 2 * omega))
    points, y, u, v, out = [x] * p.n, x, zeros(p), np.zeros(p.d), []
    for k in range(rounds):
        for _ in range(steps(k)):
            points = [
                X - gamma * (p.gradient(X, i) + (1 - theta) * p.lam * X) + gamma * u[i] for i, X in enumerate(points)
            ]
            y = y - gamma * theta * p.lam * y + gamma * v
        sent = [compress(X - y, i, k) for i, X in enumerate(points)]
        mean = sum(sent) / (2 * p.n)
        points = [(1 - rho) * X + rho * (y + mean) for X in points]
        u = [own + rate * (mean - d) for own, d in zip(u, sent, strict=True)]
        y, v = y + rho * mean, v + rate * mean
        out.append(y)
    return out


def five_gcs(p, x, rounds, gamma, L, K, sample=None, compress=None, omega=0.0):
    """5GCS 2212.14370 and 5GCS-CC: F_m = (f_m − μ/2‖·‖²)/n, μ = λ. x̂ = (x − γv)/(1 + γμ); y: K steps of 1/(L_F + τ) on
    F_m(y) + τ/2‖y − x̂ − u_m/τ‖²; Q(∇F_m(y) − u_m) up, u_m += Q/(1+ω); x⁺ = x̂ − γ(n/|S|)(1+ω)(Σu_m⁺ − v)."""
    mu, tau = p.lam, 1 / (2 * gamma * p.n)
    u, out = zeros(p), []
    for k in range(rounds):
        v = sum(u)
        hat = (x - gamma * v) / (1 + gamma * mu)
        S = sampled(p, sample, k)
        for m in S:
            y = hat
            for _ in range(K):
                slope = (gradient(p, y, m) - mu * y) / p.n
                y = y - (slope + tau * (y - hat - u[m] / tau)) / ((L - mu) / p.n + tau)
            dual = (gradient(p, y, m) - mu * y) / p.n - u[m]
            u[m] = u[m] + (dual if compress is None else compress(dual, m, k)) / (1 + omega)
        x = hat - gamma * p.n / len(S) * (1 + omega) * (sum(u) - v)
        out.append(x)
    return out


def five_gcs_ab(p, x, rounds, gamma, L, K, share, coins):
    """5GCS-AB 2306.03240: 5GCS where client m answers with probability p_m, from round 1 on, with a τ_m of its own;
    L has every L_m, and coins(k) a uniform number of each client."""
    mu, n = p.lam, p.n
    weights = np.sqrt(L) / sum(np.sqrt(L)) + 1 / n
    surely = np.zeros(n, bool)
    while True:  # who would be asked more than always is asked always, and the others share what is left
        likely = np.where(surely, 1, weights * (share * n - sum(surely)) / max(sum(weights[~surely]), 1e-300))
        if not np.any(likely[~surely] > 1):
            break
        surely = surely | (likely >= 1)
    tau = 1 / (2 * gamma * ((sum(likely) + 1) / likely - 1))
    u, out = zeros(p), []
    for k in range(rounds):
        hat, ahead = (x - gamma * sum(u)) / (1 + gamma * mu), 0
        for m in range(n) if k == 0 else np.flatnonzero(coins(k) < likely):
            y = hat
            for _ in range(K):
                slope = (gradient(p, y, m) - mu * y) / n
                y = y - (slope + tau[m] * (y - hat - u[m] / tau[m])) / ((L[m] - mu) / n + tau[m])
            dual = (gradient(p, y, m) - mu * y) / n
            ahead = ahead + (dual - u[m]) / (1 if k == 0 else likely[m])
            u[m] = dual
        x = hat - gamma * ahead
        out.append(x)
    return out
