"""solve(): what it returns and refuses, when it stops, and what precision and settings do."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from cases import DIM, dense_glm, functions_problem, sparse_glm

import newtonfl as nf
from newtonfl import registry
from newtonfl.solver.optimum import optimum
from newtonfl.solver.result import Reason


@pytest.fixture(scope="module")
def breast_cancer():
    return nf.load("breast_cancer", clients=16)


def test_the_main_job_converges_from_zero(breast_cancer):
    """Standardised features, 16 clients, λ = 1e-3, the defaults: about 70 rounds to 1e-10."""
    result = nf.solve(breast_cancer, nf.newton_3pc(), tol=1e-10)
    assert result.converged and result.reason is Reason.CONVERGED
    assert 65 <= result.rounds <= 85
    point = breast_cancer.at(result.x)
    true = np.linalg.norm(point.gradient.mean(axis=0) + breast_cancer.ridge * result.x)
    assert true <= 1e-10 and math.isclose(true, result.history[-1].gradient_norm, rel_tol=1e-3)


@pytest.mark.parametrize("wire", ["float32", "natural"])
def test_a_thin_wire_reaches_full_accuracy(breast_cancer, wire):
    """Exact float32 values would stop at 5e-10; differences do not, and the bytes are fewer."""
    full = nf.solve(breast_cancer, nf.newton_3pc(), tol=1e-13, rounds=300)
    thin = nf.solve(breast_cancer, nf.newton_3pc(wire=wire), tol=1e-13, rounds=300)
    assert thin.converged
    assert thin.history[-1].bytes_up < 0.8 * full.history[-1].bytes_up
    assert thin.history[-1].bytes_down / thin.rounds < 0.8 * full.history[-1].bytes_down / full.rounds


def test_identity_after_is_newton_and_before_is_newton_delayed():
    """Identity compressor, α = 1: the step after the message is Newton's, before it Newton's with the last Hessian."""
    problem = dense_glm("logistic", 4, 1)
    x0 = optimum(problem)[0] + 0.3

    def newton_by_hand(delay, rounds):
        x, hessians = x0, []
        for k in range(rounds):
            point = problem.at(x)
            hessians.append(np.mean([point.hessian(i) for i in range(4)], axis=0) + np.diag(problem.ridge))
            used = hessians[max(k - delay, 0)]
            x = x - np.linalg.solve(used, point.gradient.mean(axis=0) + problem.ridge * x)
        return x

    for delay, step_uses in ((0, "after"), (1, "before")):
        method = nf.fednl(compressor=nf.Identity(), step="project", step_uses=step_uses)
        result = nf.solve(problem, method, x0=x0, rounds=4, tol=0.0)
        assert np.linalg.norm(result.x - newton_by_hand(delay, 4)) <= 1e-11


def test_fednl_with_the_message_first_is_newton_3pc():
    """The two differ in when the step uses a message; FedNL also sends one in round 0, which says nothing there."""
    problem = dense_glm("logistic", 4, 2)
    compressor = nf.TopK("1d")
    one = nf.solve(problem, nf.fednl(compressor=compressor, step_uses="after"), rounds=10, tol=0.0)
    other = nf.solve(problem, nf.newton_3pc(compressor=compressor), rounds=10, tol=0.0)
    assert one.x_sha256 == other.x_sha256


def test_ridge_at_the_clients_is_the_same_method():
    """λI cancels in differences from a Hessian start, so only rounding differs."""
    for problem in (dense_glm("logistic", 4, 3), sparse_glm("logistic", 4, 3)):
        for step in ("shift", "project"):
            server, clients = (
                nf.solve(problem, nf.newton_3pc(step=step, ridge=where), rounds=8, tol=0.0)
                for where in ("server", "clients")
            )
            assert np.linalg.norm(server.x - clients.x) <= 1e-10 * np.linalg.norm(server.x)


def test_support_and_symmetric_bases_agree_for_top_k():
    """Entries outside the support are zero and never chosen."""
    problem = sparse_glm("logistic", 5, 4)
    runs = [nf.solve(problem, nf.newton_3pc(basis=basis), rounds=12, tol=0.0) for basis in ("support", "symmetric")]
    assert np.linalg.norm(runs[0].x - runs[1].x) <= 1e-10 * np.linalg.norm(runs[0].x)
    for key in ("formula_bits_up", "formula_bits_down"):
        assert getattr(runs[0].history[-1], key) == getattr(runs[1].history[-1], key)
    assert runs[0].history[0].setup_formula_bits_up == runs[1].history[0].setup_formula_bits_up
    assert runs[0].history[0].setup_bytes_up < runs[1].history[0].setup_bytes_up


def test_gradient_descent_meets_its_rate_and_a_longer_step_does_not():
    """f(x^k) - f* ≤ (1 - μ/L)ᵏ (f(x⁰) - f*) for the step 1/L on a quadratic of known spectrum; 2.5/L diverges."""
    problem = nf.load("quadratic")
    result = nf.solve(problem, nf.gd(), rounds=200, tol=0.0)
    gaps = np.array([record.gap for record in result.history])
    assert np.all(gaps <= (1 - 0.01) ** np.arange(len(gaps)) * gaps[0] * (1 + 1e-9) + 1e-15)
    longer = nf.solve(problem, nf.gd(stepsize=2.5), rounds=200, tol=0.0)
    assert longer.history[-1].f > longer.history[0].f


def test_newton_finds_a_constructed_minimiser_in_one_step():
    problem, x_star = functions_problem()
    result = nf.solve(problem, nf.newton(), tol=1e-9)
    assert result.rounds == 1 and np.linalg.norm(result.x - x_star) <= 1e-10


def test_hessians_are_counted(breast_cancer):
    result = nf.solve(breast_cancer, nf.newton_3pc(), rounds=5, tol=0.0)
    # H⁰ and round 0's target are the Hessian at x⁰, once; then one a round.
    assert [record.hessians for record in result.history] == [1, 1, 2, 3, 4, 5]
    frozen = nf.solve(breast_cancer, nf.gd(), rounds=3, tol=0.0)
    assert frozen.history[-1].hessians == 0


def test_a_callback_stops_and_the_record_says_so(breast_cancer):
    seen = []

    def callback(record):
        seen.append(record.round)
        return record.round == 4

    result = nf.solve(breast_cancer, nf.newton_3pc(), callback=callback)
    assert seen == [0, 1, 2, 3, 4] and result.reason is Reason.STOPPED and not result.converged


def test_a_start_at_the_solution_needs_no_round(breast_cancer):
    result = nf.solve(breast_cancer, nf.newton_3pc(), x0=optimum(breast_cancer)[0], tol=1e-12)
    assert result.converged and result.rounds == 0
    assert result.history[0].setup_bytes_up > 0  # the set-up was sent all the same, and is counted


def test_optimum_is_at_rounding_level(breast_cancer):
    x, f = optimum(breast_cancer)
    gradient = breast_cancer.at(x).gradient.mean(axis=0) + breast_cancer.ridge * x
    assert np.linalg.norm(gradient) <= 1e-15 and abs(f - breast_cancer.f_star) <= 2e-17


def test_what_is_not_finite_is_a_reason():
    def value(i, x):
        return float(np.exp(x[0]))

    problem = nf.FromFunctions(2, 1, value, lambda i, x: np.exp(x), lambda i, x: np.exp(x)[:, None])
    uphill = nf.solve(problem, nf.gd(stepsize=1.0), x0=np.array([800.0]), rounds=5)
    assert uphill.reason is Reason.NOT_FINITE


def test_a_singular_step_is_a_reason():
    flat = nf.FromFunctions(2, 2, lambda i, x: x[0], lambda i, x: np.array([1.0, 0.0]), lambda i, x: np.zeros((2, 2)))
    result = nf.solve(flat, nf.newton())
    assert result.reason is Reason.SINGULAR and not result.converged


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"tol": -1.0}, "tol"),
        ({"tol": math.nan}, "tol"),
        ({"rounds": -1}, "rounds"),
        ({"x0": np.zeros(3)}, r"\(30,\)"),
        ({"x0": np.full(30, np.nan)}, "finite"),
    ],
)
def test_wrong_arguments_are_refused(breast_cancer, settings, told):
    with pytest.raises(ValueError, match=told):
        nf.solve(breast_cancer, nf.newton_3pc(), **settings)


def test_gradient_descent_without_a_known_constant_says_so():
    problem = nf.FromFunctions(1, 1, lambda i, x: x @ x, lambda i, x: 2 * x, lambda i, x: 2 * np.eye(1))
    with pytest.raises(ValueError, match="stepsize=NUMBER"):
        nf.solve(problem, nf.gd())
    assert nf.solve(problem, nf.gd(stepsize=0.4), x0=np.ones(1)).converged


def test_a_failing_function_names_its_client():
    def gradient(i, x):
        if i == 2:
            raise ZeroDivisionError("on purpose")
        return x

    problem = nf.FromFunctions(3, 2, lambda i, x: x @ x / 2, gradient, lambda i, x: np.eye(2))
    with pytest.raises(ZeroDivisionError) as caught:
        nf.solve(problem, nf.newton())
    assert any("client 2" in note for note in caught.value.__notes__)


def test_a_system_exit_is_no_success():
    def gradient(i, x):
        raise SystemExit(0)

    problem = nf.FromFunctions(1, 2, lambda i, x: x @ x / 2, gradient, lambda i, x: np.eye(2))
    with pytest.raises(RuntimeError, match="SystemExit"):
        nf.solve(problem, nf.newton())


def test_functions_may_reuse_their_arrays_and_may_not_write_into_x():
    """The minimiser is (1, 0); a shared buffer must not mix the clients up."""
    buffer = np.zeros(2)

    def reuses(i, x):
        buffer[:] = x
        buffer[0] -= i
        return buffer

    def writes(i, x):
        x[0] -= i
        return x

    def problem(gradient):
        return nf.FromFunctions(3, 2, lambda i, x: x @ x / 2 - i * x[0], gradient, lambda i, x: np.eye(2))

    assert np.allclose(nf.solve(problem(reuses), nf.newton()).x, [1.0, 0.0], atol=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        nf.solve(problem(writes), nf.newton())


@dataclass(frozen=True)
class Own(nf.Compressor):
    """A user's compressor: what it returns is given."""

    returns: Callable[[np.ndarray], object]

    def contract(self, size):
        return nf.Contractive(1 / size)

    def compress(self, v, key):
        return self.returns(v)


