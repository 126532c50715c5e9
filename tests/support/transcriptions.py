"""The papers' boxes, transcribed densely: n matrices d×d, plain loops, NumPy alone.

A second opinion on the presets. Nothing here comes from the library; each function follows one algorithm box, line by
line, and a test compares the iterates of the preset with these.

Conventions
- f(x) = (1/n) Σ f_i(x) + λ/2‖x‖², f_i the mean over client i's rows. The H_i that are learned belong to the data part;
  the step adds λI: project takes [H]_0 + λI, shift takes H + lI + λI. Gradients sent are the data part's, the server
  adds λx. Only dingo, giant, dane, local_newton, fednew, fedns, disco and adahessian keep λI at the clients.
- Every function returns [x^1, …, x^rounds], x^k the server's iterate (with a compressed model: x^k, not z^k; `models`,
  if a list is given, receives the z^k). Entry k of the list is made in round k, counted from 0.
- Randomness comes in: coin(k), client_coin(i, k) → bool; sample(k) → clients; compress(X, i, k) → X̂, i=None at the
  server, k the round in which the message is made (before or after that round's step: said where it matters).
- mechanism(H, Y, X, i, k) → new H: a three-point compressor C_{H,Y}(X), here for matrices and vectors alike.
- start: "exact" (H_i⁰ = ∇²f_i(x⁰)), "zero" (data part 0), or a list of n matrices.
"""

import numpy as np

FIBONACCI_SUMS = (0, 1, 3, 6, 11, 19, 32, 53, 87, 142)  # partial sums 1, 2, 4, 7, 12, … of 1, 1, 2, 3, 5, …, less one


class Logistic:
    """ℓ2-regularised logistic regression: client i has rows A_i (m_i×d) and labels b_i in ±1."""

    def __init__(self, rows, labels, lam):
        self.rows, self.labels, self.lam = rows, labels, lam
        self.n, self.d = len(rows), rows[0].shape[1]

    def clients(self, local, x):
        return [local(x, i) for i in range(self.n)]

    def value(self, x, i):
        return np.mean(np.logaddexp(0.0, -self.labels[i] * (self.rows[i] @ x)))

    def gradient(self, x, i):
        A, b = self.rows[i], self.labels[i]
        return A.T @ (-b * np.exp(-np.logaddexp(0.0, b * (A @ x)))) / len(b)

    def weights(self, x, i):
        """h_ij(x) = φ″ at the margins, with ∇²f_i = (1/m) Σ_j h_ij a_ij a_ijᵀ."""
        half = np.exp(-np.abs(self.rows[i] @ x))
        return half / (1.0 + half) ** 2

    def hessian(self, x, i):
        return self.hessian_of(self.weights(x, i), i)

    def hessian_of(self, h, i):
        H = (self.rows[i].T * h) @ self.rows[i] / len(h)
        return (H + H.T) / 2

    def total_value(self, x):
        return np.mean(self.clients(self.value, x)) + self.lam / 2 * (x @ x)

    def total_gradient(self, x):
        return np.mean(self.clients(self.gradient, x), axis=0) + self.lam * x

    def total_hessian(self, x):
        return np.mean(self.clients(self.hessian, x), axis=0) + self.lam * np.eye(self.d)


def minimiser(p, x=None, steps=30):
    """Damped, then plain Newton: exact to rounding on the problems of the tests."""
    x = np.zeros(p.d) if x is None else x
    for _ in range(steps):
        direction = np.linalg.solve(p.total_hessian(x), -p.total_gradient(x))
        before, t = p.total_value(x), 1.0
        while t > 1e-3 and p.total_value(x + t * direction) > before + 1e-15:
            t /= 2
        x = x + t * direction
    return x


# ---- small common parts ----------------------------------------------------------------------------------------------


def initial(p, x, start):
    if isinstance(start, str):
        return {"exact": p.clients(p.hessian, x), "zero": [np.zeros((p.d, p.d)) for _ in range(p.n)]}[start]
    return [H.copy() for H in start]


def average(arrays):
    return np.mean(arrays, axis=0)


def psd(H):
    """[H]_0 = Σ max(λ_j, 0) u_j u_jᵀ."""
    values, vectors = np.linalg.eigh((H + H.T) / 2)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T


def matrix(p, H, error, step):
    """Option 1: [H]_0 + λI (= [H + λI]_λ). Option 2: [H]_s + lI + λI."""
    ridge = p.lam * np.eye(p.d)
    return psd(H) + ridge if step == "project" else (H + H.T) / 2 + error * np.eye(p.d) + ridge


def cubic(H, g, M):
    """argmin ⟨g, h⟩ + ½⟨Hh, h⟩ + (M/6)‖h‖³: r = ‖h‖ solves r = ‖(H + (M r/2) I)⁻¹ g‖, bisected to the last bit."""
    values, vectors = np.linalg.eigh(H)
    c = vectors.T @ g
    low = max(0.0, -2 * values[0] / M)
    high = low + np.sqrt(2 * np.linalg.norm(g) / M)
    while low < (r := (low + high) / 2) < high:
        low, high = (r, high) if np.linalg.norm(c / (values + M * r / 2)) > r else (low, r)
    return -vectors @ (c / (values + M * high / 2))


def backtrack(p, x, direction, c, gamma, trials=60):
    """γ^s, s ≥ 0 the least with f(x + γ^s d) ≤ f(x) + c γ^s ⟨∇f(x), d⟩ (the last trial if none passes)."""
    value, slope = p.total_value(x), p.total_gradient(x) @ direction
    for s in range(trials):
        if p.total_value(x + gamma**s * direction) <= value + c * gamma**s * slope:
            break
    return gamma**s


# ---- compressors for trials ------------------------------------------------------------------------------------------


def identity(X, i=None, k=None):
    return X


def rank_r(R):
    """The R eigenpairs of largest magnitude."""

    def compress(X, i=None, k=None):
        values, vectors = np.linalg.eigh(X)
        kept = np.argsort(-np.abs(values), kind="stable")[:R]
        return (vectors[:, kept] * values[kept]) @ vectors[:, kept].T

    return compress


