"""First-order boxes, transcribed densely: n clients, vectors of d numbers, plain loops, NumPy alone.

The sibling of `transcriptions`, whose problem, mechanisms and compressors serve here too; nothing is the library's.

Conventions
- p holds n, d, lam and gradient(x, i), the data part's. Every function returns [x^1, …, x^rounds]. Round k, from 0: the
  clients are at x^k (unless said otherwise), they tell their gradients, the server steps to x^{k+1}.
- inside=False: the clients tell the data part, and the server adds λx exactly to the aggregated direction, x where the
  clients were asked. inside=True: λx belongs to every client's gradient, and is compressed with it.
- Randomness comes in: coin(k) → bool; sample(k) → clients; compress(X, i, k) → X̂, i=None at the server, k the round in
  which the message is made; stochastic(x, i, k) → a minibatch's gradient, the data part's.
- Round 0: everybody speaks, and the coins that are asked here count as heads, so coin(0) and sample(0) are not asked. A
  coin inside a mechanism is the mechanism's own.
- mechanism(h, y, x, i, k) → new h: a three-point compressor, y = ∇f_i(x^{k−1}), x = ∇f_i(x^k).
- start: "gradient" (g_i⁰ = ∇f_i(x⁰), sent whole in round 0), or "zero" (g_i = 0 before, and the mechanism acts in
  round 0 already, with y = x, the present gradient).
"""

import numpy as np
from transcriptions import average, ef21, square

# ---- small common parts ----------------------------------------------------------------------------------------------


def gradients(p, x, inside):
    """What the clients have to tell at x."""
    return [p.gradient(x, i) + (p.lam * x if inside else 0.0) for i in range(p.n)]


def ridge(p, x, inside):
    """What the server adds at x."""
    return np.zeros(p.d) if inside else p.lam * x


def zeros(p):
    return [np.zeros(p.d) for _ in range(p.n)]


def tell(mechanism, g, old, new, k, start):
    """g_i^k = C_{g_i^{k−1}, old_i}(new_i) for every client; in round 0 as `start` says (g and old are not read)."""
    if k == 0 and start == "gradient":
        return list(new)
    if k == 0:
        g, old = [0.0 * X for X in new], new
    return [mechanism(h, Y, X, i, k) for i, (h, Y, X) in enumerate(zip(g, old, new, strict=True))]


# ---- without compression ---------------------------------------------------------------------------------------------


def gd(p, x, rounds, gamma, inside=False):
    """Gradient descent: x⁺ = x − γ∇f(x)."""
    out = []
    for _ in range(rounds):
        x = x - gamma * (average(gradients(p, x, inside)) + ridge(p, x, inside))
        out.append(x)
    return out


def ffgg(p, theta, rounds, gamma):
    """FFGG: w_i = argmin_w f_i(θ, w) stays with its client, which tells ∇_θ f_i(θ, w_i); θ⁺ = θ − γ(mean + λθ)."""
    out = []
    for _ in range(rounds):
        w = [p.best(theta, i) for i in range(p.n)]
        told = [p.shared_gradient(theta, w[i], i) for i in range(p.n)]
        theta = theta - gamma * (average(told) + p.lam * theta)
        out.append(theta)
    return out


def accelerated_gd(p, x, rounds, L, mu, inside=False, queries=None):
    """Nesterov, constant momentum: y⁺ = x − ∇f(x)/L, x⁺ = y⁺ + β(y⁺ − y), β = (√L − √μ)/(√L + √μ), y⁰ = x⁰. Returns the
    y's; the clients are asked at the x's, which `queries` receives."""
    beta = (np.sqrt(L) - np.sqrt(mu)) / (np.sqrt(L) + np.sqrt(mu))
    y, out = x, []
    for _ in range(rounds):
        if queries is not None:
            queries.append(x)
        old, y = y, x - (average(gradients(p, x, inside)) + ridge(p, x, inside)) / L
        x = y + beta * (y - old)
        out.append(y)
    return out


