"""Personal columns: h_i(θ) = min_w f_i(θ, w), its derivatives, whose w it is, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy
from cases import dense_glm, functions_problem, sparse_glm
from personal_cases import CLIENTS, LABELS, PHI, ROWS, WEIGHTS, Joint, N, base

import newtonfl as nf
from newtonfl.checks import check_problem
from newtonfl.core.random import Key
from newtonfl.objectives.personal import Personal

SPLITS = pytest.mark.parametrize("own", [[5], [1, 5], [0, 2, 4]], ids=["intercept", "two", "three"])
SCALAR = pytest.mark.parametrize("loss", PHI)


def at_random(dim, seed=3):
    return 0.5 * np.random.default_rng(seed).standard_normal(dim)


# --- against the joint problem by NumPy


@SCALAR
@SPLITS
def test_value_gradient_and_hessian_are_the_joint_problems(loss, own):
    """h(θ) less the shared ridge: w by NumPy at the library's θ, then the envelope and the Schur complement."""
    problem, joint = base(loss).personal(own), Joint.of(loss, own)
    theta = at_random(problem.dim)
    d, x = problem.dim, np.concatenate([theta, np.zeros(N * len(own))])
    for _ in range(60):  # Newton's method in all w_i at once
        value, gradient, hessian = joint.derivatives(x)
        step, size = np.linalg.solve(hessian[d:, d:], gradient[d:]), 1.0
        move = np.concatenate([np.zeros(d), step])
        while joint.derivatives(x - size * move)[0] > value + 1e-13 * abs(value) and size > 1e-6:
            size /= 2.0
        x = x - size * move
    value, gradient, hessian = joint.derivatives(x)
    schur = hessian[:d, :d] - hessian[:d, d:] @ np.linalg.solve(hessian[d:, d:], hessian[d:, :d])
    point, ridge = problem.at(theta), problem.ridge
    np.testing.assert_allclose(problem.private(theta), x[d:].reshape(N, -1), rtol=0, atol=1e-12)
    assert point.value.mean() + 0.5 * ridge @ theta**2 == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(point.gradient.mean(axis=0) + ridge * theta, gradient[:d], rtol=0, atol=1e-12)
    hessians = np.mean([point.hessian(i) for i in range(N)], axis=0) + np.diag(ridge)
    np.testing.assert_allclose(hessians, schur, rtol=0, atol=1e-12)
    np.testing.assert_allclose(point.hessian_diagonal().mean(axis=0) + ridge, np.diag(schur), rtol=0, atol=1e-12)
    v = at_random(d, 5)
    np.testing.assert_allclose(point.hessian_product(v).mean(axis=0) + ridge * v, schur @ v, rtol=0, atol=1e-12)


def test_the_gradient_is_the_difference_of_values():
    """Central differences: 2e-9 is theirs at a step of 1e-5."""
    problem = base().personal(["intercept", 1])
    theta, step = at_random(problem.dim), 1e-5
    gradient = problem.at(theta).gradient
    for j, unit in enumerate(np.eye(problem.dim)):
        slope = (problem.at(theta + step * unit).value - problem.at(theta - step * unit).value) / (2 * step)
        np.testing.assert_allclose(gradient[:, j], slope, rtol=0, atol=2e-9)