def largest(v):
    i = int(np.argmax(np.abs(v)))
    return nf.Sparse(np.array([i]), v[[i]])


def in_place(v):
    v[1:] = 0.0
    return nf.Dense(v)


def test_a_users_compressor_runs(breast_cancer):
    ours = nf.solve(breast_cancer, nf.newton_3pc(compressor=Own(largest)), rounds=30, tol=0.0)
    assert ours.x_sha256 == nf.solve(breast_cancer, nf.newton_3pc(compressor=nf.TopK(1)), rounds=30, tol=0.0).x_sha256


@pytest.mark.parametrize(
    ("returns", "told"),
    [
        (in_place, "read-only"),
        (lambda v: None, "Own.compress: returned NoneType, must be a Message"),
        (lambda v: nf.Dense(v[1:]), "returned 464 values for 465 coordinates"),
        (lambda v: nf.Sparse(np.array([3, 2]), v[:2]), "strictly increasing"),
        (lambda v: nf.Sparse(np.array([3, 465]), v[:2]), "below 465"),
        (lambda v: nf.Dense(v, precision="half"), "'half'"),
    ],
)
def test_a_mistake_in_a_users_compressor_is_told(breast_cancer, returns, told):
    with pytest.raises((TypeError, ValueError), match=told):
        nf.solve(breast_cancer, nf.newton_3pc(compressor=Own(returns)), rounds=3, tol=0.0)