def core_gd(p, x, rounds, gamma, vectors):
    """CORE 2309.13307: p_ij = ⟨∇f_i(x^k), ξ_j⟩ for the ξ_j that all draw in round k, vectors(k); x⁺ = x − γĝ with ĝ =
    (1/m) Σ_j (mean_i p_ij) ξ_j. The ridge belongs to every f_i."""
    out = []
    for k in range(rounds):
        xi = vectors(k)
        means = [average([g @ v for g in gradients(p, x, True)]) for v in xi]
        x = x - gamma * sum(mean * v for mean, v in zip(means, xi, strict=True)) / len(xi)
        out.append(x)
    return out


# ---- 3PC 2202.00998, EF21 2106.05203 and its extensions 2110.03294 ---------------------------------------------------


def three_point(p, x, rounds, mechanism, gamma, start="gradient", inside=False):
    """3PC, algorithm 1: g_i^k = C_{g_i^{k−1}, ∇f_i(x^{k−1})}(∇f_i(x^k)), x⁺ = x − γ mean g_i."""
    g, old, out = None, None, []
    for k in range(rounds):
        new = gradients(p, x, inside)
        g, old = tell(mechanism, g, old, new, k, start), new
        x = x - gamma * (average(g) + ridge(p, x, inside))
        out.append(x)
    return out


def ef21_plus(p, x, rounds, compress, gamma, start="gradient", inside=False):
    """EF21+, algorithm 3 of EF21: b = C(∇f_i), m = g_i + C(∇f_i − g_i); g_i = m if ‖m − ∇f_i‖² ≤ ‖b − ∇f_i‖², else b.
    For a deterministic C: both are made with the same (i, k)."""
    g, out = zeros(p), []
    for k in range(rounds):
        for i, X in enumerate(gradients(p, x, inside)):
            if k == 0 and start == "gradient":
                g[i] = X
                continue
            b, m = compress(X, i, k), g[i] + compress(X - g[i], i, k)
            g[i] = m if square(m - X) <= square(b - X) else b
        x = x - gamma * (average(g) + ridge(p, x, inside))
        out.append(x)
    return out


def ef21_w(p, x, rounds, compress, gamma, weights, start="gradient", inside=False):
    """EF21-W 2402.10774: g_i ← g_i + C(∇f_i/(n w_i) − g_i), x⁺ = x − γ Σ w_i g_i. The scaling is from memory
    (the paper's box was not at hand); it fits: Σ w_i ∇f_i/(n w_i) = ∇f, and w_i = 1/n is EF21."""
    g, out = None, []
    for k in range(rounds):
        scaled = [X / (p.n * w) for X, w in zip(gradients(p, x, inside), weights, strict=True)]
        g = tell(ef21(compress), g, scaled, scaled, k, start)
        direction = sum(w * h for w, h in zip(weights, g, strict=True))
        x = x - gamma * (direction + ridge(p, x, inside))
        out.append(x)
    return out


def ef21_pp(p, x, rounds, compress, gamma, sample, start="gradient", inside=False):
    """EF21-PP: g_i ← g_i + C(∇f_i(x^k) − g_i) for i in sample(k); the others keep g_i; the mean is over all n."""
    g, out = None, []
    for k in range(rounds):
        new = gradients(p, x, inside)
        if k == 0:
            g = tell(ef21(compress), None, None, new, k, start)
        else:
            for i in sample(k):
                g[i] = g[i] + compress(new[i] - g[i], i, k)
        x = x - gamma * (average(g) + ridge(p, x, inside))
        out.append(x)
    return out


def ef21_bc(p, x, rounds, worker_mechanism, master_mechanism, gamma, start="gradient", inside=False):
    """EF21-BC 2110.03294, and AdaCGD 2211.00188, bidirectional: g̃_i by the worker's mechanism, g̃ = mean g̃_i (+ λx with
    inside=False: the whole direction), g^k = C^M_{g^{k−1}, g̃^{k−1}}(g̃^k), x⁺ = x − γg. `start` is the master's too."""
    tilde_i, old, g, tilde, out = None, None, None, None, []
    for k in range(rounds):
        new = gradients(p, x, inside)
        tilde_i, old = tell(worker_mechanism, tilde_i, old, new, k, start), new
        before, tilde = tilde, average(tilde_i) + ridge(p, x, inside)
        if k == 0 and start == "gradient":
            g = tilde
        elif k == 0:
            g = master_mechanism(np.zeros(p.d), tilde, tilde, None, k)
        else:
            g = master_mechanism(g, before, tilde, None, k)
        x = x - gamma * g
        out.append(x)
    return out


