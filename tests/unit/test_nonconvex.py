"""The non-convex regulariser: in every client's value, gradient and constants; refused where convexity is needed."""

from __future__ import annotations

import numpy as np
import pytest
import strict_device
from cases import DIM, dense_glm, functions_problem, glm, sparse_glm

import newtonfl as nf
from newtonfl.core.backend import to_device, to_host
from newtonfl.datasets import problem_reader
from newtonfl.objectives.base import Problem
from newtonfl.objectives.functions import FromFunctions
from newtonfl.objectives.regularisers import regulariser

RHO = np.linspace(0.0, 0.6, DIM)
"""Zero for the first coordinate, as for an intercept."""


def quadratics(**rest) -> FromFunctions:
    value, gradient, hessian = functions_problem(4)[0].functions
    return FromFunctions(4, DIM, value, gradient, hessian, **rest)


MAKERS = {"dense": dense_glm, "sparse": sparse_glm, "functions": quadratics}
EACH = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
INSIDE = pytest.mark.parametrize("ridge_inside", [False, True])


def pair(make, ridge_inside: bool = False, rho=RHO) -> tuple[Problem, Problem]:
    """One problem with the regulariser and without."""
    made = make(nonconvex=rho), make()
    return tuple(problem.with_local_ridge() for problem in made) if ridge_inside else made


def places() -> list[np.ndarray]:
    """One point for all clients, and one for each of four."""
    draw = np.random.default_rng(2)
    return [draw.standard_normal(DIM), draw.standard_normal((4, DIM))]


@EACH
@INSIDE
def test_it_stands_in_every_clients_value_and_gradient(make, ridge_inside):
    """Σ ρ_j x_j²/(1 + x_j²) and 2ρ_j x_j/(1 + x_j²)² more, at one point and at each client's own, for some clients."""
    problem, plain = pair(make, ridge_inside)
    for x in places():
        ours, theirs = problem.at(x), plain.at(x)
        added = np.sum(RHO * x**2 / (1 + x**2), axis=-1)
        np.testing.assert_allclose(ours.value - theirs.value, np.broadcast_to(added, 4), rtol=1e-12)
        added = np.broadcast_to(2 * RHO * x / (1 + x**2) ** 2, (4, DIM))
        np.testing.assert_allclose(ours.gradient - theirs.gradient, added, atol=1e-14)
        chosen = np.array([2, 0])
        part = problem.select(chosen).at(x if x.ndim == 1 else x[chosen])
        assert np.array_equal(part.value, ours.value[chosen]) and np.array_equal(part.gradient, ours.gradient[chosen])
        direction, steps = np.ones_like(x), [1.0, 0.25]
        told = ours.value_along(direction, steps)
        at_them = [problem.at(x + t * direction).value for t in steps]
        np.testing.assert_allclose(told, np.stack(at_them, axis=1), rtol=1e-13)


@EACH
@INSIDE
def test_the_gradient_is_that_of_the_value(make, ridge_inside):
    """Central differences with h = 1e-5: off by h²·φ‴ and by eps/h, together below 1e-9."""
    problem, _ = pair(make, ridge_inside)
    h, x = 1e-5, places()[0]
    differences = [(problem.at(x + e).value - problem.at(x - e).value) / (2 * h) for e in h * np.eye(DIM)]
    np.testing.assert_allclose(problem.at(x).gradient, np.array(differences).T, rtol=0, atol=1e-9)


def test_far_out_it_is_flat_and_finite():
    """At ±1e300, where x² is infinite, and beside zero, where it is ρ x² to the last digits."""
    term = regulariser(0.5, 2, np.zeros(0))
    assert term.value(np.array([1e300, -1e300])) == 1.0 and not term.gradient(np.array([1e300, -1e300])).any()
    assert term.value(np.array([1e-9, 0.0])) == pytest.approx(0.5e-18, rel=1e-14)
    assert regulariser(0.0, 2, np.zeros(0)) is None


