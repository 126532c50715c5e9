"""DINGO, GIANT and Fib-IOS against recorded runs, their papers' formulas and Newton's method."""

from __future__ import annotations

import numpy as np
import pytest
import strict_device
from cases import dense_glm, functions_problem
from packet_lengths import packet
from reference_data import logistic, recorded
from strict_device import problem as device_problem

import newtonfl as nf
from newtonfl import registry
from newtonfl.methods.standalone.fib_ios import renews
from newtonfl.solver.optimum import optimum

BASELINES = {"dingo": nf.dingo, "giant": nf.giant, "fib-ios": nf.fib_ios}


@pytest.fixture(scope="module")
def syn40():
    problem = logistic("syn40", 20, 50, 40, 1e-3)
    return problem, optimum(problem)[0]


def trajectory(problem, method, x0, rounds):
    """The iterates that a method goes through, one round after another."""
    return [nf.solve(problem, method, x0=x0, rounds=k, tol=0.0).x for k in range(rounds + 1)]


def dense(problem, x):
    """f, ∇f, every ∇f_i and every ∇²f_i at x with the ridge inside, by NumPy alone."""
    point, ridge = problem.at(x), problem.ridge
    hessians = [point.hessian(i) + np.diag(ridge) for i in range(problem.n_clients)]
    gradients = point.gradient + ridge * x
    return float(point.value.mean() + 0.5 * ridge @ x**2), gradients.mean(axis=0), hessians


# --- DINGO


@pytest.mark.data
@pytest.mark.parametrize("name", ["a1a", "syn40"])
def test_dingo_meets_every_recorded_point(name):
    """The recorded program's bits are 7d + 2d a halving, both ways; ours follow from them round by round."""
    told = recorded(name)
    problem = logistic(name, told["n"], told["m"], told["d"], told["lambda"])
    run = next(run for run in told["runs"] if run["name"] == "dingo")
    rounds = len(run["f"]) - 1
    result = nf.solve(problem, nf.dingo(quirks="authors"), x0=optimum(problem)[0] + 0.15, rounds=rounds, tol=0.0)
    ours, theirs = np.array([record.f for record in result.history]), np.array(run["f"])
    assert len(ours) == len(theirs) == 42
    assert np.all(np.abs(ours - theirs) <= 1e-8 * (theirs - told["f_star"]) + 1e-15)
    bits = np.array([record.formula_bits_up + record.formula_bits_down for record in result.history])
    k = np.arange(rounds + 1)
    # Ours lacks their d a round for case 3; it has x⁰ and its gradient, and, in the first four rounds, the gradient
    # at the capped step, which was no trial.
    extra = np.where(k == 0, 0, 2 - k + 2 * np.minimum(k, 4))
    assert np.array_equal(bits - 32 * problem.dim * extra + 1, run["formula_bits"])


def dingo_direction(problem, x, theta, phi):
    """(case, p) as the paper's least-squares problems give it; in case 3 a number a client, 4 where its λ_i > 0."""
    _, g, hessians = dense(problem, x)
    product, gg = np.mean(hessians, axis=0) @ g, g @ g
    stacked = [np.vstack([h, phi * np.eye(len(x))]) for h in hessians]
    p = -np.mean([np.linalg.lstsq(h, g)[0] for h in hessians], axis=0)
    if -(p @ product) >= theta * gg:
        return [1], p
    damped = [np.linalg.lstsq(h, np.concatenate([g, 0 * g]))[0] for h in stacked]
    p = -np.mean(damped, axis=0)
    if -(p @ product) >= theta * gg:
        return [2], p
    cases, each = [], []
    for h, own in zip(stacked, damped, strict=True):
        solved = np.linalg.solve(h.T @ h, product)
        lam = max(0.0, (theta * gg - product @ own) / (product @ solved))
        cases.append(3 + (lam > 0))
        each.append(-own - lam * solved)
        assert -(each[-1] @ product) >= theta * gg * (1 - 1e-9)
    return cases, np.mean(each, axis=0)