def top_k(K, weigh=2**0.5):
    """The K entries of the upper triangle (mirrored), off-diagonal ones weighed, that are largest; or of a vector."""

    def compress(X, i=None, k=None):
        if X.ndim == 1:
            kept = np.argsort(-np.abs(X), kind="stable")[:K]
            return np.where(np.isin(np.arange(len(X)), kept), X, 0.0)
        rows, columns = np.triu_indices(len(X))
        size = np.abs(X[rows, columns]) * np.where(rows == columns, 1.0, weigh)
        kept = np.argsort(-size, kind="stable")[:K]
        out = np.zeros_like(X)
        out[rows[kept], columns[kept]] = X[rows[kept], columns[kept]]
        out[columns[kept], rows[kept]] = X[rows[kept], columns[kept]]
        return out

    return compress


def rand_k(K, seed=0):
    """Unbiased: K coordinates of a vector, or of a matrix' upper triangle, drawn uniformly and scaled by size/K."""

    def compress(X, i=None, k=None):
        draw = np.random.default_rng([seed, 0 if i is None else i + 1, k])
        if X.ndim == 1:
            return np.where(np.isin(np.arange(len(X)), draw.choice(len(X), K, replace=False)), X * len(X) / K, 0.0)
        rows, columns = np.triu_indices(len(X))
        kept = draw.choice(len(rows), K, replace=False)
        out = np.zeros_like(X)
        out[rows[kept], columns[kept]] = X[rows[kept], columns[kept]] * len(rows) / K
        return np.triu(out) + np.triu(out, 1).T

    return compress


# ---- three-point mechanisms C_{H,Y}(X): 3PC 2202.00998, Newton-3PC 2206.03588, AdaCGD 2211.00188 ---------------------


def square(D):
    return float(np.sum(D * D))


def ef21(compress):
    """3PC, EF21: H + C(X − H)."""
    return lambda H, Y, X, i, k: H + compress(X - H, i, k)


def lag(zeta):
    """3PC, LAG: X if ‖X − H‖² > ζ‖X − Y‖², else H."""
    return clag(identity, zeta)


def clag(compress, zeta):
    """3PC, CLAG: H + C(X − H) if ‖X − H‖² > ζ‖X − Y‖², else H."""
    return lambda H, Y, X, i, k: H + compress(X - H, i, k) if square(X - H) > zeta * square(X - Y) else H


def v1(compress):
    """3PCv1: Y + C(X − Y)."""
    return lambda H, Y, X, i, k: Y + compress(X - Y, i, k)


def v2(unbiased, compress):
    """3PCv2: b = H + Q(X − Y), then b + C(X − b)."""

    def mechanism(H, Y, X, i, k):
        b = H + unbiased(X - Y, i, k)
        return b + compress(X - b, i, k)

    return mechanism


def v3(inner, compress):
    """3PCv3: b = C¹_{H,Y}(X) by another mechanism, then b + C(X − b)."""

    def mechanism(H, Y, X, i, k):
        b = inner(H, Y, X, i, k)
        return b + compress(X - b, i, k)

    return mechanism


def v4(first, second):
    """3PCv4: b = H + C₂(X − H), then b + C₁(X − b); `first` is C₂, the one applied first."""
    return v3(ef21(first), second)


def v5(compress, coin):
    """3PCv5: X if the round's coin says so, else H + C(X − Y)."""
    return lambda H, Y, X, i, k: X if coin(k) else H + compress(X - Y, i, k)


def marina(unbiased, coin):
    """MARINA, per client: only the mean of the H_i is MARINA's estimator (the replacement is everyone's at once)."""
    return v5(unbiased, coin)


def cbag(compress, coin):
    """Newton-3PC, CBAG: H + C(X − H) if the round's (shared) coin says so, else H."""
    return lambda H, Y, X, i, k: H + compress(X - H, i, k) if coin(k) else H


def bag(coin):
    """Newton-3PC, BAG: CBAG with C the identity."""
    return cbag(identity, coin)


def adacgd(ladder, zeta):
    """AdaCGD (algorithm 2): H if ‖X − H‖² ≤ ζ‖X − Y‖²; else the first C_j, strongest compression first, with
    ‖X − H − C_j(X − H)‖² ≤ ζ‖X − Y‖²; else the last."""

    def mechanism(H, Y, X, i, k):
        if square(X - H) <= zeta * square(X - Y):
            return H
        for compress in ladder:
            new = H + compress(X - H, i, k)
            if square(X - new) <= zeta * square(X - Y):
                break
        return new

    return mechanism


def adaptive_top_k(most, size, compressor=top_k):
    """Newton-3PC, adaptive Top-K: K = min(⌈size·‖Y − H‖²/‖X − H‖²⌉, most) entries of X − H; `size` is d² there."""

    def mechanism(H, Y, X, i, k):
        if not np.any(X - H):
            return H
        K = min(int(np.ceil(size * square(Y - H) / square(X - H))), most)
        return H + compressor(K)(X - H, i, k)

    return mechanism


def rotation(compress, bases):
    """Newton-3PC, rotation: H + Q_i C(Q_iᵀ(X − H)Q_i) Q_iᵀ."""
    return lambda H, Y, X, i, k: H + bases[i] @ compress(bases[i].T @ (X - H) @ bases[i], i, k) @ bases[i].T


# ---- Newton, Newton-Star, Newton-Zero --------------------------------------------------------------------------------


def newton(p, x, rounds):
    """Newton: x⁺ = x − ∇²f(x)⁻¹ ∇f(x)."""
    out = []
    for _ in range(rounds):
        x = x - np.linalg.solve(p.total_hessian(x), p.total_gradient(x))
        out.append(x)
    return out


def newton_star(p, x, rounds, optimum):
    """NL 2102.07158 §2 and FedNL 2106.02969 §3: x⁺ = x − ∇²f(x*)⁻¹ ∇f(x)."""
    H, out = p.total_hessian(optimum), []
    for _ in range(rounds):
        x = x - np.linalg.solve(H, p.total_gradient(x))
        out.append(x)
    return out


def newton_zero(p, x, rounds):
    """FedNL 2106.02969, N0 (C = 0, H_i⁰ = ∇²f_i(x⁰)): x⁺ = x − ∇²f(x⁰)⁻¹ ∇f(x)."""
    H, out = p.total_hessian(x), []
    for _ in range(rounds):
        x = x - np.linalg.solve(H, p.total_gradient(x))
        out.append(x)
    return out


