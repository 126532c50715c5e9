"""Whether a problem's other forms agree with it: what bases use, the ridge inside, some of the clients, the whole."""

from __future__ import annotations

import numpy as np

from newtonfl.checks.evaluate import at, gradients, hessians, short, stated, values
from newtonfl.checks.trials import close, promise
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.objectives.base import Problem
from newtonfl.objectives.glm import GLM


def check_structure(problem: Problem, x: Array, draw: np.random.Generator) -> None:
    """What bases make use of: where Hessians can differ from zero, and what spans them."""
    if problem.regulariser is not None:
        return
    point, matrices, d = at(problem, x), hessians(problem, x), problem.dim
    upper = np.triu_indices(d)
    for diagonal in (False, True) if problem.is_sparse else ():
        support, entries = problem.support(diagonal), point.hessians_on_support(diagonal)
        for i, client in enumerate(problem.clients):
            packed = np.zeros(len(upper[0]))
            packed[to_host(support[i])] = to_host(entries[i])
            words = f"client {client}: the Hessian on support({diagonal}) must be all that differs from zero"
            if problem.local_ridge is None or diagonal:
                close(packed, matrices[i][upper], words, 1e-12)
    try:
        rows = [problem.client_rows(i) for i in range(len(problem.clients))]
    except ValueError:
        return
    vectors = [draw.standard_normal((2, d)) for _ in rows]
    inside = point.hessians_in(problem.projected_rows([to_device(v, problem.like) for v in vectors]))
    ridge = np.zeros((d, d)) if problem.local_ridge is None else np.diag(to_host(problem.local_ridge))
    for i, (own, v) in enumerate(zip(rows, vectors, strict=True)):
        words, matrix = f"client {problem.clients[i]}:", matrices[i] - ridge
        basis = np.linalg.svd(own, full_matrices=False)[2] if len(own) else np.zeros((0, d))
        off = np.linalg.norm(matrix - matrix @ basis.T @ basis)
        promise(
            bool(off <= 1e-10 * max(1.0, float(np.linalg.norm(matrix)))), f"{words} client_rows must span its Hessian"
        )
        square = v @ matrix @ v.T
        close(to_host(inside[i]), square[np.triu_indices(2)], f"{words} hessians_in must be V H Vᵀ", 1e-11)


def check_ridge(problem: Problem, x: Array) -> None:
    if problem.local_ridge is not None:
        return
    inside = problem.with_local_ridge()
    promise(inside.with_local_ridge() is inside, "with_local_ridge: done twice it must be what it is done once")
    words = "with_local_ridge: every client must have ½ Σ ridge_j x_j² more, in its"
    ridge = problem.ridge
    close(values(inside, x), values(problem, x) + 0.5 * ridge @ x**2, f"{words} value", 1e-12)
    close(gradients(inside, x), gradients(problem, x) + ridge * x, f"{words} gradient", 1e-12)
    if problem.regulariser is None:
        close(hessians(inside, x), hessians(problem, x) + np.diag(ridge), f"{words} Hessian", 1e-12)


def check_selections(problem: Problem, x: Array) -> None:
    """Some of the clients, in another order; and groups that make up the whole."""
    n = len(problem.clients)
    everyone = np.arange(n)
    groups = [group for group in (everyone[::-2], everyone[:0], everyone[1::3], everyone[-1:]) if len(group) <= n]
    for chosen in groups:
        some, words = problem.select(chosen), f"the clients at places {chosen.tolist()} must have the same"
        promise(np.array_equal(some.clients, problem.clients[chosen]), f"{words} numbers: {some.clients.tolist()}")
        parts = {"values": values, "gradients": gradients}
        if problem.regulariser is None:
            parts["Hessians"] = hessians
        for word, part in parts.items():
            promise(np.array_equal(part(some, x), part(problem, x)[chosen]), f"{words} bits of {word} as among all")
        for name in ("client_smoothness", "hessian_lipschitz"):
            whole = stated(problem, name) if problem.regulariser is None else None
            own = stated(some, name) if whole is not None else None
            if whole is not None and own is not None:
                promise(np.array_equal(own, whole[chosen]), f"{words} bits of {name} as among all")
    if problem.regulariser is None:
        before = problem.hessian_counts
        _ = problem.select(everyone[:1]).at_uncached(to_device(x, problem.like)).hessians
        promise(
            np.array_equal(problem.hessian_counts - before, everyone < 1),
            "hessian_counts: a Hessian of the first client alone must count for it, and for nobody else",
        )
    halves = [problem.select(group) for group in (everyone[::2], everyone[1::2]) if len(group)]
    for word, part in (("value", values), ("gradient", gradients)):
        total = sum(part(half, x).sum(axis=0) for half in halves)
        close(total, part(problem, x).sum(axis=0), f"{word}: the sums over two groups must add up to the whole", 1e-12)


def check_whole(problem: Problem, x: Array) -> None:
    """f without the ridge, against all rows at once; and the least value."""
    value = float(values(problem, x).mean())
    inside = 0.0 if problem.local_ridge is None else 0.5 * float(problem.ridge @ x**2)
    whole = value - inside + 0.5 * float(problem.ridge @ x**2)
    if problem.f_star is not None:
        promise(
            problem.f_star <= whole + 1e-12 * max(1.0, abs(whole)),
            f"f_star = {problem.f_star:.17g}, and f is {whole:.17g} at x = {short(x)}",
        )
    if isinstance(problem, GLM) and problem.regulariser is None:
        rows, labels, weights = problem.host
        weights = np.ones(len(labels)) if weights is None else weights
        offset = 0.0 if problem.offset is None else to_host(problem.offset)
        margins = to_device(np.asarray(rows @ x + offset), problem.like)
        losses = to_host(problem.loss.value(margins, to_device(np.asarray(labels, np.float64), problem.like)))
        expected = float(weights @ losses) / problem.total_weight
        close(
            np.array(value - inside), np.array(expected), "the clients' mean must be the weighted mean over all rows",
            1e-12,
        )  # fmt: skip


def check_minibatch(problem: Problem, x: Array) -> None:
    try:
        problem.check_rows()
    except ValueError:
        return
    point, key = at(problem, x), Key(0, 1, 0, "/check")
    whole = to_host(point.sampled_gradient(2**40, key))
    promise(np.array_equal(whole, to_host(point.gradient)), "sampled_gradient: all rows must give the gradient itself")
    chosen = np.arange(len(problem.clients))[::-2]
    some = to_host(at(problem.select(chosen), x).sampled_gradient(2, key))
    promise(
        np.array_equal(some, to_host(point.sampled_gradient(2, key))[chosen]),
        "sampled_gradient: a client must draw the same rows whoever else is there",
    )
