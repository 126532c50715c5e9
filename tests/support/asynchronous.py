"""Asynchronous methods, transcribed densely, and arrivals worked out in another way; nothing is the library's.

Conventions
- As in `transcriptions` and `first_order`. Round 0: all answer about x⁰. Then jobs(k) → (i, π): client i answers in
  round k about x^π. Every function returns [x^1, …, x^rounds].
"""

import numpy as np
from transcriptions import average, initial, matrix


def answers(p, points, k, jobs):
    """Who answers in round k, and about which point; without jobs all answer, about the last."""
    if k == 0 or jobs is None:
        return [(i, points[-1]) for i in range(p.n)]
    i, given = jobs(k)
    return [(i, points[given])]


def fednl_pp(p, x, rounds, compress, jobs, alpha=1.0, start="exact"):
    """FedNL-PP with answers about earlier iterates, in no paper: x⁺ = (H + l·I + λI)⁻¹b with b = mean[(H_i + l_i I)w_i
    − ∇f_i(w_i)] worked out anew in every round, which is the invariant: it is true for any w_i, however old."""
    H, w, e, points = initial(p, x, start), [x] * p.n, np.zeros(p.n), [x]
    for k in range(rounds):
        for i, z in answers(p, points, k, jobs):
            w[i] = z
            H[i] = H[i] + alpha * compress(p.hessian(z, i) - H[i], i, k)
            e[i] = np.linalg.norm(H[i] - p.hessian(z, i))
        b = average([H[i] @ w[i] + e[i] * w[i] - p.gradient(w[i], i) for i in range(p.n)])
        x = np.linalg.solve(matrix(p, average(H), np.mean(e), "shift"), b)
        points.append(x)
    return points[1:]


def dave_qn(p, x, rounds, jobs, L):
    """DAve-QN 1906.00506: x⁺ = (mean B_i + λI)⁻¹ mean(B_i z_i − ∇f_i(z_i)); of who answers s = z − z_i, y = ∇f_i(z) −
    ∇f_i(z_i), q = B_i s, B_i ← B_i + yyᵀ/(yᵀs) − qqᵀ/(sᵀq), z_i ← z, from B_i = L_i I."""
    B, z, points = [own * np.eye(p.d) for own in L], [x] * p.n, [x]
    for k in range(rounds):
        for i, new in answers(p, points, k, jobs):
            s, y = new - z[i], p.gradient(new, i) - p.gradient(z[i], i)
            q = B[i] @ s
            if y @ s > 1e-12 * np.linalg.norm(y) * np.linalg.norm(s):
                B[i] = B[i] + np.outer(y, y) / (y @ s) - np.outer(q, q) / (s @ q)
            z[i] = new
        b = average([B[i] @ z[i] - p.gradient(z[i], i) for i in range(p.n)])
        x = np.linalg.solve(average(B) + p.lam * np.eye(p.d), b)
        points.append(x)
    return points[1:]


def asgrad(p, x, rounds, gamma, jobs):
    """AsGrad 2310.20452: x⁺ = x − γ∇f_i(x^π), the ridge added at x; in round 0 the mean of all."""
    points = [x]
    for k in range(rounds):
        direction = average([p.gradient(z, i) for i, z in answers(p, points, k, jobs)])
        x = x - gamma * (direction + p.lam * x)
        points.append(x)
    return points[1:]


def iag(p, x, rounds, gamma, jobs):
    """IAG: x⁺ = x − γ mean g_i, g_i client i's last answer; the ridge added at x."""
    points, g = [x], [np.zeros(p.d)] * p.n
    for k in range(rounds):
        for i, z in answers(p, points, k, jobs):
            g[i] = p.gradient(z, i)
        x = x - gamma * (average(g) + p.lam * x)
        points.append(x)
    return points[1:]


def simulated(rounds, n, takes, assign, wait=1):
    """(who, π, time) of rounds 1, 2, …, by looking, at every answer, for the one of all workers that ends first.

    takes(i, j) is how long client i's j-th job takes, job 0 being round 0's; assign(i, k) who is given a job after i's
    answer in round k."""
    now = max(takes(i, 0) for i in range(n))
    queue = {i: [1] for i in range(n)}
    done = dict.fromkeys(range(n), 0)
    ends = {i: now + takes(i, 1) for i in range(n)}
    found = []
    for k in range(1, rounds + 1):
        i = min(ends, key=lambda worker: (ends[worker], worker))
        now = ends.pop(i)
        done[i] += 1
        found.append((i, queue[i].pop(0), now))
        j = assign(i, k)
        queue[j].append(max(1, (k + 1) // wait * wait))
        for worker in (i, j):
            if queue[worker] and worker not in ends:
                ends[worker] = now + takes(worker, done[worker] + 1)
    return found
