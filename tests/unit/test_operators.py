"""Problems of operators: a solve without an f, its records, what refuses them, and what they refuse."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

import numpy as np
import pytest
from cases import dense_glm
from games import GAME, problem, rotation

import newtonfl as nf
from newtonfl import registry
from newtonfl.checks import check_method, check_problem
from newtonfl.results.history import History
from newtonfl.results.record import Record
from newtonfl.solver.result import Reason

SOLVERS = ("extragradient", "masha1", "masha2")


def test_a_step_too_long_is_no_convergence():
    result = nf.solve(problem(), nf.extragradient(stepsize=5.0), rounds=500)
    assert result.reason in (Reason.DIVERGED, Reason.NOT_FINITE) and not result.converged


def test_a_plateau_of_the_norm_is_no_convergence():
    """An operator that vanishes nowhere: (1, 0) on all of the plane."""
    nowhere = nf.FromOperators(2, 2, lambda i, z: np.array([1.0, 0.0]), lipschitz=1.0)
    result = nf.solve(nowhere, "extragradient", rounds=2000)
    assert result.reason is Reason.STALLED


def test_an_operator_that_is_not_a_number_is_said():
    bad = nf.FromOperators(2, 2, lambda i, z: np.where(z > -0.5, z + 1.0, np.nan), lipschitz=1.0)
    assert nf.solve(bad, "extragradient", rounds=50).reason is Reason.NOT_FINITE


def test_a_record_without_an_f_is_read_back(tmp_path):
    result = nf.solve(problem(), "masha1", rounds=300, tol=0.0)
    lines = result.history.to_jsonl()
    assert '"f"' not in lines and [Record.from_json(line) for line in lines.splitlines()] == list(result.history)
    (tmp_path / "history.jsonl").write_text(lines)
    assert History.read(tmp_path / "history.jsonl")[-1].f is None
    assert np.isnan(result.history.column("f")).all()
    assert "<td>–</td>" in result.history._repr_html_() and "–" in result._repr_html_()


def test_progress_shows_the_norm_alone():
    out = io.StringIO()
    with redirect_stderr(out), nf.Progress() as progress:
        nf.solve(problem(), "extragradient", rounds=3, tol=0.0, callback=progress)
    assert "‖∇f‖" in out.getvalue() and " f " not in out.getvalue() and "nan" not in out.getvalue()


def test_comparisons_go_by_the_norm():
    found = nf.compare(problem(), ["extragradient", "masha1,compressor=randk:6"], rounds=2000)
    assert found.measure == "gradient_norm" and all(
        r.history[-1].gradient_norm <= 1e-12 for r in found.results.values()
    )


@pytest.mark.parametrize("made", [problem, rotation], ids=["game", "rotation"])
@pytest.mark.parametrize("name", SOLVERS)
def test_methods_are_sound_on_operators(name, made):
    check_method(registry.METHODS[name](), made(), rounds=60)


@pytest.mark.parametrize("name", sorted(registry.METHODS))
def test_methods_that_minimise_refuse_operators(name):
    settings = {"optimum": np.zeros(GAME.d)} if registry.asks_for_optimum(name) else {}
    method = registry.METHODS[name](**settings)
    assert method.solves_operators == (name in SOLVERS)
    if name not in SOLVERS:
        words = f"{name}: minimises a function, and this problem has operators"
        with pytest.raises(ValueError, match=words):
            nf.solve(problem(), method)
        with pytest.raises(ValueError, match=words):
            check_method(method, problem())


def test_nothing_is_sent_to_whom_a_method_refuses():
    called = []
    made = nf.FromOperators(2, 2, lambda i, z: called.append(i) or z, lipschitz=1.0)
    with pytest.raises(ValueError, match="method gd: gd: minimises"):
        nf.compare(made, ["extragradient", "gd"])
    assert not called


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: nf.optimum(problem()), "nf.optimum needs functions that are minimised"),
        (lambda: nf.solve(problem(), "extragradient", f_star=0.0), "f_star: given 0.0 for a problem of operators"),
        (lambda: nf.solve(problem(), "extragradient", accuracy=1.0), "accuracy: given 1.0 for a problem of operators"),
        (lambda: problem(lipschitz=-1.0), "lipschitz: given -1.0, must be one number"),
        (lambda: problem(lipschitz=[1.0, 2.0]), "or one for each of the 8 clients"),
        (lambda: problem(strong_monotonicity=-0.1), "strong_monotonicity: given -0.1, must be a finite number"),
        (lambda: problem(strong_monotonicity=np.inf), "strong_monotonicity: given inf"),
        (lambda: problem(l2=-1.0), "l2: given -1"),
        (lambda: problem(l2="a"), "l2: given 'a', must be a finite number"),
        (lambda: problem(lipschitz=True), "lipschitz: given True, must be one number"),
        (lambda: problem(lipschitz=1j), "lipschitz: given 1j, must be one number"),
        (lambda: problem(strong_monotonicity=None), "strong_monotonicity: given None, must be"),
        (lambda: problem(transport=3), "transport: given 3, must be None or what newtonfl.connect"),
        (lambda: nf.FromOperators(2.5, 2, print), "n_clients: given 2.5, must be a whole number"),
        (lambda: nf.FromOperators(2, True, print), "dim: given True, must be a whole number"),
        (lambda: nf.solve(rotation(), "masha1,compressor=randk:7"), "must be at most 2: the coordinates of a vector"),
        (lambda: nf.solve(problem(lipschitz=None), "masha1"), "no Lipschitz constants L_i are known for .* lipschitz"),
        (
            lambda: nf.solve(nf.FromOperators(2, 3, lambda i, z: z[:2]), nf.extragradient(stepsize=0.1)),
            r"operator\(0, x\): returned shape \(2,\), must be \(3,\)",
        ),
        (lambda: nf.solve(problem(), "masha1,compressor=topk:3"), "topk:3 is not unbiased"),
        (lambda: nf.solve(problem(), "masha1,down=topk:3"), "topk:3 is not unbiased"),
        (lambda: nf.solve(problem(), "masha2,down=permk:8"), "its clients draw together"),
        (lambda: nf.masha1(p=0.0), r"p: given 0.0, must be a probability in \(0, 1\]"),
        (lambda: nf.masha1(stepsize="theory-pl").resolved(problem()), "no linear rate of this method is known"),
        (
            lambda: nf.solve(problem(), "extragradient", monitors=[nf.monitors.HessianError(np.zeros(GAME.d))]),
            "monitors.HessianError needs functions that are minimised",
        ),
        (lambda: problem().personal([0]), "personal: needs a problem of rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(act, words):
    with pytest.raises(ValueError, match=words):
        act()


def test_an_operator_must_be_a_function():
    with pytest.raises(TypeError, match="operator: given 3, must be a function"):
        nf.FromOperators(2, 2, 3)


def test_theory_needs_convex_functions():
    """Of a problem that need not be convex, ∇f is not monotone; a number serves."""
    made = dense_glm(nonconvex=0.1)
    with pytest.raises(ValueError, match="theory of this method needs convex functions"):
        nf.solve(made, "masha1")
    assert nf.solve(made, "masha1,stepsize=0.01", rounds=3, tol=0.0).rounds == 3


def test_the_check_finds_a_false_constant():
    check_problem(problem())
    check_problem(rotation(l2=0.2))
    with pytest.raises(AssertionError, match=r"strong_monotonicity = 0\.6"):
        check_problem(problem(strong_monotonicity=0.6))
    with pytest.raises(AssertionError, match=r"lipschitz = 0\.9, and its operator changes by"):
        check_problem(problem(lipschitz=0.9))
    with pytest.raises(AssertionError, match="same point must give the same bits"):
        draw = np.random.default_rng(0)
        check_problem(nf.FromOperators(2, 2, lambda i, z: z + draw.random(2)))


def test_some_of_the_clients_are_a_problem_too():
    """Those who stay have their own operators; what μ of their mean is nobody knows."""
    some = problem(strong_monotonicity=0.5).without([0, 3])
    assert some.n_clients == 6 and some.strong_convexity == 0.0
    expected = GAME.gradient(np.ones(GAME.d), 1)
    assert np.array_equal(some.at(np.ones(GAME.d)).gradient[0], expected)
    assert np.array_equal(some.client_smoothness, np.delete(GAME.lipschitz, [0, 3]))
