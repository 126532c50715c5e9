"""The components at their edges: who takes part, when nothing is said, steps from nothing, settings unused."""

from __future__ import annotations

import numpy as np
import pytest
from cases import dense_glm

import newtonfl as nf
from newtonfl import registry
from newtonfl.components.curvature.learned_rows import NewtonLearn
from newtonfl.components.participation import Participation
from newtonfl.components.step.base import SingularStep
from newtonfl.components.step.cubic import cubic_minimiser
from newtonfl.components.step.newton import Shift
from newtonfl.core.random import Key
from newtonfl.methods.round import Descent

# --- participation


def test_uniform_draws_sets_of_its_size_and_every_client():
    drawn = [nf.Uniform(3).drawn(7, Key(0, k)) for k in range(200)]
    assert all(len(part) == 3 and (np.diff(part) > 0).all() for part in drawn)
    often = np.bincount(np.concatenate(drawn), minlength=7) / 200
    assert abs(often - 3 / 7).max() < 0.15  # four standard deviations
    assert len(nf.Uniform(0.3).drawn(7, Key(0, 1))) == 3  # a share, rounded up
    assert nf.Uniform(0.3).share(7) == 3 / 7


def test_independent_draws_each_client_by_itself():
    sizes = [len(nf.Independent(0.5).drawn(8, Key(0, k))) for k in range(400)]
    assert abs(np.mean(sizes) - 4) < 0.3 and abs(np.var(sizes) - 2) < 0.6


def test_a_trace_is_played_and_begins_again(tmp_path):
    (tmp_path / "t.txt").write_text("# who was there\n2 0\n\n1 # alone\n", encoding="utf-8")
    trace = nf.Trace.read(str(tmp_path / "t.txt"))
    assert trace.rounds == ((0, 2), (), (1,))
    told = [trace.drawn(3, Key(0, k)).tolist() for k in range(1, 8)]
    assert told == [[0, 2], [], [1], [0, 2], [], [1], [0, 2]]
    assert trace.share(3) == 1 / 3
    assert nf.Trace(((0,), (0, 1), (1,), (), ())).share(2) == 1 / 4  # client 0 stays away from round 3 to round 5
    made = registry.method("fednl-pp", {"participation": f"trace:{tmp_path / 't.txt'}"})
    assert registry.method("fednl-pp", registry.method_parameters(made)) == made


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1 x\n", "line 1: given '1 x'"),
        ("0\n-1\n", "line 2"),
        ("0\f1\n", r"line 1: given '0\\x0c1'"),
        ("0\n\u20281\n", "line 2"),
        ("\n\n", "no client is ever available"),
        ("9" * 5000, "line 1"),
        (b"\xff\xfe", "no text"),
    ],
)
def test_a_false_trace_is_refused_by_file_and_line(tmp_path, text, fault):
    path = tmp_path / "t.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=fault):
        nf.Trace.read(str(path))


def test_clients_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="names client 7, and there are 4"):
        nf.fednl_pp(participation=nf.Trace(((7, 1),))).resolved(dense_glm())
    with pytest.raises(ValueError, match="must be client numbers from 0 on"):
        nf.Trace(((1.5,),))


class Drawn(Participation):
    """Draws what it was told to."""

    def __init__(self, part):
        self.part = part

    text = "drawn"

    def draw(self, n_clients, key):
        return self.part

    def share(self, n_clients):
        return 1.0


@pytest.mark.parametrize("part", [[1, 1], [2, 1], [-1], [4], np.array([0.5]), np.array([True, False])])
def test_a_draw_that_is_no_set_of_clients_is_refused(part):
    with pytest.raises(ValueError, match="must be client numbers, increasing, from 0 to below 4"):
        nf.solve(dense_glm(), nf.fednl_pp(participation=Drawn(part)), rounds=3)


# --- waiting is no stall


@pytest.mark.parametrize(
    "method",
    [
        lambda: nf.newton(model=nf.BAG(0.05)),
        lambda: nf.newton_3pc(mechanism=nf.BAG(0.2), gradient_p=0.2, step="project"),
        lambda: nf.newton_3pc(
            mechanism=nf.CBAG(nf.TopK(9), 0.25), participation=nf.Uniform(1), gradient_p=0.25, l="last"
        ),
        lambda: nf.newton_3pc(participation=nf.Trace(((0, 1, 2, 3),) * 5 + ((),) * 150)),
    ],
)
def test_a_long_hush_is_not_taken_for_the_end(method):
    result = nf.solve(dense_glm(), method(), tol=1e-8, rounds=4000)
    assert result.reason is nf.Reason.CONVERGED, result.reason


# --- the cubic step


@pytest.mark.parametrize("m", [1e-300, 1e-3, 1.0, 1e40, 1e300])
@pytest.mark.parametrize("values", [np.zeros(3), np.array([0.0, 1e-9, 2.0]), np.array([1e-3, 1.0, 1e6])])
def test_the_cubic_minimiser_is_stationary(values, m):
    """g + Λh + (m/2)‖h‖h = 0, relative to its terms."""
    g = np.array([0.3, -1.0, 2.0])
    h = cubic_minimiser(values, g, m)
    r = np.linalg.norm(h)
    terms = np.linalg.norm(g) + np.linalg.norm(values * h) + 0.5 * m * r * r
    assert np.linalg.norm(g + values * h + 0.5 * m * r * h) <= 1e-12 * terms