def ef21_hb(p, x, rounds, compress, gamma, eta, start="gradient", inside=False):
    """EF21-HB: v^k = ηv^{k−1} + g^k, v^{−1} = 0, x⁺ = x − γv (so v⁰ = g⁰, as in the authors' program).
    With inside=False λx^k goes into v with g^k: with C the identity this is the heavy ball on f."""
    g, v, out = None, np.zeros(p.d), []
    for k in range(rounds):
        new = gradients(p, x, inside)
        g = tell(ef21(compress), g, new, new, k, start)
        v = eta * v + average(g) + ridge(p, x, inside)
        x = x - gamma * v
        out.append(x)
    return out


def ef21_sgd(p, x, rounds, compress, gamma, stochastic, start="gradient", inside=False):
    """EF21-SGD: EF21 on minibatch gradients; start="gradient": g_i⁰ = the first one."""
    g, out = None, []
    for k in range(rounds):
        new = [stochastic(x, i, k) + (p.lam * x if inside else 0.0) for i in range(p.n)]
        g = tell(ef21(compress), g, new, new, k, start)
        x = x - gamma * (average(g) + ridge(p, x, inside))
        out.append(x)
    return out


def ef21_sgdm(p, x, rounds, compress, gamma, eta, stochastic, start="gradient", inside=False):
    """EF21-SGDM 2305.15155: v_i ← (1 − η)v_i + η·(minibatch gradient), v_i⁰ the first one; g_i ← g_i + C(v_i − g_i)."""
    g, v, out = None, None, []
    for k in range(rounds):
        new = [stochastic(x, i, k) + (p.lam * x if inside else 0.0) for i in range(p.n)]
        v = new if k == 0 else [(1 - eta) * v[i] + eta * new[i] for i in range(p.n)]
        g = tell(ef21(compress), g, v, v, k, start)
        x = x - gamma * (average(g) + ridge(p, x, inside))
        out.append(x)
    return out


# ---- MARINA 2102.07845 -----------------------------------------------------------------------------------------------


def perm_k(n, permutations):
    """Perm-K 2110.03300, dealt out: π and σ of round k are permutations of the d coordinates and of the n clients;
    π(t mod d) goes to client σ(t mod n), t < max{d, n}, and is sent n times over the number of clients that have it."""

    def compress(X, i, k):
        (pi, sigma), out = permutations(k, len(X), n), np.zeros_like(X)
        deals = [(pi[t % len(X)], sigma[t % n]) for t in range(max(len(X), n))]
        for j, client in deals:
            if client == i:
                out[j] = n / sum(other == j for other, _ in deals) * X[j]
        return out

    return compress


def marina(p, x, rounds, compress, gamma, coin, inside=False):
    """MARINA: heads (and round 0), g = mean ∇f_i(x^k); tails, g ← g + mean Q(∇f_i(x^k) − ∇f_i(x^{k−1}))."""
    g, old, out = None, None, []
    for k in range(rounds):
        new = gradients(p, x, inside)
        if k == 0 or coin(k):
            g = average(new)
        else:
            g = g + average([compress(new[i] - old[i], i, k) for i in range(p.n)])
        old, x = new, x - gamma * (g + ridge(p, x, inside))
        out.append(x)
    return out


def vr_marina(p, x, rounds, compress, gamma, stochastic, coin, inside=False):
    """VR-MARINA: heads (and round 0), g = mean ∇f_i(x^k); tails, g ← g + mean Q(∇f_iB(x^k) − ∇f_iB(x^{k−1})): the
    minibatch B of client i is of round k, at both points. `stochastic`(x, i, k) is its gradient, the data part's."""
    g, before, out = None, None, []
    for k in range(rounds):
        if k == 0 or coin(k):
            g = average(gradients(p, x, inside))
        else:
            changes = [stochastic(x, i, k) - stochastic(before, i, k) for i in range(p.n)]
            changes = [change + (p.lam * (x - before) if inside else 0.0) for change in changes]
            g = g + average([compress(change, i, k) for i, change in enumerate(changes)])
        before, x = x, x - gamma * (g + ridge(p, x, inside))
        out.append(x)
    return out