def test_a_low_precision_message_is_held_as_it_arrives(breast_cancer):
    """A user's Dense(v, precision=…) of unrounded numbers moves both ends by the rounded ones."""

    def thin(v):
        return nf.Dense(v, precision="float32")

    result = nf.solve(breast_cancer, nf.newton_3pc(compressor=Own(thin)), tol=1e-12, rounds=40)
    assert result.converged and result.rounds <= 12


@pytest.mark.parametrize("given", [3, None, nf.TopK])
def test_a_compressor_must_be_one(given):
    with pytest.raises(TypeError, match="must be a Compressor"):
        nf.fednl(compressor=given)


def test_a_gradient_that_grows_while_f_falls_is_no_stall():
    """Where f need not be convex: on a slope ever steeper ‖∇f‖ grows for 200 rounds, and the minimum lies behind."""

    def value(i, x):
        return float(-np.cos(0.01 * x[0]))

    problem = nf.FromFunctions(
        1, 1, value, lambda i, x: 0.01 * np.sin(0.01 * x), lambda i, x: np.array([[1e-4 * np.cos(0.01 * x[0])]])
    )
    result = nf.solve(problem, nf.gd(stepsize=100.0), x0=np.array([300.0]), rounds=2000, tol=1e-4)
    norms = [record.gradient_norm for record in result.history]
    assert int(np.argmax(norms)) > 200 and result.converged