MADE = {
    "dense": lambda: dense_glm(n=3).personal([1, 4]),
    "sparse, a client without entries": lambda: sparse_glm(n=3).personal([0], l2=0.1),
    "weights and offsets": lambda: base("poisson").personal("intercept"),
    "squared hinge": lambda: dense_glm("squared-hinge", n=3).personal([2]),
    "huber": lambda: dense_glm("huber", n=3).personal([2]),
    "multinomial": lambda: base("multinomial", offset=None).personal([2, 5]),
    "thresholds": lambda: nf.from_arrays(ROWS[:, :2], LABELS["multinomial"], "ordinal", clients=2).personal(
        ["0.0|1.0"]
    ),
    "one client": lambda: dense_glm(n=1).personal([2]),
    "ridge inside": lambda: dense_glm(n=3).personal([2]).with_local_ridge(),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_every_promise_of_a_problem_holds(make):
    check_problem(make(), directions=1)


@pytest.mark.parametrize("loss", ["logistic", "poisson", "multinomial"])
def test_the_constants_of_the_shared_columns_hold(loss):
    """L_i is that of a problem of the shared columns alone, which is never more than that of all."""
    offset = {"offset": None} if loss == "multinomial" else {}
    problem, whole = base(loss, **offset).personal([5]), base(loss, **offset)
    if loss == "poisson":
        with pytest.raises(ValueError, match="no smoothness constant L_i"):
            _ = problem.client_smoothness
    else:
        alone = base(loss, intercept=False, **offset)
        np.testing.assert_allclose(problem.client_smoothness, alone.client_smoothness, rtol=1e-12)
        assert (problem.client_smoothness <= whole.client_smoothness * (1 + 1e-12)).all()
    with pytest.raises(ValueError, match="no Lipschitz constant of the Hessian is known"):
        _ = problem.hessian_lipschitz


def test_what_is_counted_is_counted_once():
    """A gradient and a Hessian of h_i each, however many inner steps there were; nothing of the base's."""
    whole = base()
    problem = whole.personal("intercept")
    point = problem.at(at_random(problem.dim))
    _ = point.value, point.gradient, point.hessians, point.hessian_product(at_random(problem.dim))
    assert problem.gradient_counts.tolist() == problem.hessian_counts.tolist() == [1] * N
    assert not whole.gradient_counts.any() and not whole.hessian_counts.any()


def test_a_minibatch_has_the_gradient_as_its_mean():
    """Rows of f_i, each client at its minimiser over all of them."""
    problem = base().personal("intercept")
    point = problem.at(at_random(problem.dim))
    drawn = [point.sampled_gradient(20, Key(0, k, 0, "/test")) for k in range(400)]
    error = np.std(drawn, axis=0) / 20.0
    assert (np.abs(np.mean(drawn, axis=0) - point.gradient) <= 5.0 * error).all() and (error > 0).all()


# --- the inner minimum


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_w_is_a_minimum_to_rounding_in_any_units(scale):
    """Its own gradient is a few roundings of its terms, where a column is a thousandth or a million times itself."""
    rows = ROWS * np.where(np.arange(5) == 1, scale, 1.0)
    problem = nf.from_arrays(rows, LABELS["logistic"], clients=CLIENTS, intercept=True).personal([1, 5])
    theta = at_random(problem.dim)
    w, a = problem.private(theta), np.column_stack([rows, np.ones(150)])
    for i in range(N):
        mine = i == CLIENTS
        t = a[mine][:, problem.split.shared] @ theta + a[mine][:, [1, 5]] @ w[i]
        terms = PHI["logistic"][1](t, LABELS["logistic"][mine])[:, None] * a[mine][:, [1, 5]]
        assert (np.abs(terms.sum(axis=0)) <= 64 * np.finfo(float).eps * np.abs(terms).sum(axis=0)).all()


HARD = {
    "huber, far from zero": ("huber", 1e6 * LABELS["squared"] + 1e9),
    "counts of a million": ("poisson", np.round(1e6 * np.exp(MARGIN := LABELS["squared"] / 4.0))),
    "few counts": ("poisson", (MARGIN > 0.3).astype(float)),
    "squares of 1e9": ("squared", 1e9 + LABELS["squared"]),
}


@pytest.mark.parametrize(("loss", "labels"), HARD.values(), ids=HARD)
def test_w_is_found_from_far_away(loss, labels):
    """A client's value is what SciPy's bounded search finds for its intercept."""
    problem = nf.from_arrays(ROWS, labels, loss, clients=CLIENTS, intercept=True).personal("intercept")
    whole = nf.from_arrays(ROWS, labels, loss, clients=CLIENTS, intercept=True)
    w = problem.private(np.zeros(5))
    for i in range(N):
        alone = whole.select(np.array([i]))
        span = 10.0 * np.ptp(labels) if loss != "poisson" else 20.0

        def value(u, alone=alone):
            return float(alone.at(np.append(np.zeros(5), u)).value[0])

        found = scipy.optimize.minimize_scalar(value, bounds=(w[i, 0] - span, w[i, 0] + span), method="bounded")
        assert value(w[i, 0]) <= found.fun + 1e-12 * abs(found.fun)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [20, 30, 50])