def ef21_page(p, x, rounds, compress, gamma, stochastic, coin, start="gradient", inside=False):
    """EF21-PAGE 2110.03294, with PAGE 2008.10898: v_i = ∇f_i(x^k) where coin(i, k) shows heads (and in round 0), else
    v_i ← v_i + ∇f_iB(x^k) − ∇f_iB(x^{k−1}); g_i ← g_i + C(v_i − g_i), x⁺ = x − γ mean g_i."""
    v, g, before, out = None, None, None, []
    for k in range(rounds):
        v = gradients(p, x, inside) if k == 0 else list(v)
        for i in range(p.n if k else 0):
            if coin(i, k):
                v[i] = gradients(p, x, inside)[i]
            else:
                change = stochastic(x, i, k) - stochastic(before, i, k)
                v[i] = v[i] + change + (p.lam * (x - before) if inside else 0.0)
        g = tell(ef21(compress), g, v, v, k, start)
        before, x = x, x - gamma * (average(g) + ridge(p, x, inside))
        out.append(x)
    return out


def pp_marina(p, x, rounds, compress, gamma, coin, sample, inside=False):
    """PP-MARINA: heads as in MARINA, everybody; tails, g ← g + the mean over i in sample(k) of Q(∇f_i(x^k) −
    ∇f_i(x^{k−1})): whoever speaks has heard x^{k−1} too."""
    g, old, out = None, None, []
    for k in range(rounds):
        new = gradients(p, x, inside)
        if k == 0 or coin(k):
            g = average(new)
        else:
            g = g + average([compress(new[i] - old[i], i, k) for i in sample(k)])
        old, x = new, x - gamma * (g + ridge(p, x, inside))
        out.append(x)
    return out


def bucketed(rule, s, order):
    """A rule of the means of buckets of s vectors: order(k, m) is the order of the m vectors of round k."""

    def aggregate(vectors, k):
        mixed = [vectors[j] for j in order(k, len(vectors))]
        return rule([average(mixed[i : i + s]) for i in range(0, len(mixed), s)], k)

    return aggregate


def median(vectors, k):
    """The median of every coordinate."""
    return np.median(vectors, axis=0)


def trimmed(t):
    """The mean of every coordinate without its t smallest and t largest numbers."""
    return lambda vectors, k: average(np.sort(vectors, axis=0)[t : len(vectors) - t])


def byz_vr_marina_pp(
    p, x, rounds, compress, gamma, coin, sample, heads, tails, alpha, stochastic=None, cut=None, inside=False
):
    """Byz-VR-MARINA-PP 2311.14127: heads (and round 0), g = Agg{∇f_i(x^k)} over all clients; tails, g ← g +
    Agg{clip_λ(Q(Δ_i))} over sample(k), Δ_i = ∇f_i(x^k) − ∇f_i(x^{k−1}) or a minibatch's, λ = α‖x^k − x^{k−1}‖. `heads`
    and `tails` are Agg(vectors, k); `cut` receives whether each message was clipped."""
    g, before, out = None, None, []
    for k in range(rounds):
        if k == 0 or coin(k):
            g = heads(gradients(p, x, inside), k)
        else:
            changes, most = [], alpha * np.linalg.norm(x - before)
            for i in sample(k):
                if stochastic is None:
                    change = p.gradient(x, i) - p.gradient(before, i)
                else:
                    change = stochastic(x, i, k) - stochastic(before, i, k)
                v = compress(change + (p.lam * (x - before) if inside else 0.0), i, k)
                length = np.linalg.norm(v)
                changes.append(v if length <= most else most / length * v)
                if cut is not None:
                    cut.append(length > most)
            g = g + tails(changes, k)
        before, x = x, x - gamma * (g + ridge(p, x, inside))
        out.append(x)
    return out


def dasha(p, x, rounds, compress, gamma, a, start="gradient", inside=False):
    """DASHA 2202.01268: g_i ← g_i + Q(∇f_i(x^k) − ∇f_i(x^{k−1}) − a(g_i − ∇f_i(x^{k−1}))), x⁺ = x − γ mean g_i. From
    the abstract and memory. start="zero": g_i = 0 before, and x^{−1} = x⁰."""
    g, old, out = zeros(p), None, []
    for k in range(rounds):
        new = gradients(p, x, inside)
        if k == 0 and start == "gradient":
            g = list(new)
        else:
            old = new if k == 0 else old
            g = [g[i] + compress(new[i] - old[i] - a * (g[i] - old[i]), i, k) for i in range(p.n)]
        old, x = new, x - gamma * (average(g) + ridge(p, x, inside))
        out.append(x)
    return out


