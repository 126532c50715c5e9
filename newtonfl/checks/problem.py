"""Whether a problem's values, gradients, Hessians, constants and views of some clients belong together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from newtonfl.checks.evaluate import at, gradients, hessians, short, values
from newtonfl.checks.operators import check_operators
from newtonfl.checks.problem_constants import check_constants
from newtonfl.checks.problem_views import check_minibatch, check_ridge, check_selections, check_structure, check_whole
from newtonfl.checks.trials import close, no_error, promise
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.objectives.base import Problem
from newtonfl.objectives.differences import derivative


def check_problem(problem: Problem, *, directions: int = 4, seed: int = 0) -> None:
    """Check a problem, yours or the library's, with all its clients in this process.

    - At a point there are n values, gradients (d,) and symmetric Hessians (d, d), all finite; the same point gives the
      same bits again, and is left as it was. With one point a client, (n, d), each client is at its own.
    - Gradients are the derivatives of the values, and Hessians of the gradients, along random directions: by
      differences of sixth order, whose error is estimated and allowed for. ``value_along`` gives the values there.
    - Where the problem is convex: no Hessian has a negative eigenvalue, every f_i lies above its tangents, and f is
      strongly convex by ``strong_convexity``. Where it is not (``nonconvex``), Hessians are refused.
    - The constants that it states hold between random points, and along the Hessians' leading eigenvectors:
      ``client_smoothness``, ``hessian_lipschitz``, and ``curvature_product`` of matrices that are above the Hessians.
    - With the ridge inside the clients' functions (``with_local_ridge``) every one has ½ Σ ridge_j x_j² more, and so
      have its gradient and Hessian.
    - Where there are sparse rows, Hessians vanish off their ``support``, and ``hessians_on_support`` has the rest;
      where there are ``client_rows``, they span the Hessians, and ``hessians_in`` has them in a subspace.
    - Some of the clients, in any order, have the same bits as among all; their Hessians count for the whole. Sums over
      groups of clients add up to the whole; for a :class:`~newtonfl.GLM` the whole is also what its rows and loss make.
    - Minibatches, where there are rows, are the same for a client whoever else is there, and at least all rows are the
      gradient itself. A stated ``f_star`` lies below every value.
    - Of a problem of operators there are no values: operators are finite, their mean is strongly monotone by its μ and
      they are Lipschitz by their L_i between random points; and the same of selections and of the ridge.

    Parameters
    ----------
    problem : Problem
        What is checked.
    directions : int
        Random directions a point.
    seed : int
        Seeds points and directions.

    Raises
    ------
    AssertionError
        At the first broken promise: what was promised, by how much it was missed, and for which client.

    Examples
    --------
    >>> import newtonfl as nf
    >>> from newtonfl.checks import check_problem
    >>> check_problem(nf.load("breast_cancer", clients=3))
    """
    promise(isinstance(problem, Problem), f"given {problem!r}, must be a Problem")
    n, draw = problem.n_clients, np.random.default_rng(seed)
    promise(len(problem.clients) == n, "check_problem: all the problem's clients must be in this process")
    promise(
        bool((np.diff(problem.clients) > 0).all()), f"clients: {problem.clients.tolist()}, must be increasing numbers"
    )
    points = [np.zeros(problem.dim), *(scale * draw.standard_normal(problem.dim) for scale in (0.5, 0.5, 2.0))]
    if problem.is_operator:
        with np.errstate(all="ignore"), no_error("the problem's operators must be there at every point"):
            check_operators(problem, points, draw)
        return
    with (
        np.errstate(all="ignore"),
        no_error("the problem's values, gradients and Hessians must be there at every point"),
    ):
        for x in points:
            _check_point(problem, x)
            _check_derivatives(problem, x, draw.standard_normal((directions, problem.dim)))
        _check_own_points(problem, np.stack([draw.choice(points) for _ in range(n)]))
        _check_convex(problem, points)
        check_constants(problem, points, draw)
        check_structure(problem, points[1], draw)
        check_ridge(problem, points[1])
        check_selections(problem, points[1])
        check_whole(problem, points[1])
        check_minibatch(problem, points[1])


def _check_point(problem: Problem, x: Array) -> None:
    n, d = len(problem.clients), problem.dim
    handed = to_device(x.copy(), problem.like)
    found = {"value": problem.at(handed).value, "gradient": problem.at(handed).gradient}
    shapes: dict[str, tuple[int, ...]] = {"value": (n,), "gradient": (n, d)}
    if problem.regulariser is None:
        found["hessians"], shapes["hessians"] = hessians(problem, x), (n, d, d)
        packed = problem.at(handed).hessians
        promise(
            len(packed) == n and set(packed.sizes) <= {d * (d + 1) // 2},
            f"hessians: {len(packed)} blocks of {sorted(set(packed.sizes))} entries, must be {n} of {d * (d + 1) // 2}",
        )
    promise(np.array_equal(to_host(handed), x), "a point must leave x as it was, and changed it")
    for word, shape in shapes.items():
        array = to_host(found[word])
        promise(array.shape == shape, f"{word}: shape {array.shape}, must be {shape}")
        for i in np.flatnonzero(~np.isfinite(array.reshape(n, -1)).all(axis=1))[:1]:
            promise(False, f"client {problem.clients[i]}: {word} must be finite at x = {short(x)}")
    again = problem.at_uncached(handed)
    for word in ("value", "gradient"):
        promise(
            np.array_equal(to_host(getattr(again, word)), to_host(found[word])),
            f"{word}: the same point must give the same bits again",
        )


def _check_derivatives(problem: Problem, x: Array, directions: Array) -> None:
    """Along x + t·direction at t = 0: what a gradient and a Hessian say, and differences."""
    convex = problem.regulariser is None
    matrices = hessians(problem, x) if convex else None
    if matrices is not None:
        diagonal = to_host(at(problem, x).hessian_diagonal())
        close(diagonal, np.diagonal(matrices, axis1=1, axis2=2), "hessian_diagonal must be the Hessian's", 1e-11)
    gradient = gradients(problem, x)
    for direction in directions:
        u = direction / np.linalg.norm(direction)
        slope, error = _along(problem, values, x, u)
        _near(problem, gradient @ u, slope, error, "gradient must be the derivative of the value", x)
        if matrices is not None:
            slope, error = _along(problem, gradients, x, u)
            _near(problem, matrices @ u, slope, error, "Hessian must be the derivative of the gradient", x)
            product = to_host(at(problem, x).hessian_product(to_device(u, problem.like)))
            close(product, matrices @ u, "hessian_product must be the Hessian times the vector", 1e-11)
        steps = [0.0, 0.25, -1.5]
        along = to_host(at(problem, x).value_along(to_device(u, problem.like), steps))
        expected = np.stack([values(problem, x + step * u) for step in steps], axis=1)
        close(along, expected, f"value_along must be the values at x + t·direction for t = {steps}", 1e-12)


def _along(problem: Problem, part: Callable[[Problem, Array], Array], x: Array, u: Array) -> tuple[Array, Array]:
    """The derivative of values or gradients along `u`, and how far it may be off."""
    slope, error = derivative(lambda t: np.stack([part(problem, x + step * u) for step in t]), np.zeros(1))
    return slope[0], error[0]


def _near(problem: Problem, found: Array, expected: Array, error: Array, words: str, x: Array) -> None:
    allowed = error + 1e-9 * np.abs(expected) + 1e-12
    off = (np.abs(found - expected) - allowed).reshape(len(problem.clients), -1).max(axis=1)
    for i in np.flatnonzero(~(off <= 0))[:1]:
        difference = np.abs(found - expected)[i].max()
        promise(
            False,
            f"client {problem.clients[i]}: its {words}; along a random direction at x = {short(x)} they differ by "
            f"{difference:.3g}, where {np.max(allowed[i]):.1g} is rounding's",
        )


def _check_own_points(problem: Problem, rows: Array) -> None:
    point = at(problem, rows)
    for word in ("value", "gradient"):
        own = to_host(getattr(point, word))
        expected = np.stack([to_host(getattr(at(problem, x), word))[i] for i, x in enumerate(rows)])
        close(own, expected, f"{word}: with one point a client each must be at its own", 1e-12)


def _check_convex(problem: Problem, points: list[Array]) -> None:
    if problem.regulariser is not None:
        try:
            hessians(problem, points[0])
        except ValueError:
            return
        promise(False, "nonconvex: a problem that need not be convex must refuse Hessians, and gave them")
    ridge, mu = problem.ridge, problem.strong_convexity
    promise(0 <= mu < np.inf, f"strong_convexity: {mu}, must be a finite number of at least 0")
    for x in points:
        matrices = hessians(problem, x)
        least = np.linalg.eigvalsh(matrices)[:, 0]
        for i in np.flatnonzero(least < -1e-12 * np.maximum(1.0, np.abs(matrices).max(axis=(1, 2))))[:1]:
            promise(
                False,
                f"client {problem.clients[i]}: convex, and its Hessian has the eigenvalue {least[i]:.3g} at "
                f"x = {short(x)}",
            )
        value, gradient = values(problem, x), gradients(problem, x)
        for y in points:
            there = values(problem, y)
            above = there - value - gradient @ (y - x)
            scale = np.abs(there) + np.abs(value) + np.abs(gradient) @ np.abs(y - x)
            for i in np.flatnonzero(above < -1e-13 * scale)[:1]:
                promise(False, f"client {problem.clients[i]}: convex, and it lies {-above[i]:.3g} below a tangent")
            bend = above.mean() + 0.5 * ridge @ (y - x) ** 2 if problem.local_ridge is None else above.mean()
            least_bend = 0.5 * mu * float(np.sum((y - x) ** 2))
            promise(
                bend >= least_bend * (1 - 1e-9) - 1e-12 * scale.mean(),
                f"strong_convexity = {mu:.6g}: f must lie {least_bend:.6g} above its tangent, and lies {bend:.6g}",
            )