def steep(seed, n=3):
    """Clients whose Hessians share no eigenvectors and are nearly singular: local Newton directions disagree."""
    draw = np.random.default_rng(seed)
    angles = [np.linalg.qr(draw.standard_normal((4, 4)))[0] for _ in range(n)]
    a = [q @ np.diag([1.0, 0.5, 0.1, 1e-3]) @ q.T for q in angles]
    a = [(h + h.T) / 2 for h in a]
    b = draw.standard_normal((n, 4))
    return nf.FromFunctions(
        n, 4, lambda i, x: 0.5 * x @ a[i] @ x - b[i] @ x, lambda i, x: a[i] @ x - b[i], lambda i, x: a[i]
    )


@pytest.mark.parametrize(
    ("seed", "theta", "phi", "rho", "cases"),
    [
        (0, 1e-4, 1e-6, 0.9, [1]),
        (155, 0.5, 0.3, 1e-4, [2]),
        (140, 1e-4, 1e-6, 1e-4, [4, 3, 3]),
        (140, 0.9, 0.3, 1e-4, [4, 4, 4]),
    ],
)
def test_dingo_takes_the_papers_direction_in_every_case(seed, theta, phi, rho, cases):
    problem = steep(seed)
    x0 = np.array([0.4, -0.2, 1.0, 0.3])
    found, p = dingo_direction(problem, x0, theta, phi)
    assert found == cases
    result = nf.solve(problem, nf.dingo(theta=theta, phi=phi, rho=rho), x0=x0, rounds=1, tol=0.0)
    _, g, hessians = dense(problem, x0)
    slope, steps = p @ np.mean(hessians, axis=0) @ g, 2.0 ** -np.arange(11)
    falls = [np.sum(dense(problem, x0 + s * p)[1] ** 2) <= g @ g + 2 * rho * s * slope for s in steps]
    assert any(falls)
    np.testing.assert_allclose(result.x, x0 + steps[np.argmax(falls)] * p, rtol=1e-7)


def test_dingo_with_one_client_is_newton_on_the_gradient():
    problem = dense_glm(n=1)
    x0 = np.full(problem.dim, 0.3)
    _, g, (hessian,) = dense(problem, x0)
    result = nf.solve(problem, nf.dingo(), x0=x0, rounds=1, tol=0.0)
    np.testing.assert_allclose(result.x, x0 - np.linalg.solve(hessian, g), rtol=1e-10)


def test_dingo_uses_the_pseudo_inverse_of_a_singular_hessian():
    """Rows in two dimensions of seven and no ridge: the step stays in their span."""
    draw = np.random.default_rng(0)
    plane = draw.standard_normal((7, 2))
    a = plane @ plane.T
    problem = nf.FromFunctions(1, 7, lambda i, x: 0.5 * x @ a @ x - a[0] @ x, lambda i, x: a @ x - a[0], lambda i, x: a)
    result = nf.solve(problem, nf.dingo(), rounds=1, tol=0.0)
    np.testing.assert_allclose(result.x, np.linalg.pinv(a, rcond=1e-12) @ a[0], atol=1e-10)


# --- GIANT


@pytest.mark.data
@pytest.mark.parametrize("armijo", [0.1, 0.9])
def test_giant_takes_the_mean_of_local_newton_directions(syn40, armijo):
    problem, x_star = syn40
    x = x_star + 0.1
    for after in trajectory(problem, nf.giant(armijo=armijo), x, 4)[1:]:
        f, g, hessians = dense(problem, x)
        p = -np.mean([np.linalg.solve(h, g) for h in hessians], axis=0)
        step = next(s for s in 2.0 ** -np.arange(11) if dense(problem, x + s * p)[0] <= f + armijo * s * g @ p)
        np.testing.assert_allclose(after, x + step * p, atol=1e-11)
        x = after