@EACH
def test_the_constants_bound_the_curvature(make):
    """B_i + diag(2ρ) is above every Hessian, and met at 0 by the regulariser; L_i has 2 max ρ more."""
    rest = {} if make is not quadratics else {"smoothness": 9.0 * np.eye(DIM), "client_smoothness": 9.0}
    problem, plain = make(nonconvex=RHO, **rest), make(**rest)
    np.testing.assert_array_equal(problem.client_smoothness, plain.client_smoothness + 1.2)
    v = places()[0]
    more = problem.curvature_product(v) - plain.curvature_product(v)
    np.testing.assert_allclose(more, np.tile(2 * RHO * v, (4, 1)), atol=1e-14)
    bounds = np.stack([problem.curvature_product(e) for e in np.eye(DIM)], axis=2)
    h = 1e-5
    for x in [np.zeros(DIM), *np.random.default_rng(5).standard_normal((3, DIM))]:
        moved = [(problem.at(x + e).gradient - problem.at(x - e).gradient) / (2 * h) for e in h * np.eye(DIM)]
        hessians = np.stack(moved, axis=2)
        assert np.linalg.eigvalsh(bounds - (hessians + hessians.transpose(0, 2, 1)) / 2).min() >= -1e-8
        assert (np.linalg.norm(hessians, 2, axis=(1, 2)) <= problem.client_smoothness + 1e-8).all()


def test_what_it_refuses():
    """Hessians in any form, their Lipschitz constant, the optimum; each in words that say what to do."""
    problem = sparse_glm(nonconvex=0.1)
    x, said = np.ones(DIM), r"needs convex functions, and this problem has the non-convex regulariser"
    rows = problem.projected_rows([np.eye(DIM)] * 4)
    for ask in (
        lambda: problem.at(x).hessians,
        lambda: problem.at(x).hessian(0),
        lambda: problem.at(x).hessians_on_support(True),
        lambda: problem.at(x).hessians_in(rows),
        lambda: problem.at(x).curvatures,
        lambda: problem.hessian_lipschitz,
        lambda: quadratics(nonconvex=0.1, hessian_lipschitz=0.0).hessian_lipschitz,
        lambda: quadratics(nonconvex=0.1).at(x).hessians,
        lambda: problem.select(np.array([1])).with_local_ridge().at(x).hessians,
        lambda: nf.optimum(problem),
    ):
        with pytest.raises(ValueError, match=said):
            ask()
    assert not problem.hessian_counts.any()
    with pytest.raises(ValueError) as caught:
        problem.check_convex("newton")
    assert str(caught.value) == (
        "newton needs convex functions, and this problem has the non-convex regulariser ρ Σ x_j²/(1 + x_j²) with "
        "ρ = 0.1: use a first-order method such as ef21, or leave it out"
    )
    assert problem.strong_convexity == 0.0 and problem.nonconvex == 0.1
    plain = sparse_glm(nonconvex=0.0)
    plain.check_convex("newton")
    assert plain.strong_convexity == 0.1 and plain.nonconvex == 0.0


@pytest.mark.parametrize("wrong", [-0.1, np.inf, np.nan, [0.1, 0.2], [-0.1, *[0.0] * (DIM - 1)]])
def test_a_wrong_weight_is_refused(wrong):
    with pytest.raises(ValueError, match="nonconvex: given"):
        dense_glm(nonconvex=wrong)


def test_gradient_descent_ends_at_a_stationary_point():
    """From a start of large x_j, where the regulariser curves downwards, with the step of theory."""
    problem = dense_glm(nonconvex=0.3, ridge=1e-3)
    result = nf.solve(problem, nf.gd(), x0=2.0 * np.ones(DIM), tol=1e-8, rounds=20000)
    plain, x = dense_glm(ridge=1e-3), result.x
    gradient = plain.at(x).gradient.mean(axis=0) + 1e-3 * x + 0.6 * x / (1 + x**2) ** 2
    assert result.converged and np.linalg.norm(gradient) <= 1.001e-8
    expected = plain.at(x).value.mean() + 0.5e-3 * x @ x + 0.3 * np.sum(x**2 / (1 + x**2))
    assert result.history[-1].f == pytest.approx(expected, rel=1e-13)