# --- the caller's problem


def public(problem):
    """What a caller can read of a problem: attributes by identity, arrays by their bytes."""
    shown = {name: value for name, value in vars(problem).items() if not name.startswith("_")}
    return {name: value.tobytes() if isinstance(value, np.ndarray) else id(value) for name, value in shown.items()}


@pytest.mark.parametrize("f_star", [None, 0.25])
@pytest.mark.parametrize(
    "run",
    [
        lambda problem: nf.solve(problem, nf.newton(), f_star=-1.0, rounds=3),
        lambda problem: nf.compare(problem, ["newton", "fednl"], rounds=3),
    ],
    ids=["solve", "compare"],
)
def test_the_problem_is_as_it_was_also_during_a_run_and_after_one_that_raised(run, f_star):
    seen, most = [], math.inf

    def gradient(i, x):
        seen.append(public(problem))
        assert len(seen) < most, "enough"
        return x - i

    def value(i, x):
        return 0.5 * (x - i) @ (x - i)

    # Unverified, both runs call the gradient as often.
    problem = nf.FromFunctions(2, 3, value, gradient, lambda i, x: np.eye(3), verify=False)
    problem.f_star = f_star
    before = public(problem)
    run(problem)
    assert all(now == before for now in seen) and public(problem) == before
    seen, most = [], len(seen) - 1  # so that the run raises late, within its last solve
    with pytest.raises(AssertionError, match="enough"):
        run(problem)
    assert all(now == before for now in seen) and public(problem) == before


def test_gaps_are_measured_from_the_optimal_value_that_is_given():
    problem = dense_glm(n=4, f_star=0.25)
    own, given = (nf.solve(problem, nf.newton(), rounds=2, f_star=value).history for value in (None, -1.0))
    assert [record.gap for record in own] == [record.f - 0.25 for record in own]
    assert [record.gap for record in given] == [record.f + 1.0 for record in given]
    with pytest.raises(ValueError, match="f_star: given inf"):
        nf.solve(problem, nf.newton(), f_star=math.inf)


def test_a_problem_is_freed_with_its_last_name():
    """No method's solve leaves anything behind that leads round in a circle: rows may be gigabytes."""
    methods = [name for name in registry.METHODS if name != "newton-star"]  # which needs the solution
    assert len(methods) > 40
    gc.collect()
    gc.disable()
    try:
        for name in methods:
            problem = sparse_glm(ridge=np.full(DIM, 0.1))
            held = weakref.ref(problem)
            result = nf.solve(problem, name, rounds=2)
            del problem
            assert held() is None and result.history[-1].round <= 2, name
    finally:
        gc.enable()