def test_a_flat_minimum_is_one(seed, size):
    """Huber's loss of targets far apart: between the two in the middle of an even number nothing changes."""
    draw = np.random.default_rng(seed)
    rows, targets = draw.standard_normal((4 * size, 2)), 1e6 * draw.standard_normal(4 * size)
    problem = nf.from_arrays(rows, targets, "huber", clients=4, intercept=True).personal("intercept")
    w = problem.private(np.zeros(2))[:, 0]
    middle = np.sort(targets.reshape(4, size), axis=1)[:, [size // 2 - 1, size // 2]]
    assert (middle[:, 0] - 1.35 <= w).all() and (w <= middle[:, 1] + 1.35).all()


def test_dependent_columns_of_a_client_do_no_harm():
    """A personal column that is the intercept again, at some clients or at all: h_i is the same, and w the shortest."""
    twice = np.column_stack([ROWS, np.where(CLIENTS < 2, 2.0, ROWS[:, 0] ** 2)])
    one = nf.from_arrays(ROWS, LABELS["logistic"], clients=CLIENTS, intercept=True).personal("intercept")
    other = nf.from_arrays(twice, LABELS["logistic"], clients=CLIENTS, intercept=True).personal([5, 6])
    theta = at_random(5)
    for part in ("value", "gradient"):
        np.testing.assert_allclose(
            getattr(other.at(theta), part)[:2], getattr(one.at(theta), part)[:2], rtol=0, atol=1e-13
        )
    for i in range(2):
        np.testing.assert_allclose(other.at(theta).hessian(i), one.at(theta).hessian(i), rtol=0, atol=1e-13)
    w, expected = other.private(theta), one.private(theta)[:2, 0]
    np.testing.assert_allclose(2.0 * w[:2, 0] + w[:2, 1], expected, rtol=0, atol=1e-12)  # the same margins
    np.testing.assert_allclose(2.0 * w[:2, 0], w[:2, 1], rtol=1e-9)  # shortest where both columns have one scale


def of_one_class():
    return np.where(CLIENTS == 2, 1.0, LABELS["logistic"])


@pytest.mark.parametrize("loss", ["logistic", "probit", "cloglog"])
def test_a_client_of_one_class_is_refused_and_a_penalty_helps(loss):
    whole = nf.from_arrays(ROWS, of_one_class(), loss, clients=CLIENTS, intercept=True, l2=0.1)
    problem = whole.personal("intercept")
    with pytest.raises(ValueError, match="client 2: nothing minimises its function over its own intercept"):
        nf.solve(problem, "newton")
    with pytest.raises(ValueError, match="client 2"):
        problem.private(np.zeros(5))
    point = problem.at(np.zeros(5))
    assert np.isnan(point.value).tolist() == [False, False, True, False] and np.isnan(point.gradient[2]).all()
    assert nf.solve(whole.personal("intercept", l2=0.1), "newton", tol=1e-10).converged


def test_a_column_that_separates_some_rows_is_refused():
    """Where it is not zero all labels are 1: its coefficient runs away, while the rest of f_i stays as it is."""
    met = np.arange(150) % 7 == 0
    labels = np.where(met & (CLIENTS == 1), 1.0, LABELS["logistic"])
    rows = np.column_stack([ROWS, met])
    whole = nf.from_arrays(rows, labels, clients=CLIENTS, intercept=True)
    with pytest.raises(ValueError, match="client 1: nothing minimises its function over its own x5, intercept"):
        nf.solve(whole.personal([5, "intercept"]), "newton")
    assert nf.solve(whole.personal("intercept"), "newton").rounds > 0  # its own intercept is well


@pytest.mark.parametrize("seed", range(4))
def test_a_coefficient_that_runs_away_beside_others_at_rest_is_refused(seed):
    """Two personal columns that no row has both of: one is at its minimum to the last bit, and the other never is."""
    odd = np.arange(150) % 2 == 1
    draw = np.random.default_rng(seed)
    rows = np.column_stack([ROWS, np.where(odd, 0.0, draw.standard_normal(150) + 0.3), np.where(odd, 1.0, 0.0)])
    labels = np.where(odd & (CLIENTS == 3), 1.0, LABELS["logistic"])
    problem = nf.from_arrays(rows, labels, clients=CLIENTS).personal([5, 6])
    with pytest.raises(ValueError, match="client 3: nothing minimises its function over its own x5, x6"):
        problem.private(np.zeros(5))


def test_where_a_loss_ends_flat_there_is_a_minimiser():
    """Squared hinge, a client of one class: no row's loss is left, nor curvature; its Hessian is zero."""
    problem = nf.from_arrays(ROWS, of_one_class(), "squared-hinge", clients=CLIENTS, intercept=True, l2=0.1)
    problem = problem.personal("intercept")
    point = problem.at(np.zeros(5))
    assert point.value[2] == 0.0 and not point.gradient[2].any() and not point.hessian(2).any()
    assert problem.private(np.zeros(5))[2, 0] >= 1.0 and np.isfinite(point.hessians.values).all()
    assert nf.solve(problem, "newton", tol=1e-10).converged


@pytest.mark.parametrize("moved", [0.0, 1.0])
def test_shared_columns_that_separate_have_no_minimiser(moved):
    """Never a false converged: with every client's own threshold a plane separates."""
    labels = np.where(ROWS[:, 0] + moved * np.array([0.0, 1.0, -1.0, 0.5])[CLIENTS] > 0, 1.0, -1.0)
    problem = nf.from_arrays(ROWS, labels, clients=CLIENTS, intercept=True).personal("intercept")
    result = nf.solve(problem, "newton", tol=1e-8, rounds=60)
    assert result.reason is nf.Reason.NO_MINIMISER and not result.converged


# --- which columns


def test_no_columns_are_the_problem_itself_and_all_are_refused():
    whole = base()
    assert whole.personal([]) is whole
    with pytest.raises(ValueError, match="given all columns, and then nothing is shared"):
        whole.personal([*range(5), "intercept"])


def test_columns_have_names():
    table = pd.DataFrame(ROWS, columns=["age", "dose", "weight", "height", "pulse"])
    whole = nf.from_arrays(table, LABELS["logistic"], clients=CLIENTS, intercept=True, l2=0.1)
    problem = whole.personal(["intercept", "dose"])
    assert isinstance(problem, Personal) and problem.split.columns.tolist() == [1, 5]
    assert problem.schema.features == ("age", "weight", "height", "pulse") and not problem.schema.intercept
    assert problem.objective.endswith("(intercept not penalised), least over each client's own dose, intercept")
    assert whole.personal([1, 5]).objective == problem.objective
    assert whole.personal("dose", l2=0.5).objective.endswith("own dose with λ = 0.5")
    with pytest.raises(ValueError, match=r"given 'dos', must be a column's name, or a number.*; did you mean 'dose'"):
        whole.personal(["dos"])
    schema = replace(whole.schema, features=("sex=f", "sex=m", "a", "b", "c", "intercept"), levels={"sex": ("f", "m")})
    whole.schema = schema
    assert whole.personal("sex").schema.features == ("a", "b", "c", "intercept")


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ([6], ValueError, "given the column 6, must be a number from 0 to 5"),
        ([-1], ValueError, "given the column -1"),
        ([True], TypeError, "given True"),
        ([1.0], TypeError, "given 1.0, must be a column's name, or a number from 0 to 5"),
        (["age"], ValueError, "columns are intercept"),
    ],
)
def test_what_is_no_column_is_refused(columns, error, words):
    with pytest.raises(error, match=words):
        base().personal(columns)