# ---- DIANA 1901.09269 and its kin ------------------------------------------------------------------------------------


def diana(p, x, rounds, compress, gamma, alpha, inside=False):
    """DIANA: Δ_i = Q(∇f_i − h_i), g = mean h_i + mean Δ_i, h_i ← h_i + αΔ_i (after g), h_i⁰ = 0, x⁺ = x − γg."""
    h, out = zeros(p), []
    for k in range(rounds):
        delta = [compress(X - h[i], i, k) for i, X in enumerate(gradients(p, x, inside))]
        g = average(h) + average(delta)
        h = [h[i] + alpha * delta[i] for i in range(p.n)]
        x = x - gamma * (g + ridge(p, x, inside))
        out.append(x)
    return out


def vr_diana(p, x, rounds, compress, gamma, alpha, stochastic, coin, inside=False):
    """VR-DIANA 1904.05115: DIANA with L-SVRG's v_i = ∇f_iB(x) − ∇f_iB(w_i) + ∇f_i(w_i) for ∇f_i(x); then w_i = x where
    coin(i, k) shows heads. In round 0 w_i = x."""
    h, w, out = zeros(p), [x] * p.n, []
    for k in range(rounds):
        v = [
            X if k == 0 else gradients(p, w[i], inside)[i] + stochastic(x, i, k) - stochastic(w[i], i, k)
            + (p.lam * (x - w[i]) if inside else 0.0)
            for i, X in enumerate(gradients(p, x, inside))
        ]  # fmt: skip
        w = [x if k and coin(i, k) else own for i, own in enumerate(w)]
        delta = [compress(v[i] - h[i], i, k) for i in range(p.n)]
        g = average(h) + average(delta)
        h = [h[i] + alpha * delta[i] for i in range(p.n)]
        x = x - gamma * (g + ridge(p, x, inside))
        out.append(x)
    return out


def ef_bv(p, x, rounds, compress, gamma, lam_, nu, inside=False):
    """EF-BV 2205.04180: d_i = C(∇f_i − h_i), g = mean h_i + ν mean d_i, h_i ← h_i + λd_i (after g), h_i⁰ = 0. From the
    abstract and memory; λ = ν = 1 is EF21 from g_i = 0, ν = 1 DIANA."""
    h, out = zeros(p), []
    for k in range(rounds):
        d = [compress(X - h[i], i, k) for i, X in enumerate(gradients(p, x, inside))]
        g = average(h) + nu * average(d)
        h = [h[i] + lam_ * d[i] for i in range(p.n)]
        x = x - gamma * (g + ridge(p, x, inside))
        out.append(x)
    return out


def error_feedback(p, x, rounds, compress, gamma, inside=False):
    """Classical error feedback: Δ_i = C(e_i + ∇f_i), e_i ← e_i + ∇f_i − Δ_i, e_i⁰ = 0, x⁺ = x − γ mean Δ_i. The step is
    outside C and e_i, as with a constant γ and C(tX) = tC(X) it may be."""
    e, out = zeros(p), []
    for k in range(rounds):
        wanted = [e[i] + X for i, X in enumerate(gradients(p, x, inside))]
        delta = [compress(X, i, k) for i, X in enumerate(wanted)]
        e = [X - D for X, D in zip(wanted, delta, strict=True)]
        x = x - gamma * (average(delta) + ridge(p, x, inside))
        out.append(x)
    return out