def test_giant_with_one_client_is_newton():
    """From afar Newton's method needs the line search; near the minimiser both are Newton's method."""
    problem = dense_glm("poisson", n=1)
    result = nf.solve(problem, nf.giant(), x0=np.full(problem.dim, 1.5), tol=1e-12)
    assert result.converged
    assert result.history[1].f < result.history[0].f
    near = result.x + 1e-3
    giant, newton = (nf.solve(problem, m, x0=near, rounds=2, tol=0.0).x for m in (nf.giant(), nf.newton()))
    np.testing.assert_allclose(giant, newton, atol=1e-13)


def test_giant_refuses_a_singular_local_hessian():
    problem = nf.FromFunctions(
        2,
        2,
        lambda i, x: 0.5 * x[i] ** 2 - x[i],
        lambda i, x: np.eye(2)[i] * (x[i] - 1),
        lambda i, x: np.diag(np.eye(2)[i]),
    )
    result = nf.solve(problem, nf.giant(), rounds=3)
    assert result.reason is nf.Reason.SINGULAR and result.rounds == 0 and not result.x.any()


# --- Fib-IOS


@pytest.mark.data
def test_hessians_are_renewed_in_fibonacci_rounds(syn40):
    assert [k + 1 for k in range(60) if renews(k)] == [1, 2, 4, 7, 12, 20, 33, 54]
    problem, x_star = syn40
    result = nf.solve(problem, nf.fib_ios(), x0=x_star + 0.1, rounds=14, tol=0.0)
    assert [record.hessians for record in result.history] == [0, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5, 5]


@pytest.mark.data
@pytest.mark.parametrize(("pairs", "alpha"), [(1, 0.5), (7, 0.9)])
def test_fib_ios_steps_by_the_papers_matrix(syn40, pairs, alpha):
    problem, x_star = syn40
    dim, x = problem.dim, x_star + 0.1
    for k, after in enumerate(trajectory(problem, nf.fib_ios(eigenvectors=pairs, alpha=alpha), x, 6)[1:]):
        f, g, hessians = dense(problem, x)
        if renews(k):
            decomposed, q = [np.linalg.eigh(h) for h in hessians], 0
        q = min(q + pairs, dim - 1)
        total = np.zeros((dim, dim))
        for values, vectors in decomposed:
            rho, top, v = values[dim - 1 - q], values[dim - q :], vectors[:, dim - q :]
            total += (v @ np.diag(top - rho) @ v.T + rho * np.eye(dim)) / problem.n_clients
        p = -np.linalg.solve(total, g)
        step = next(s for s in 0.9 ** np.arange(60) if dense(problem, x + s * p)[0] <= f + alpha * s * g @ p)
        np.testing.assert_allclose(after, x + step * p, atol=1e-10)
        x = after


@pytest.mark.data
@pytest.mark.parametrize("pairs", [39, 40, 1000])
def test_fib_ios_with_all_eigenvectors_is_newton(syn40, pairs):
    """In rounds 0 and 1 Hessians are fresh, and here every line search takes the whole step or 0.9 of it."""
    problem, x_star = syn40
    x = x_star + 0.01
    for after in trajectory(problem, nf.fib_ios(eigenvectors=pairs), x, 2)[1:]:
        newton = nf.solve(problem, nf.newton(), x0=x, rounds=1, tol=0.0).x - x
        step = (after - x) @ newton / (newton @ newton)
        np.testing.assert_allclose(after - x, step * newton, atol=1e-12)
        assert np.isclose(step, 1.0) or np.isclose(step, 0.9)
        x = after


def test_fib_ios_on_a_grid_of_one_coordinate_tells_its_curvature_alone():
    problem = nf.from_arrays(np.arange(1.0, 7.0)[:, None], np.arange(6.0), "squared", clients=2, l2=0.1)
    assert nf.solve(problem, nf.fib_ios(grid=0.1), tol=1e-12, rounds=3).converged