@pytest.mark.parametrize("lowest", [1.0, 0.0, -1.0, 1e-300, -1e308, 1e308, np.inf])
@pytest.mark.parametrize("gradient", [[1.0, 1.0], [1e308, 1e308], [1e-320, 0.0], [0.0, 1.0], [np.inf, 1.0]])
@pytest.mark.parametrize("m", [0.0, 1.0, 5e-324, 1e-309, 1e-160, 1e308])
def test_the_cubic_minimiser_ends_whatever_it_is_given(lowest, gradient, m):
    """With a step, with what is no number and ends the solve, or with the matrix's refusal; never without an end."""
    with np.errstate(all="ignore"):
        try:
            h = cubic_minimiser(np.array([lowest, max(lowest, 2.0)]), np.array(gradient), m)
        except SingularStep:
            assert lowest <= 0.0
        else:
            assert h.shape == (2,)


def test_the_cubic_minimiser_without_a_cubic_term_is_newtons():
    assert np.array_equal(cubic_minimiser(np.array([2.0, 4.0]), np.array([1.0, 1.0]), 0.0), [-0.5, -0.25])
    assert not cubic_minimiser(np.array([0.0, 4.0]), np.zeros(2), 1.0).any()
    with pytest.raises(SingularStep):
        cubic_minimiser(np.array([0.0, 4.0]), np.ones(2), 0.0)


def test_the_hard_case_of_the_cubic_step():
    """Nothing of g along the negative eigenvalue: ‖h‖ is 2|λ|/m, and h is a minimiser, below its mirror and origin."""
    values, g, m = np.array([-1.0, 3.0]), np.array([0.0, 0.1]), 1.0
    h = cubic_minimiser(values, g, m)
    assert np.linalg.norm(h) == pytest.approx(2.0, rel=1e-12)
    np.testing.assert_allclose(g + values * h + 0.5 * m * np.linalg.norm(h) * h, 0, atol=1e-12)


# --- trials beyond what numbers hold


def test_a_trial_that_overflows_is_refused_and_no_other():
    """From H⁰ = 0 the first direction is g/λ: exp of it overflows, and a shorter step is what the search is for."""
    result = nf.solve(dense_glm("poisson", ridge=1e-6), nf.newton_3pc_ls(), tol=1e-8, rounds=300)
    assert result.reason is nf.Reason.CONVERGED, result.reason


# --- settings that would go nowhere, and reasons in words


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nf.newton_3pc(mechanism=nf.CLAG, alpha=0.5), "alpha is EF21's rate"),
        (lambda: nf.newton_3pc(model_rate=0.5), "model_rate is the rate of a model's compressor"),
        (lambda: nf.newton_3pc(armijo=0.1), "armijo belongs to a line search"),
        (lambda: nf.newton_3pc(lipschitz=1.0), "lipschitz belongs to step=cubic"),
        (lambda: nf.newton_3pc(gradient=nf.RankR(1)).resolved(dense_glm()), "these are vectors"),
        (lambda: nf.newton_3pc(gradient=nf.TopK(8)).resolved(dense_glm()), "given K = 8, must be at most 7"),
        (lambda: nf.newton_3pc_ls().resolved(dense_glm(ridge=[0.1] * 6 + [0.0])), "use init=hessian"),
        (lambda: nf.newton_3pc(participation=nf.Uniform(2), wire="natural"), "use float32"),
        (lambda: nf.newton_3pc(line_search=10**9), "up to 1000"),
        (lambda: Descent(Shift(), NewtonLearn(nf.EF21(nf.TopK(3)))).resolved(dense_glm()), "only a learned Hessian"),
        (lambda: nf.newton_star(optimum=[np.nan] * 7), "a vector of finite numbers"),
        (lambda: nf.newton_star().resolved(dense_glm()), "given none, must be the solution"),
    ],
)
def test_what_would_go_nowhere_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_ladder_is_made_again_from_its_words():
    ladder = nf.AdaCGD((nf.TopK(3), nf.TopK(5)))
    made = nf.newton_3pc(mechanism=ladder, gradient=ladder, model=ladder)
    again = registry.method("newton-3pc", registry.method_parameters(made))
    assert again == made and again.parameters()["model"] == "adacgd:2,topk:3/topk:5"


def test_a_search_that_finds_no_step_says_which():
    uphill = nf.FromFunctions(
        1, 2, lambda i, x: x[0] + x @ x, lambda i, x: -np.ones(2), lambda i, x: np.eye(2), verify=False
    )
    result = nf.solve(uphill, nf.giant(), x0=np.ones(2), rounds=3)
    assert result.reason is nf.Reason.NO_STEP and "GIANT" in result.notes[0]