def newton_zero_ls(p, x, rounds, c=0.5, gamma=0.5):
    """FedNL 2106.02969, N0-LS: algorithm 3 with C = 0."""
    H, out = p.total_hessian(x), []
    for _ in range(rounds):
        direction = -np.linalg.solve(H, p.total_gradient(x))
        x = x + backtrack(p, x, direction, c, gamma) * direction
        out.append(x)
    return out


# ---- FedNL 2106.02969 ------------------------------------------------------------------------------------------------


def fednl(p, x, rounds, compress, step="project", alpha=1.0, start="exact"):
    """FedNL, algorithm 1. compress(·, i, k): the message at x^k, which the step of round k does not use yet."""
    H, out = initial(p, x, start), []
    for k in range(rounds):
        local = p.clients(p.hessian, x)
        error = np.mean([np.linalg.norm(h - X) for h, X in zip(H, local, strict=True)])
        P = matrix(p, average(H), error, step)
        H = [h + alpha * compress(X - h, i, k) for i, (h, X) in enumerate(zip(H, local, strict=True))]
        x = x - np.linalg.solve(P, p.total_gradient(x))
        out.append(x)
    return out


def fednl_pp(p, x, rounds, compress, sample, alpha=1.0, start="exact"):
    """FedNL-PP, algorithm 2. Round k: x^{k+1} from H^k, l^k, g^k; then S^k = sample(k) answers at x^{k+1}."""
    H, w, out = initial(p, x, start), [x] * p.n, []
    e = [np.linalg.norm(h - X) for h, X in zip(H, p.clients(p.hessian, x), strict=True)]
    g = [H[i] @ w[i] + e[i] * w[i] - p.gradient(w[i], i) for i in range(p.n)]
    H_mean, e_mean, g_mean = average(H), np.mean(e), average(g)
    for k in range(rounds):
        x = np.linalg.solve(matrix(p, H_mean, e_mean, "shift"), g_mean)
        for i in sample(k):
            w[i] = x
            message = alpha * compress(p.hessian(x, i) - H[i], i, k)
            H[i] = H[i] + message
            old_e, old_g = e[i], g[i]
            e[i] = np.linalg.norm(H[i] - p.hessian(w[i], i))
            g[i] = H[i] @ w[i] + e[i] * w[i] - p.gradient(w[i], i)
            H_mean = H_mean + message / p.n
            e_mean, g_mean = e_mean + (e[i] - old_e) / p.n, g_mean + (g[i] - old_g) / p.n
        out.append(x)
    return out


def fednl_ls(p, x, rounds, compress, alpha=1.0, start="exact", c=0.5, gamma=0.5):
    """FedNL-LS, algorithm 3: d = −[H^k]_μ⁻¹ ∇f(x^k) and backtracking."""
    H, out = initial(p, x, start), []
    for k in range(rounds):
        direction = -np.linalg.solve(matrix(p, average(H), 0.0, "project"), p.total_gradient(x))
        H = [H[i] + alpha * compress(p.hessian(x, i) - H[i], i, k) for i in range(p.n)]
        x = x + backtrack(p, x, direction, c, gamma) * direction
        out.append(x)
    return out


def fednl_cr(p, x, rounds, compress, L, alpha=1.0, start="zero"):
    """FedNL-CR, algorithm 4: h = argmin ⟨∇f, h⟩ + ½⟨(H^k + l^k I)h, h⟩ + (L_*/6)‖h‖³ (L_*: see `lipschitz`)."""
    H, out = initial(p, x, start), []
    for k in range(rounds):
        local = p.clients(p.hessian, x)
        error = np.mean([np.linalg.norm(h - X) for h, X in zip(H, local, strict=True)])
        P = matrix(p, average(H), error, "shift")
        H = [h + alpha * compress(X - h, i, k) for i, (h, X) in enumerate(zip(H, local, strict=True))]
        x = x + cubic(P, p.total_gradient(x), L)
        out.append(x)
    return out


def lipschitz(p):
    """L_* of the authors' FedNL-CR program: mean_i (1/m) Σ_j ‖a_ij‖³ / (6√3)."""
    return np.mean([np.mean(np.linalg.norm(A, axis=1) ** 3) for A in p.rows]) / (6 * np.sqrt(3))


def fednl_bc(p, x, rounds, compress, model, coin, step="project", alpha=1.0, eta=1.0, start="exact", models=None):
    """FedNL-BC, algorithm 5, g with the matrix of the step where ξ = 0 (the authors' program; the box writes H^k).
    ξ^0 = 1, coin(k) = ξ^k for k ≥ 1; model(·, None, k) makes s^k, at the end of round k."""
    H, z, w, out = initial(p, x, start), x, x, []
    for k in range(rounds):
        local = p.clients(p.hessian, z)
        error = np.mean([np.linalg.norm(h - X) for h, X in zip(H, local, strict=True)])
        P = matrix(p, average(H), error, step)
        if k == 0 or coin(k):
            w, g = z, p.total_gradient(z)
        else:
            g = P @ (z - w) + p.total_gradient(w)
        H = [h + alpha * compress(X - h, i, k) for i, (h, X) in enumerate(zip(H, local, strict=True))]
        x = z - np.linalg.solve(P, g)
        z = z + eta * model(x - z, None, k)
        out.append(x)
        if models is not None:
            models.append(z)
    return out


# ---- Newton-3PC 2206.03588 -------------------------------------------------------------------------------------------


def learn(p, H, old, new, mechanism, k):
    """H_i^k = C_{H_i^{k−1}, ∇²f_i(old)}(∇²f_i(new)) for every client, and the mean l^k of ‖H_i^k − ∇²f_i(new)‖_F."""
    X = p.clients(p.hessian, new)
    if k > 0:
        H = [mechanism(H[i], p.hessian(old, i), X[i], i, k) for i in range(p.n)]
    return H, np.mean([np.linalg.norm(h - x) for h, x in zip(H, X, strict=True)])


def newton_3pc(p, x, rounds, mechanism, step="project", start="exact"):
    """Newton-3PC, algorithm 1. Round 0 steps with H_i⁰; in round k ≥ 1 mechanism(…, k) comes first, then the step."""
    H, old, out = initial(p, x, start), x, []
    for k in range(rounds):
        H, error = learn(p, H, old, x, mechanism, k)
        P = matrix(p, average(H), error, step)
        old, x = x, x - np.linalg.solve(P, p.total_gradient(x))
        out.append(x)
    return out