def test_fib_ios_solves_a_quadratic_in_one_round_once_all_is_told():
    problem, x_star = functions_problem()
    result = nf.solve(problem, nf.fib_ios(eigenvectors=7), tol=1e-10)
    assert result.converged and result.rounds <= 3
    np.testing.assert_allclose(result.x, x_star, atol=1e-9)


@pytest.mark.data
def test_fib_ios_tells_d_minus_one_pairs_and_then_nothing(syn40):
    problem, x_star = syn40
    dim = problem.dim
    result = nf.solve(problem, nf.fib_ios(eigenvectors=30), x0=x_star + 0.1, rounds=7, tol=0.0)
    numbers = np.diff([record.formula_bits_up for record in result.history]) / 32
    trials = np.diff([record.formula_bits_down for record in result.history])
    assert np.all(trials == 64 * dim)  # x and the direction; a further trial tells nothing but "the next"
    pairs = [int((told - dim - 1) // (dim + 1)) for told in numbers]
    assert pairs == [30, 30, 9, 30, 9, 0, 30]  # rounds 0, 1, 3 and 6 renew
    # What is left is one number a trial, and ρ_i where pairs came.
    assert all(1 <= told - dim - 1 - p * (dim + 1) <= 3 for told, p in zip(numbers, pairs, strict=True))


# --- all three


@pytest.mark.data
@pytest.mark.parametrize("name", BASELINES)
def test_it_converges_on_syn40(syn40, name):
    problem, x_star = syn40
    result = nf.solve(problem, BASELINES[name](), x0=x_star + 0.1, tol=1e-9, rounds=300)
    assert result.converged
    assert np.linalg.norm(dense(problem, result.x)[1]) <= 1.001e-9


@pytest.mark.parametrize("name", BASELINES)
def test_its_settings_make_it_again(name):
    assert registry.method(name, registry.defaults(name)) == BASELINES[name]()
    given = {
        "dingo": {"theta": "1e-3", "phi": "1e-5", "rho": "0.1", "quirks": "authors"},
        "giant": {"armijo": "0.2", "trials": "5"},
        "fib-ios": {"eigenvectors": "3", "alpha": "0.25", "beta": "0.5"},
    }[name]
    made = registry.method(name, given)
    assert registry.method(name, registry.method_parameters(made)) == made != BASELINES[name]()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: nf.dingo(theta=0.0), "theta: given 0.0"),
        (lambda: nf.dingo(rho=1.0), "rho: given 1.0"),
        (lambda: nf.dingo(phi="x"), "phi: given 'x'"),
        (lambda: nf.dingo(quirks="paper"), "quirks: given 'paper', allowed are none, authors"),
        (lambda: nf.giant(armijo=-1), "armijo: given -1"),
        (lambda: nf.giant(trials=2.5), "trials: given 2.5, must be a whole number"),
        (lambda: nf.fib_ios(eigenvectors=0), "eigenvectors: given 0, must be a whole number from 1 to 2147483647"),
        (lambda: nf.fib_ios(grid=np.float32(2.0)), "grid: given the width 2.0"),
        (lambda: nf.fib_ios(beta=1.0), "beta: given 1.0"),
    ],
)
def test_settings_that_are_none_are_refused(make, told):
    with pytest.raises(ValueError, match=r"must be|allowed") as caught:
        make()
    assert told in str(caught.value)


@pytest.mark.parametrize("name", BASELINES)
def test_a_search_without_a_step_ends_the_run(name):
    """The gradient points the wrong way: no step makes f or ‖∇f‖ fall, and none is taken."""
    if name == "dingo":  # ‖∇f‖ only rises along the Hessian's own direction
        wrong = nf.FromFunctions(
            1, 2, lambda i, x: x @ x, lambda i, x: 1 + x @ x + 0 * x, lambda i, x: -np.eye(2), verify=False
        )
    else:
        wrong = nf.FromFunctions(
            1, 2, lambda i, x: x[0] + x @ x, lambda i, x: -np.ones(2), lambda i, x: np.eye(2), verify=False
        )
    result = nf.solve(wrong, BASELINES[name](), x0=np.ones(2), rounds=3)
    assert result.reason is nf.Reason.NO_STEP and result.rounds == 0
    assert np.array_equal(result.x, np.ones(2))