def test_on_a_device(monkeypatch):
    """Nothing crosses to the host but by name."""
    host = dense_glm(nonconvex=RHO)
    rows, labels, _ = host.host
    strict_device.install(monkeypatch)
    sizes = np.diff(host.rows.offsets)
    device = glm(rows, labels, sizes, host.loss, nonconvex=RHO, like=strict_device.on_device())
    for x in places():
        there = to_device(x, device.like)
        ours, theirs = device.at(there), host.at(x)
        for a, b in (
            (ours.value, theirs.value),
            (ours.gradient, theirs.gradient),
            (ours.value_along(there, [0.5]), theirs.value_along(x, [0.5])),
        ):
            np.testing.assert_allclose(to_host(a), b, rtol=1e-12, atol=1e-13)
    x = places()[0]
    product = to_host(device.curvature_product(to_device(x, device.like)))
    np.testing.assert_allclose(product, host.curvature_product(x), rtol=1e-12)
    np.testing.assert_allclose(device.client_smoothness, host.client_smoothness, rtol=1e-14)


# --- problem files

FILE = """
[data]
source = "csv:rows.csv"
label = "y"
[objective]
loss = "squared"
l2 = 0.5
nonconvex = 0.25
intercept = true
[clients]
count = 2
split = "blocks"
[reference]
f_star = 1.5
"""


@pytest.fixture
def stated(tmp_path):
    rows = np.random.default_rng(7).standard_normal((8, 3))
    lines = [",".join(f"{value:.6f}" for value in row) for row in rows]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    (tmp_path / "p.toml").write_text(FILE)
    return tmp_path / "p.toml"


@pytest.mark.parametrize("penalised", [False, True])
@pytest.mark.parametrize("l2", [0.5, 0.0])
def test_an_intercept_is_left_out_as_of_the_ridge(stated, penalised, l2):
    """The last coordinate, unless penalise_intercept; with l2 = 0 too, where the ridge could not tell."""
    stated.write_text(
        FILE.replace("intercept = true", f"intercept = true\npenalise_intercept = {str(penalised).lower()}")
    )
    ours, plain = nf.load(stated, l2=l2), nf.load(stated, nonconvex=0.0, l2=l2)
    x = np.array([0.5, -2.0, 3.0])
    added = 0.5 * x / (1 + x**2) ** 2 * [1, 1, float(penalised)]
    np.testing.assert_allclose(ours.at(x).gradient - plain.at(x).gradient, np.tile(added, (2, 1)), atol=1e-14)
    assert ours.ridge.tolist() == [l2, l2, l2 * penalised]


def test_a_file_states_it(stated):
    """In the formula; another weight drops the reference value, the same one keeps it."""
    problem = nf.load(stated)
    assert problem.objective == (
        "(1/8) Σ_j (aᵀx - y)²/2 + (0.5/2)‖x‖² + 0.25 Σ x_j²/(1 + x_j²) (intercept not penalised)"
    )
    assert problem.nonconvex == 0.25 and problem.f_star == 1.5
    assert nf.load(stated, nonconvex=0.25).f_star == 1.5
    other = nf.load(stated, nonconvex=0)
    assert other.f_star is None and other.nonconvex == 0.0 and "1 + x_j" not in other.objective
    alone = nf.load(stated, nonconvex=2.0, l2=0.0)
    assert alone.objective.endswith("/2 + 2 Σ x_j²/(1 + x_j²) (intercept not penalised)") and not alone.ridge.any()
    for wrong in (-1.0, np.inf, True, "0.1"):
        with pytest.raises(ValueError, match="nonconvex: given"):
            nf.load(stated, nonconvex=wrong)


@pytest.mark.parametrize(
    ("given", "told"), [("-1", "must be at least 0"), ("inf", "must be a finite number"), ('"a"', "must be a number")]
)
def test_a_files_mistake_is_told(given, told):
    with pytest.raises(ValueError, match=rf"here: \[objective\] nonconvex: given .*{told}"):
        problem_reader.parse(FILE.replace("nonconvex = 0.25", f"nonconvex = {given}"), "here")


def test_a_python_problem_takes_it_or_says_so():
    problem = nf.load("synthetic", clients=2, nonconvex=0.1)
    assert problem.nonconvex == 0.1 and "+ 0.1 Σ x_j²/(1 + x_j²), Synt" in problem.objective
    with pytest.raises(ValueError, match=r"nonconvex: given 0.1, and problem\(\) of .* takes no argument"):
        nf.load("quadratic", nonconvex=0.1)