def geometric_median(vectors, iterations=32):
    """Weiszfeld: z ← Σ w_i v_i/Σ w_i with w_i = 1/max(ν, ‖v_i − z‖), from the coordinate median; ν is a millionth of
    the median distance from there (of an even number the lower one): where that is 0, half of them are z. Of matrices,
    the Frobenius norm."""
    z = np.median(vectors, axis=0)
    nu = 1e-6 * sorted(np.linalg.norm(v - z) for v in vectors)[(len(vectors) - 1) // 2]
    for _ in range(iterations if nu else 0):
        w = [1 / max(nu, np.linalg.norm(v - z)) for v in vectors]
        z = sum(a * v for a, v in zip(w, vectors, strict=True)) / sum(w)
    return z


def robust_newton(p, x, rounds, mechanism, rule, step="shift", start="exact"):
    """Newton-3PC with a rule in the place of its means: rule(vectors, k, about), about the gradients, the Hessians'
    estimates H_i, or their errors l_i = ‖H_i − ∇²f_i(x)‖_F."""
    H, old, out = initial(p, x, start), x, []
    for k in range(rounds):
        H, _ = learn(p, H, old, x, mechanism, k)
        errors = [np.array([np.linalg.norm(h - X)]) for h, X in zip(H, p.clients(p.hessian, x), strict=True)]
        P = matrix(p, rule(H, k, "curvature"), rule(errors, k, "curvature/error")[0], step)
        old, x = x, x - np.linalg.solve(P, rule(p.clients(p.gradient, x), k, "gradient") + p.lam * x)
        out.append(x)
    return out


def newton_3pc_cr(p, x, rounds, mechanism, L, start="exact"):
    """Newton-3PC-CR (algorithm 4 of the appendix): the step of FedNL-CR, the rest of Newton-3PC."""
    H, old, out = initial(p, x, start), x, []
    for k in range(rounds):
        H, error = learn(p, H, old, x, mechanism, k)
        P = matrix(p, average(H), error, "shift")
        old, x = x, x + cubic(P, p.total_gradient(x), L)
        out.append(x)
    return out


def newton_3pc_ls(p, x, rounds, mechanism, start="zero", c=0.5, gamma=0.5):
    """Newton-3PC-LS: the direction and line search of FedNL-LS, the rest of Newton-3PC; H_i⁰ = 0 in the experiments."""
    H, old, out = initial(p, x, start), x, []
    for k in range(rounds):
        H, _ = learn(p, H, old, x, mechanism, k)
        direction = -np.linalg.solve(matrix(p, average(H), 0.0, "project"), p.total_gradient(x))
        old, x = x, x + backtrack(p, x, direction, c, gamma) * direction
        out.append(x)
    return out


def newton_3pc_bc(p, x, rounds, mechanism, master, coin, step="project", start="exact", models=None):
    """Newton-3PC-BC, algorithm 2. ξ^0 = 1, coin(k) = ξ^k for k ≥ 1; master(z^k, x^k, x^{k+1}, None, k) makes z^{k+1} at
    the end of round k; mechanism(…, k), k ≥ 1, brings H_i from z^{k−1} to z^k at the beginning of round k."""
    H, z, old, w, out = initial(p, x, start), x, x, x, []
    for k in range(rounds):
        H, error = learn(p, H, old, z, mechanism, k)
        P = matrix(p, average(H), error, step)
        if k == 0 or coin(k):
            w, g = z, p.total_gradient(z)
        else:
            g = P @ (z - w) + p.total_gradient(w)
        new = z - np.linalg.solve(P, g)
        old, z, x = z, master(z, x, new, None, k), new
        out.append(x)
        if models is not None:
            models.append(z)
    return out


def newton_3pc_bc_pp(p, x, rounds, mechanism, master, client_coin, sample, start="exact", models=None):
    """Newton-3PC-BC-PP, algorithm 3. Round k: x^{k+1}; then for i in sample(k): z_i = master(z_i, x^k, x^{k+1}, i, k),
    H_i by mechanism(…, i, k) from the old z_i to the new, ξ_i = client_coin(i, k), all after the step."""
    H, z, w, out = initial(p, x, start), [x] * p.n, [x] * p.n, []
    e = [np.linalg.norm(h - X) for h, X in zip(H, p.clients(p.hessian, x), strict=True)]
    g = [H[i] @ w[i] + e[i] * w[i] - p.gradient(w[i], i) for i in range(p.n)]
    for k in range(rounds):
        new = np.linalg.solve(matrix(p, average(H), np.mean(e), "shift"), average(g))
        for i in sample(k):
            old, z[i] = z[i], master(z[i], x, new, i, k)
            before, X = (H[i] + H[i].T) / 2, p.hessian(z[i], i)
            H[i] = mechanism(H[i], p.hessian(old, i), X, i, k)
            after, old_e = (H[i] + H[i].T) / 2, e[i]
            e[i] = np.linalg.norm(after - X)
            if client_coin(i, k):
                w[i] = z[i]
                g[i] = after @ w[i] + e[i] * w[i] - p.gradient(w[i], i)
            else:  # as the server rebuilds it, without a gradient
                g[i] = g[i] + (after - before) @ w[i] + (e[i] - old_e) * w[i]
        x = new
        out.append(x)
        if models is not None:
            models.append(list(z))
    return out


# ---- Basis Learn 2111.01847 ------------------------------------------------------------------------------------------


def data_bases(p, tolerance=1e-10):
    """V_i (d×r_i), orthonormal, spanning client i's rows: the right singular vectors."""
    bases = []
    for A in p.rows:
        _, s, Vt = np.linalg.svd(A, full_matrices=False)
        bases.append(Vt[s > tolerance * s[0]].T)
    return bases


def bl1(p, x, rounds, V, compress, model, coin, step="project", alpha=1.0, eta=1.0, start="exact", models=None):
    """BL1, algorithm 1, in the bases {v_t v_lᵀ}, v the columns of V_i: coefficients h_i(A) = V_iᵀ A V_i (r_i×r_i).
    ξ^0 = 1, coin(k) = ξ^k for k ≥ 1; compress(·, i, k) at z^k, used from round k + 1; model(·, None, k) makes v^k."""
    L = [V[i].T @ H @ V[i] for i, H in enumerate(initial(p, x, start))]
    z, w, out = x, x, []
    for k in range(rounds):
        h = [V[i].T @ p.hessian(z, i) @ V[i] for i in range(p.n)]
        H = average([V[i] @ L[i] @ V[i].T for i in range(p.n)])
        P = matrix(p, H, np.mean([np.linalg.norm(L[i] - h[i]) for i in range(p.n)]), step)
        if k == 0 or coin(k):
            w, g = z, p.total_gradient(z)
        else:
            g = P @ (z - w) + p.total_gradient(w)
        L = [L[i] + alpha * compress(h[i] - L[i], i, k) for i in range(p.n)]
        x = z - np.linalg.solve(P, g)
        z = z + eta * model(x - z, None, k)
        out.append(x)
        if models is not None:
            models.append(z)
    return out


def bl2(p, x, rounds, V, compress, model, client_coin, sample, alpha=1.0, eta=1.0, start="exact", models=None):
    """BL2, algorithm 2. Round k: x^{k+1}; then for i in sample(k): z_i += η model(x^{k+1} − z_i, i, k), S_i by
    compress(·, i, k) at the new z_i, ξ_i = client_coin(i, k), all after the step."""
    L = [V[i].T @ H @ V[i] for i, H in enumerate(initial(p, x, start))]
    H, z, w, out = [V[i] @ L[i] @ V[i].T for i in range(p.n)], [x] * p.n, [x] * p.n, []
    e = [np.linalg.norm(h - X) for h, X in zip(H, p.clients(p.hessian, x), strict=True)]
    g = [H[i] @ w[i] + e[i] * w[i] - p.gradient(w[i], i) for i in range(p.n)]
    for k in range(rounds):
        x = np.linalg.solve(matrix(p, average(H), np.mean(e), "shift"), average(g))
        for i in sample(k):
            z[i] = z[i] + eta * model(x - z[i], i, k)
            X = p.hessian(z[i], i)
            S = alpha * compress(V[i].T @ X @ V[i] - L[i], i, k)
            L[i], change = L[i] + S, V[i] @ S @ V[i].T
            H[i], old_e = H[i] + change, e[i]
            e[i] = np.linalg.norm((H[i] + H[i].T) / 2 - X)
            if client_coin(i, k):
                w[i] = z[i]
                g[i] = (H[i] + H[i].T) / 2 @ w[i] + e[i] * w[i] - p.gradient(w[i], i)
            else:
                g[i] = g[i] + (change + change.T) / 2 @ w[i] + (e[i] - old_e) * w[i]
        out.append(x)
        if models is not None:
            models.append(list(z))
    return out


def psd_coefficients(A):
    """A = Σ_{j>l} T_jl (e_j+e_l)(e_j+e_l)ᵀ + Σ_j T_jj e_j e_jᵀ: T_jl = A_jl, T_jj = A_jj − Σ_{l≠j} A_jl."""
    return A + np.diag(np.diag(A) - A.sum(axis=1))


def psd_expand(T):
    """The inverse of `psd_coefficients`: A_jj is the sum of row j of T."""
    return T + np.diag(T.sum(axis=1) - np.diag(T))


def bl3(p, x, rounds, compress, model, client_coin, sample, c=1e-3, alpha=1.0, eta=1.0, start="exact", models=None):
    """BL3, algorithm 3, in the PSD basis (§2.3 there; the box from memory of the paper, not from its text).
    γ_i = max(c, max|L_i|), A_i = Σ (L_i + 2γ_i)B, C_i = Σ 2γ_i B, β_i = max (h̃ + 2γ_i)/(L_i + 2γ_i), H = βA − C.
    Timing as in BL2: for i in sample(k), after the step; γ_i and β_i take the new L_i; β = max of all the last β_i."""
    ones = psd_expand(np.ones((p.d, p.d)))
    L = [psd_coefficients(H) for H in initial(p, x, start)]
    z, w, beta, out = [x] * p.n, [x] * p.n, np.zeros(p.n), []
    gamma = np.array([max(c, np.abs(T).max()) for T in L])

    def bound(i):
        return np.max((psd_coefficients(p.hessian(z[i], i)) + 2 * gamma[i]) / (L[i] + 2 * gamma[i]))

    beta = np.array([bound(i) for i in range(p.n)])
    for k in range(rounds):
        A = [psd_expand(L[i]) + 2 * gamma[i] * ones for i in range(p.n)]
        g1 = average([A[i] @ w[i] for i in range(p.n)])
        g2 = average([2 * gamma[i] * ones @ w[i] + p.gradient(w[i], i) for i in range(p.n)])
        H = beta.max() * average(A) - 2 * gamma.mean() * ones
        x = np.linalg.solve(H + p.lam * np.eye(p.d), beta.max() * g1 - g2)
        for i in sample(k):
            z[i] = z[i] + eta * model(x - z[i], i, k)
            L[i] = L[i] + alpha * compress(psd_coefficients(p.hessian(z[i], i)) - L[i], i, k)
            gamma[i] = max(c, np.abs(L[i]).max())
            beta[i] = bound(i)
            w[i] = z[i] if client_coin(i, k) else w[i]
        out.append(x)
        if models is not None:
            models.append(list(z))
    return out


# ---- Newton-Learn 2102.07158 -----------------------------------------------------------------------------------------


def nl1(p, x, rounds, compress, eta, start=None):
    """NL1, algorithm 1. h_i ∈ R^m learns φ″ at the rows, kept ≥ 0: h⁺ = [h + η C(h(x^k) − h)]_+; the step uses h^k."""
    h = p.clients(p.weights, x) if start is None else list(start)
    out = []
    for k in range(rounds):
        H = average([p.hessian_of(h[i], i) for i in range(p.n)])
        h = [np.maximum(h[i] + eta * compress(p.weights(x, i) - h[i], i, k), 0.0) for i in range(p.n)]
        x = x - np.linalg.solve(H + p.lam * np.eye(p.d), p.total_gradient(x))
        out.append(x)
    return out


def nl2(p, x, rounds, compress, eta, gamma=0.25, start=None, M=None):
    """NL2, algorithm 2: β = max_ij (h_ij(x^k) + 2γ)/(h_ij^k + 2γ), H = mean_i (1/m) Σ_j (β(h_ij^k + 2γ) − 2γ) a aᵀ,
    γ ≥ |h_ij| (¼ for the logistic loss). With M: algorithm 3, the cubic step with (M/6)‖s‖³."""
    h = p.clients(p.weights, x) if start is None else list(start)
    out = []
    for k in range(rounds):
        now = p.clients(p.weights, x)
        beta = max(np.max((now[i] + 2 * gamma) / (h[i] + 2 * gamma)) for i in range(p.n))
        A = average([p.hessian_of(h[i] + 2 * gamma, i) for i in range(p.n)])
        fixed = 2 * gamma * average([p.hessian_of(np.ones(len(h[i])), i) for i in range(p.n)])
        H = beta * A - fixed + p.lam * np.eye(p.d)
        h = [h[i] + eta * compress(now[i] - h[i], i, k) for i in range(p.n)]
        g = p.total_gradient(x)
        x = x - np.linalg.solve(H, g) if M is None else x + cubic(H, g, M)
        out.append(x)
    return out


def cubic_newton_learn(p, x, rounds, compress, eta, gamma=0.25, start=None, M=None):
    """CNL, algorithm 3: M = νR³, ν = 1/(6√3) the logistic loss's, R = max ‖a_ij‖, unless given."""
    R = max(np.linalg.norm(A, axis=1).max() for A in p.rows)
    return nl2(p, x, rounds, compress, eta, gamma, start, R**3 / (6 * np.sqrt(3)) if M is None else M)


# ---- DINGO, GIANT, SHED ----------------------------------------------------------------------------------------------


def dingo(p, x, rounds, theta=1e-4, phi=1e-6, rho=1e-4, authors=False):
    """DINGO 1901.05134, algorithm 1, with λI inside the local Hessians. `authors`: as in the FedNL authors' program, a
    step of at most 0.01 in the first four rounds."""
    out = []
    for k in range(rounds):
        g = p.total_gradient(x)
        H = [X + p.lam * np.eye(p.d) for X in p.clients(p.hessian, x)]
        Hg, squared = average(H) @ g, g @ g
        plain = average([np.linalg.solve(X, g) for X in H])
        gram = [X @ X + phi**2 * np.eye(p.d) for X in H]  # H̃ᵀH̃
        tilde = [np.linalg.solve(G, X @ g) for G, X in zip(gram, H, strict=True)]  # H̃†g̃
        if Hg @ plain >= theta * squared:  # case 1
            direction = -plain
        elif Hg @ average(tilde) >= theta * squared:  # case 2
            direction = -average(tilde)
        else:  # case 3, client by client
            parts = []
            for G, t in zip(gram, tilde, strict=True):
                correction = np.linalg.solve(G, Hg)
                multiplier = (theta * squared - Hg @ t) / (Hg @ correction)
                parts.append(-t if Hg @ t >= theta * squared else -t - multiplier * correction)
            direction = average(parts)
        for step in 2.0 ** -np.arange(11):
            new = p.total_gradient(x + step * direction)
            if new @ new <= squared + 2 * step * rho * (direction @ Hg):
                break
        if authors:
            step = min(step, 0.01) if k < 4 else step
        x = x + step * direction
        out.append(x)
    return out


def giant(p, x, rounds, c=0.1, gamma=0.5):
    """GIANT 1709.03528, algorithm 1 with a line search: the mean of local Newton directions of the global gradient."""
    out = []
    for _ in range(rounds):
        g = p.total_gradient(x)
        direction = -average([np.linalg.solve(X + p.lam * np.eye(p.d), g) for X in p.clients(p.hessian, x)])
        x = x + backtrack(p, x, direction, c, gamma) * direction
        out.append(x)
    return out


def fib_ios(p, x, rounds, q=1, renew=FIBONACCI_SUMS, c=0.5, gamma=0.9, grid=0.0):
    """SHED (IOS) 2202.05800: Ĥ_i = Σ_{j≤q_i} (λ_j − ρ_i) v_j v_jᵀ + ρ_i I, ρ_i = λ_{q_i+1}, the pairs of ∇²f_i where
    it was last computed (rounds `renew`), q more sent every round; then Newton's direction and backtracking. With a
    grid λ_j v_j is rounded to multiples of the power of √2 at or below grid·λ_1/√d."""
    out = []
    for k in range(rounds):
        if k in renew:
            pairs, sent = [np.linalg.eigh(X) for X in p.clients(p.hessian, x)], 0
        sent = min(sent + q, p.d - 1)
        H = []
        for values, vectors in pairs:
            values, vectors = values[::-1], vectors[:, ::-1]
            if grid:
                unit = 2 ** (np.floor(2 * np.log2(grid * values[0] / np.sqrt(p.d))) / 2)
                vectors = np.rint(values * vectors / unit) * unit / np.where(values > 0, values, 1.0)
            rest, kept = values[sent], vectors[:, :sent]
            H.append((kept * (values[:sent] - rest)) @ kept.T + rest * np.eye(p.d))
        direction = -np.linalg.solve(average(H) + p.lam * np.eye(p.d), p.total_gradient(x))
        x = x + backtrack(p, x, direction, c, gamma) * direction
        out.append(x)
    return out


# ---- DANE, LocalNewton, FedNew, FedNS --------------------------------------------------------------------------------


def dane(p, x, rounds, eta=1.0, nu=0.1, inner=50):
    """DANE 1312.7853: the mean of the minimisers of f_i(y) − ⟨∇f_i(x) − η∇f(x), y⟩ + (ν/2)‖y − x‖², λI inside f_i, by
    `inner` steps of Newton's method from x; InexactDANE 1608.06879 where these are few."""
    out = []
    for _ in range(rounds):
        local, g = [G + p.lam * x for G in p.clients(p.gradient, x)], p.total_gradient(x)
        minimisers = []
        for i in range(p.n):
            y = x
            for _ in range(inner):
                gradient = p.gradient(y, i) + p.lam * y - (local[i] - eta * g) + nu * (y - x)
                y = y - np.linalg.solve(p.hessian(y, i) + (p.lam + nu) * np.eye(p.d), gradient)
            minimisers.append(y)
        x = average(minimisers)
        out.append(x)
    return out


def local_newton(p, x, rounds, inner=1):
    """LocalNewton 2105.07320: the mean of the points that `inner` Newton steps on f_i + (λ/2)‖·‖² lead to from x, each
    of them halved until that function falls."""

    def local(y, i):
        return p.value(y, i) + p.lam / 2 * (y @ y)

    out = []
    for _ in range(rounds):
        models = []
        for i in range(p.n):
            y = x
            for _ in range(inner):
                g, t = p.gradient(y, i) + p.lam * y, 1.0
                step = np.linalg.solve(p.hessian(y, i) + p.lam * np.eye(p.d), g)
                while local(y - t * step, i) > local(y, i) - 1e-4 * t * (g @ step) + 1e-15:
                    t /= 2
                y = y - t * step
            models.append(y)
        x = average(models)
        out.append(x)
    return out


def fednew(p, x, rounds, alpha=0.03, rho=0.1, renew=1):
    """FedNew 2206.08829: x − y, y by one step of ADMM a round on the mean of ½yᵀ(∇²f_i + αI)y − ∇f_iᵀy, λI inside f_i;
    Hessians of every `renew`-th round, or of the first alone."""
    out, y, dual = [], np.zeros(p.d), np.zeros((p.n, p.d))
    for k in range(rounds):
        if k == 0 or (renew and k % renew == 0):
            H = [X + (p.lam + alpha + rho) * np.eye(p.d) for X in p.clients(p.hessian, x)]
        own = [np.linalg.solve(H[i], p.gradient(x, i) + p.lam * x - dual[i] + rho * y) for i in range(p.n)]
        y = average(own)
        dual = dual + rho * (own - y)
        x = x - y
        out.append(x)
    return out


def fedns(p, x, rounds, normal, eta=0.7):
    """FedNS 2401.02734: Newton's step with the mean of YᵀY, Y = S H_i^½, H_i with λI inside, S = normal(i, k) with
    normal entries whose variance is one over its rows."""
    out = []
    for k in range(rounds):
        sketched = []
        for i in range(p.n):
            values, vectors = np.linalg.eigh(p.hessian(x, i) + p.lam * np.eye(p.d))
            Y = normal(i, k) @ (vectors * np.sqrt(values)) @ vectors.T
            sketched.append(Y.T @ Y)
        x = x - eta * np.linalg.solve(average(sketched), p.total_gradient(x))
        out.append(x)
    return out


# ---- only vectors: AdaHessian, DiSCO, Newton-CG, L-BFGS --------------------------------------------------------------


def adahessian(p, x, rounds, signs=None, eta=0.15, power=1.0, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """AdaHessian 2006.00719: Adam with the Hessian's diagonal D in place of the gradient in the second moment; D exact,
    or z∘(∇²f z) with z = signs(k), λI inside."""
    out, m, v = [], np.zeros(p.d), np.zeros(p.d)
    for k in range(rounds):
        H = p.total_hessian(x)
        D = np.diag(H) if signs is None else signs(k) * (H @ signs(k))
        m = beta1 * m + (1 - beta1) * p.total_gradient(x)
        v = beta2 * v + (1 - beta2) * D**2
        corrected = np.sqrt(v / (1 - beta2 ** (k + 1))) ** power
        x = x - eta * m / (1 - beta1 ** (k + 1)) / (corrected + epsilon)
        out.append(x)
    return out


def disco(p, x, rounds, residual=0.05, nu=0.01, client=0):
    """DiSCO 1501.00263: a damped Newton step x − v/(1 + √(vᵀHv)), Hv ≈ ∇f by conjugate gradients preconditioned with
    one client's Hessian + νI, λI inside it, until ‖Hv − ∇f‖ ≤ ε‖∇f‖."""
    out = []
    for _ in range(rounds):
        g, H = p.total_gradient(x), p.total_hessian(x)
        P = p.hessian(x, client) + (p.lam + nu) * np.eye(p.d)
        v, r = np.zeros(p.d), g
        s = u = np.linalg.solve(P, r)
        while np.linalg.norm(r) > residual * np.linalg.norm(g):
            alpha = (r @ s) / (u @ H @ u)
            v, new = v + alpha * u, r - alpha * H @ u
            z = np.linalg.solve(P, new)
            u, r, s = z + (new @ z) / (r @ s) * u, new, z
        x = x - v / (1 + np.sqrt(v @ H @ v))
        out.append(x)
    return out


def newton_cg(p, x, rounds, jacobi=False, c=1e-4, gamma=0.5):
    """Line search Newton-CG (Nocedal and Wright, algorithm 7.1) with the second forcing of Eisenstat and Walker."""
    out, before, eta = [], None, 0.5
    for _ in range(rounds):
        g, H = p.total_gradient(x), p.total_hessian(x)
        norm = np.linalg.norm(g)
        if before:
            least = 0.9 * eta ** ((1 + np.sqrt(5)) / 2)
            eta = min(0.5, max(0.9 * (norm / before) ** ((1 + np.sqrt(5)) / 2), least if least > 0.1 else 0.0))
        M = np.diag(np.diag(H)) if jacobi else np.eye(p.d)
        direction, r = np.zeros(p.d), -g
        z = q = np.linalg.solve(M, r)
        for _ in range(200):
            alpha = (r @ z) / (q @ H @ q)
            direction, new = direction + alpha * q, r - alpha * H @ q
            if np.linalg.norm(new) <= eta * norm:
                break
            y = np.linalg.solve(M, new)
            q, r, z = y + (new @ y) / (r @ z) * q, new, y
        x, before = x + backtrack(p, x, direction, c, gamma) * direction, norm
        out.append(x)
    return out


def parabola(p, x, direction, gamma, trials):
    """The step at the vertex of a parabola through the best of the trials 1/γ, 1, γ, … and its neighbours."""
    first, steps, values = -1, [0.0], [p.total_value(x)]
    while np.argmin(values) == 0:
        steps = [0.0, *sorted(gamma ** np.arange(first, first + trials)), *steps[1:]]
        values = [p.total_value(x + t * direction) for t in steps]
        first += trials
    best = int(np.argmin(values))
    if best == len(steps) - 1:
        return steps[best]
    around = slice(best - 1, best + 2)
    a, b, _ = np.polyfit(np.array(steps[around]) - steps[best], np.array(values[around]) - values[best], 2)
    return steps[best] - b / (2 * a)


def l_bfgs(p, x, rounds, memory=10, gamma=0.5, trials=3):
    """L-BFGS: the inverse Hessian of the last pairs, each of them put in by BFGS's formula; the step by a parabola."""
    out, pairs, last = [], [], None
    for _ in range(rounds):
        g = p.total_gradient(x)
        if last is not None:
            pairs = [*pairs, (x - last[0], g - last[1])][-memory:]
        s, y = pairs[-1] if pairs else (g, np.linalg.norm(g) * g)
        B = (s @ y) / (y @ y) * np.eye(p.d)
        for s, y in pairs:
            V = np.eye(p.d) - np.outer(y, s) / (s @ y)
            B = V.T @ B @ V + np.outer(s, s) / (s @ y)
        last, x = (x, g), x - parabola(p, x, -B @ g, gamma, trials) * B @ g
        out.append(x)
    return out


def bfgs(p, x, rounds, gamma=0.5, trials=3):
    """BFGS: the inverse Hessian that all pairs show; the step by a parabola."""
    out, B, last = [], None, None
    for _ in range(rounds):
        g = p.total_gradient(x)
        if last is not None:
            s, y = x - last[0], g - last[1]
            B = (s @ y) / (y @ y) * np.eye(p.d) if B is None else B
            V = np.eye(p.d) - np.outer(y, s) / (s @ y)
            B = V.T @ B @ V + np.outer(s, s) / (s @ y)
        direction = -g / np.linalg.norm(g) if B is None else -B @ g
        last, x = (x, g), x + parabola(p, x, direction, gamma, trials) * direction
        out.append(x)
    return out


# ---- the library's own, no paper's -----------------------------------------------------------------------------------


def lattice_newton(p, x, rounds, u, start=None):
    """Without refreshes by price, on dense rows: u(k, tried)_i dithers diagonals, and from 0 `start` the minimisers."""
    n, d, diagonal, G = p.n, p.d, np.diag_indices(p.d), np.zeros((p.n, p.d))

    def octaves(v, parts):
        return np.rint(parts * np.log2(v))

    def curvature(z, u, level):
        levels = [octaves(np.diag(p.hessian(z, i)) * 2 ** (u[i] / 2), 2) - u[i] for i in range(n)]
        told, H = 2.0 ** (np.array(levels) / 2), []
        leverage = (told / (told.mean(axis=0) + p.lam)).sum(axis=1)
        for i in sorted(np.argsort(-leverage, kind="stable")[: min(n, max(8, -(-15 * n // 100)) << level)]):
            h = p.hessian(z, i)
            fine = 2.0 ** (octaves(np.diag(h), 16) / 16)
            unit = 0.04 / 2**level * np.sqrt(np.outer(fine + p.lam, fine + p.lam))
            H.append(unit * np.rint(h / unit))
            H[-1][diagonal] = fine
        H = np.mean(H, axis=0)
        ratio = np.sqrt(told.mean(axis=0) / np.diag(H))
        H *= np.outer(ratio, ratio)
        H[diagonal] = told.mean(axis=0)
        values, vectors = np.linalg.eigh(H)
        return (vectors * np.maximum(values, 0)) @ vectors.T + p.lam * np.eye(d)

    if start is not None:
        local = [argmin_of_client(p, i, max(p.lam, 5e-3)) for i in range(n)]
        sent = [(np.rint(2 * a + b) - b) / 2 for a, b in zip(local, start, strict=True)]
        q = np.rint(2 * n**0.5 * np.mean(sent, axis=0))
    for tried in range(4):
        z = x if start is None else q / 2 / n**0.5
        for i in range(n):
            news = p.gradient(z, i) - G[i]
            grid = 2.0 ** (np.floor(np.log2(np.sqrt(np.mean(news**2)))) - 2)
            G[i] += grid * np.rint(news / grid)
        P, g = curvature(z, u(0, tried), 0), G.mean(axis=0) + p.lam * z
        if start is None or g @ z <= z @ P @ z / 2:
            break
        q = np.rint(q / 2)
    sigma = 2.0 ** (octaves(1 / np.diag(np.linalg.inv(P)), 1) / 2)
    rho, back, floor, level, best, pairs = 0.5, None, 0.35 * np.sqrt(2e-12), 0, (np.inf, 0), []
    out = [z - np.linalg.solve(P, g)]
    for k in range(1, rounds):
        nu = np.sqrt(g @ np.linalg.solve(P, g))
        best = (nu, k) if nu <= best[0] / 2 else best
        stalled = k - best[1] >= 4
        if stalled:
            level, best = min(level + 1, 8), (nu, k)
        while nu < 2.8 * floor:
            floor /= 32
        model = max(0.3 * min(rho, 0.4) * nu, floor) * np.sqrt(12 / d) / 2**level
        noise = max(0.25 * min(rho, 0.3) ** 2 * nu, floor) * np.sqrt(12 * n / d) / 2**level
        model, noise = 2.0 ** (octaves(model, 2) / 2) / sigma, 2.0 ** (octaves(noise, 2) / 2) * sigma
        s = model * np.rint((out[-1] - z) / model)
        for i in range(n):
            G[i] += noise * np.rint((p.gradient(z + s, i) - G[i]) / noise)
        new = G.mean(axis=0) + p.lam * (z + s)
        after, pairs = np.sqrt(new @ np.linalg.solve(P, new)), [*pairs[-5:], (s, new - g)]
        P = curvature(z + s, u(k, 0), level) if stalled else P
        for a, y in pairs if stalled else pairs[-1:]:
            Pa = P @ a
            if a @ y < 0.05 * a @ Pa:
                t = 0.95 * a @ Pa / (a @ Pa - a @ y)
                y = t * y + (1 - t) * Pa
            if a.any():
                P = P + np.outer(y, y) / (a @ y) - np.outer(Pa, Pa) / (a @ Pa)
        if new @ s > abs(g @ s):
            back, rho = s * max(0.1, abs(g @ s) / (abs(g @ s) + new @ s)), 0.7 * min(rho, 0.5)
        else:
            z, g, back, rho = z + s, new, None, min(max(after / nu, 0.04), 1.0)
        step = -np.linalg.solve(P, g)
        out.append(z + (step * min(1, 2 * nu / np.sqrt(-g @ step)) if back is None else back))
    return out


def argmin_of_client(p, i, ridge):
    def value(x):
        return p.value(x, i) + ridge / 2 * (x @ x)

    x = np.zeros(p.d)
    for _ in range(60):
        step, t = np.linalg.solve(p.hessian(x, i) + ridge * np.eye(p.d), p.gradient(x, i) + ridge * x), 1.0
        while t > 1e-6 and value(x - t * step) > value(x):
            t /= 2
        x = x - t * step
    return x