@pytest.mark.parametrize("name", BASELINES)
def test_a_trial_that_overflows_is_refused_and_no_more(name):
    """Newton's step for exp(x) - 100x goes from -3 to 2000, where exp is infinite; shorter steps serve."""
    problem = nf.FromFunctions(
        2, 1, lambda i, x: np.exp(x[0]) - 100 * x[0], lambda i, x: np.exp(x) - 100, lambda i, x: np.exp(x)[:, None]
    )
    result = nf.solve(problem, BASELINES[name](), x0=np.array([-3.0]), tol=1e-9)
    assert result.converged and np.isclose(result.x[0], np.log(100))


@pytest.mark.parametrize("name", BASELINES)
def test_bytes_are_packets(name):
    """Every packet is a head and 8 bytes a number: from what each exchange tells, counted by hand."""
    problem = dense_glm()
    dim = problem.dim
    result = nf.solve(problem, BASELINES[name](), rounds=1, tol=0.0)
    up, down = result.history[1].bytes_up, result.history[1].bytes_down

    model = packet(model=dim)
    if name == "giant":
        assert up == packet(value=1, gradient=dim) + packet(direction=dim) + packet(trials=11)
        assert down == model + packet(gradient=dim) + packet(direction=dim)
    elif name == "dingo":
        trials = (down - model - packet(gradient=dim)) / model
        assert trials in range(1, 12)
        directions = packet(product=dim, direction=dim, damped=dim)
        assert up == (1 + trials) * packet(gradient=dim) + directions
    else:
        trials = 1 + (down - model - packet(direction=dim)) / packet(trials=0)
        assert trials in range(1, 132)
        assert up == packet(value=1, gradient=dim, eigenpairs=dim + 1, constant=1) + trials * packet(value=1)


@pytest.mark.parametrize(
    "method",
    [nf.dingo(), nf.dingo(theta=5.0, phi=0.1), nf.giant(), nf.fib_ios()],
    ids=["dingo", "case-3", "giant", "fib"],
)
def test_it_runs_on_a_device_and_agrees(method, monkeypatch):
    host = nf.solve(device_problem(np.zeros(0)), method, rounds=12, tol=0.0)
    strict_device.install(monkeypatch)
    device = nf.solve(device_problem(strict_device.on_device()), method, rounds=12, tol=0.0)
    assert isinstance(device.x, np.ndarray) and device.rounds == host.rounds > 0
    assert np.linalg.norm(device.x - host.x) <= 1e-9 * np.linalg.norm(host.x)


@pytest.mark.parametrize("name", BASELINES)
def test_bits_do_not_depend_on_who_shares_a_process(name):
    """Clients alone in their processes answer as they do together."""
    problem = dense_glm()
    method, x0 = BASELINES[name](), np.full(problem.dim, 0.1)
    together = answers(problem, method, x0, list(range(4)))
    alone = [answers(problem.select(np.array([i])), method, x0, [i])[0] for i in range(4)]
    assert together == alone


def answers(problem, method, x0, clients):
    """The bytes of every part of every client's replies to the exchanges that a round may hold."""
    from newtonfl.methods import Announcement

    g = np.linspace(-1, 1, problem.dim)
    parts = {
        "dingo": ["model", "gradient", "product", "model"],
        "giant": ["model", "gradient", "direction"],
        "fib-ios": ["model", "direction"],
    }[method.name]
    _, state = method.init_clients(problem, x0, nf.Key(0))
    heard = [b""] * len(clients)
    for part in parts:
        announcement = Announcement(0, {part: nf.Dense(g if part != "model" else x0)})
        replies, state = method.respond(state, announcement, problem, nf.Key(0, 0))
        for i, reply in enumerate(replies):
            heard[i] += b"".join(name.encode() + message.payload() for name, message in reply.items())
    return heard