def test_what_cannot_be_personal_is_refused():
    for l2 in (-1.0, np.inf, np.nan, True, "1"):
        with pytest.raises(ValueError, match="l2: given"):
            base().personal([1], l2=l2)
    with pytest.raises(ValueError, match="non-convex regulariser"):
        dense_glm(nonconvex=0.1).personal([1])
    with pytest.raises(ValueError, match="needs a problem of rows with margins"):
        functions_problem()[0].personal([1])
    with pytest.raises(ValueError, match="in Cox regression"):
        nf.from_arrays(ROWS, np.arange(150.0), "cox", event=np.ones(150), clients=2).personal([1])
    with pytest.raises(ValueError, match="name all in one call"):
        base().personal([1]).personal([2])
    with pytest.raises(ValueError, match="without personal columns"):
        base().private(np.zeros(6))
    with pytest.raises(ValueError, match="basis=support needs sparse Hessians, which personal columns fill in"):
        nf.solve(sparse_glm().personal([1]), "newton,basis=support")
    with pytest.raises(ValueError, match=r"x: given shape \(6,\), must be \(5,\)"):
        base().personal([5]).private(np.zeros(6))


# --- whose it is


def test_a_clients_model_is_that_of_all_columns():
    """whole: margins, and so values, are those of the problem of all columns at one point a client."""
    whole = base()
    problem = whole.personal([1, 5], l2=0.0)
    theta = at_random(problem.dim)
    x = problem.whole(theta)
    np.testing.assert_array_equal(x[:, [1, 5]], problem.private(theta))
    np.testing.assert_array_equal(x[:, [0, 2, 3, 4]], np.tile(theta, (N, 1)))
    np.testing.assert_allclose(whole.at(x).value, problem.at(theta).value, rtol=1e-14)


def test_without_some_clients_it_is_the_problem_of_the_others():
    stay = np.isin(CLIENTS, [0, 2])
    problem = base().personal([1, 5]).without([1, 3])
    weights = WEIGHTS[stay]
    others = nf.from_arrays(
        ROWS[stay], LABELS["logistic"][stay], clients=CLIENTS[stay], sample_weight=weights, intercept=True, l2=0.02,
        offset=np.asarray(base().offset)[stay],
    ).personal([1, 5])  # fmt: skip
    theta = at_random(problem.dim)
    assert problem.objective == others.objective
    np.testing.assert_allclose(problem.at(theta).value, others.at(theta).value, rtol=1e-13)
    np.testing.assert_allclose(problem.at(theta).gradient, others.at(theta).gradient, rtol=0, atol=1e-13)
    np.testing.assert_allclose(problem.private(theta), others.private(theta), rtol=0, atol=1e-12)