def econtrol(p, x, rounds, compress, gamma, eta, start="gradient", inside=False, stochastic=None):
    """EControl 2311.05645: Δ_i = C(ηe_i + ∇f_i − h_i), e_i ← e_i + ∇f_i − h_i − Δ_i, h_i ← h_i + Δ_i, e_i⁰ = 0;
    x⁺ = x − γ(h + mean Δ_i) with h before its update, h ← h + mean Δ_i. start="gradient": h_i⁰ = ∇f_i(x⁰), sent whole.
    ∇f_i may be a minibatch's: stochastic(x, i, k)."""
    e, h, out = zeros(p), zeros(p), []
    for k in range(rounds):
        new = [stochastic(x, i, k) for i in range(p.n)] if stochastic else gradients(p, x, inside)
        if k == 0 and start == "gradient":
            h, delta = list(new), zeros(p)
        else:
            delta = [compress(eta * e[i] + new[i] - h[i], i, k) for i in range(p.n)]
            e = [e[i] + new[i] - h[i] - delta[i] for i in range(p.n)]
        x = x - gamma * (average(h) + average(delta) + ridge(p, x, inside))
        h = [h[i] + delta[i] for i in range(p.n)]
        out.append(x)
    return out


def clip21(p, x, rounds, tau, gamma, longest=np.inf, inside=False):
    """Clip21 2305.18929: v_i ← v_i + min{1, τ/‖∇f_i − v_i‖}(∇f_i − v_i), v_i^{−1} = 0, x⁺ = x − γ mean v_i. From the
    abstract and memory; that no step is longer than `longest` is in no paper."""
    v, out = zeros(p), []
    for _ in range(rounds):
        apart = [X - v[i] for i, X in enumerate(gradients(p, x, inside))]
        v = [v[i] + min(1.0, tau / np.sqrt(square(u))) * u for i, u in enumerate(apart)]
        g = average(v) + ridge(p, x, inside)
        x = x - min(gamma, longest / np.sqrt(square(g))) * g
        out.append(x)
    return out


def clip21_sgd2m(p, x, rounds, tau, gamma, beta, beta_hat, noise, inside=False):
    """Clip21-SGD2M 2502.11682: v_i ← (1 − β)v_i + β∇f_i; u_i = clip_τ(v_i − g_i); c_i = u_i + ξ_i is sent, ξ_i =
    noise(i, k); g_i ← g_i + β̂u_i; m_i ← m_i + β̂c_i; x⁺ = x − γ mean m_i. From a third party's page, where v_i^{−1} = 0;
    here v_i⁰ = ∇f_i(x⁰)."""
    v, g, m, out = None, zeros(p), zeros(p), []
    for k in range(rounds):
        new = gradients(p, x, inside)
        v = new if k == 0 else [(1 - beta) * v[i] + beta * new[i] for i in range(p.n)]
        apart = [v[i] - g[i] for i in range(p.n)]
        u = [min(1.0, tau / np.sqrt(square(a))) * a for a in apart]
        m = [m[i] + beta_hat * (u[i] + noise(i, k)) for i in range(p.n)]
        g = [g[i] + beta_hat * u[i] for i in range(p.n)]
        x = x - gamma * (average(m) + ridge(p, x, inside))
        out.append(x)
    return out


def artemis(p, x, rounds, up, down, gamma, alpha, sample, inside=False):
    """Artemis 2006.14591, as in the FedNL authors' program: g = (1/n) Σ h_i + (1/|S|) Σ_S Q(∇f_i − h_i), h_i ← h_i +
    αQ(·) for i in S (after g), Ω = Q_down(g) (the λx in g, with inside=False), or g where down is None; x⁺ = x − γΩ.
    S = sample(k), everybody in round 0; who comes back replays the Ω's missed, so all of S is at x^k exactly."""
    h, out = zeros(p), []
    for k in range(rounds):
        S = range(p.n) if k == 0 else sample(k)
        new = gradients(p, x, inside)
        delta = {int(i): up(new[i] - h[i], int(i), k) for i in S}
        g = average(h) + average(list(delta.values())) + ridge(p, x, inside)
        for i in delta:
            h[i] = h[i] + alpha * delta[i]
        x = x - gamma * (g if down is None else down(g, None, k))
        out.append(x)
    return out


def dore(p, x, rounds, up, down, gamma, alpha, beta, eta, inside=False, models=None):
    """DORE 1910.07561, as in the FedNL authors' program. The clients are at x̂, x̂⁰ = x⁰: Δ_i = Q(∇f_i(x̂) − h_i),
    g = mean h_i + mean Δ_i (+ λx̂), h_i ← h_i + αΔ_i, h_i⁰ = 0; x = x̂ − γg; q = x − x̂ + ηe, e ← q − Q(q), e⁰ = 0,
    x̂ ← x̂ + βQ(q). Q(q) is made in round k, after its step. Returns the x's; `models` receives the x̂'s."""
    h, hat, e, out = zeros(p), x, np.zeros(p.d), []
    for k in range(rounds):
        delta = [up(X - h[i], i, k) for i, X in enumerate(gradients(p, hat, inside))]
        g = average(h) + average(delta) + ridge(p, hat, inside)
        h = [h[i] + alpha * delta[i] for i in range(p.n)]
        x = hat - gamma * g
        q = x - hat + eta * e
        message = down(q, None, k)
        e, hat = q - message, hat + beta * message
        out.append(x)
        if models is not None:
            models.append(hat)
    return out


def adiana(p, x, rounds, up, up2, coin, *, eta, theta1, theta2, alpha, beta, gamma, inside=False, queries=None):
    """ADIANA 2002.11364: x = θ₁z + θ₂w + (1 − θ₁ − θ₂)y; Δ_i = Q(∇f_i(x) − h_i), Δ′_i = Q(∇f_i(w) − h_i), the same h_i;
    g = mean h_i + mean Δ_i (+ λx), h_i ← h_i + αΔ′_i, h_i⁰ = 0; y⁺ = x − ηg; z⁺ = βz + (1 − β)x + (γ/η)(y⁺ − x);
    w⁺ = y, the OLD y^k, if coin(k), else w; y⁰ = z⁰ = w⁰ = x⁰. So in the FedNL authors' program; of the paper only
    the abstract was at hand. Round 0's coin is of no account: w¹ = y⁰ = w⁰. `up` makes Δ_i, `up2` Δ′_i, both at
    (i, k). Returns the y^{k+1}; `queries` receives the x's."""
    y, z, w, h, out = x, x, x, zeros(p), []
    for k in range(rounds):
        x = theta1 * z + theta2 * w + (1 - theta1 - theta2) * y
        at_x, at_w = gradients(p, x, inside), gradients(p, w, inside)
        g = average(h) + average([up(at_x[i] - h[i], i, k) for i in range(p.n)]) + ridge(p, x, inside)
        h = [h[i] + alpha * up2(at_w[i] - h[i], i, k) for i in range(p.n)]
        old, y = y, x - eta * g
        z = beta * z + (1 - beta) * x + gamma / eta * (y - x)
        w = old if k == 0 or coin(k) else w
        out.append(y)
        if queries is not None:
            queries.append(x)
    return out


# ---- M-FAC 2107.03356 ------------------------------------------------------------------------------------------------


def fisher(p, window, damp):
    """F = damp·I + (1/m) Σ g gᵀ over the m gradients of the window."""
    return damp * np.eye(p.d) + average([np.outer(g, g) for g in window])


def m_fac(p, x, rounds, gamma, m, damp, mechanism=None, start="gradient", inside=False):
    """M-FAC, dynamic, without momentum: x⁺ = x − γF⁻¹g, F over the last m aggregated directions g (λx in them), this
    round's among them; zeros at first, the oldest overwritten. The clients send by the `mechanism`, or whole."""
    window, g, old, out = [np.zeros(p.d)] * m, None, None, []
    for k in range(rounds):
        new = gradients(p, x, inside)
        g, old = new if mechanism is None else tell(mechanism, g, old, new, k, start), new
        direction = average(g) + ridge(p, x, inside)
        window = [*window, direction][-m:]
        x = x - gamma * np.linalg.solve(fisher(p, window, damp), direction)
        out.append(x)
    return out


def m_fac_clients(p, x, rounds, gamma, m, damp, mechanism=None, start="gradient", inside=False):
    """M-FAC with the clients' gradients in the window, n a round in their order, as sent (+ λx with inside=False): no
    published scheme. x⁺ = x − γF⁻¹ḡ, ḡ the mean of what came in this round."""
    window, g, old, out = [np.zeros(p.d)] * m, None, None, []
    for k in range(rounds):
        new = gradients(p, x, inside)
        g, old = new if mechanism is None else tell(mechanism, g, old, new, k, start), new
        window = [*window, *(h + ridge(p, x, inside) for h in g)][-m:]
        x = x - gamma * np.linalg.solve(fisher(p, window, damp), average(g) + ridge(p, x, inside))
        out.append(x)
    return out
