"""AdaHessian: its probe, its rate, that it is Adam for other moments, what it sends. Boxes: test_presets.py."""

from __future__ import annotations

import numpy as np
import pytest
from cases import dense_glm, unlike_clients
from packet_lengths import packet

import newtonfl as nf
from newtonfl.methods.standalone.adahessian import signs

EACH_DIAGONAL = pytest.mark.parametrize("diagonal", ["exact", "probed"])


def test_the_probe_is_the_diagonal_in_expectation():
    """Exactly, over all sixteen z of four dimensions; and a round's z is a draw of its own key."""
    draw = np.random.default_rng(0)
    matrix = draw.standard_normal((4, 4))
    every = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1).T
    np.testing.assert_allclose(np.mean([z * (matrix @ z) for z in every], axis=0), np.diag(matrix), atol=1e-14)
    drawn = np.stack([signs(nf.Key(0, k), 2000) for k in range(3)])
    assert set(drawn.ravel()) == {-1.0, 1.0} and np.abs(drawn.mean(axis=1)).max() < 0.1
    assert np.abs(drawn @ drawn.T / 2000 - np.eye(3)).max() < 0.1


@EACH_DIAGONAL
@pytest.mark.parametrize("eta", [0.15, 1.0])
def test_it_converges_linearly_for_small_and_large_steps(diagonal, eta):
    problem = unlike_clients()
    result = nf.solve(problem, nf.adahessian(eta=eta, diagonal=diagonal), tol=1e-12, rounds=1500)
    assert result.converged
    norms = result.history.column("gradient_norm")
    assert norms[len(norms) // 2] > 1e-9  # half the digits in half the rounds


def test_on_a_diagonal_hessian_both_are_the_same_and_the_first_step_is_newtons():
    """z∘(∇²f z) = diag ∇²f there; m̂ = ∇f and v̂ = D² in round 1, so that η = 1 ends it at once."""
    a, b = np.array([1.0, 4.0, 0.25]), np.array([1.0, -2.0, 3.0])
    problem = nf.FromFunctions(
        2, 3, lambda i, x: 0.5 * x @ (a * x) - b @ x, lambda i, x: a * x - b, lambda i, x: np.diag(a)
    )
    exact, probed = (
        nf.solve(problem, nf.adahessian(eta=1.0, diagonal=d, epsilon=1e-14), rounds=1, tol=0.0).x
        for d in ("exact", "probed")
    )
    np.testing.assert_allclose(exact, b / a, rtol=1e-12)
    np.testing.assert_array_equal(exact, probed)


def test_columns_scales_do_not_matter():
    """x_j/c_j for columns times c_j: it is a method of the diagonal, and of no unit but ε's."""
    draw = np.random.default_rng(4)
    rows, labels = draw.standard_normal((60, 5)), np.where(draw.random(60) < 0.5, 1.0, -1.0)
    scales = np.logspace(-2, 2, 5)
    plain, scaled = (
        nf.solve(nf.from_arrays(a, labels, "logistic", l2=0.0, clients=3), nf.adahessian(epsilon=1e-300), rounds=50).x
        for a in (rows, rows * scales)
    )
    np.testing.assert_allclose(scaled * scales, plain, rtol=1e-10)


@EACH_DIAGONAL
def test_its_bytes_are_its_packets(diagonal):
    problem = dense_glm()
    d = problem.dim
    record = nf.solve(problem, nf.adahessian(diagonal=diagonal), rounds=1, tol=0.0).history[1]
    assert record.bytes_up == packet(gradient=d, diagonal=d) and record.bytes_down == packet(model=d)
    assert record.formula_bits_up == 64 * d and record.exchanges == 1 and record.hessians == 0


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: nf.adahessian(eta=0.0), r"eta: given 0\.0"),
        (lambda: nf.adahessian(power=0.0), r"power: given 0\.0"),
        (lambda: nf.adahessian(beta1=1.0), r"beta1: given 1\.0"),
        (lambda: nf.adahessian(beta2=-0.1), r"beta2: given -0\.1"),
        (lambda: nf.adahessian(epsilon=0), "epsilon: given 0"),
        (lambda: nf.adahessian(diagonal="block"), "diagonal: given 'block', allowed are exact, probed"),
        (
            lambda: nf.adahessian().resolved(nf.from_arrays(np.eye(2), np.array([1.0, -1.0]), nonconvex=1, clients=1)),
            "adahessian needs convex functions",
        ),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_the_seed_that_all_draw_from_is_on_the_ledger():
    problem, parts = unlike_clients(), {}
    for diagonal in ("exact", "probed"):
        ledger = nf.solve(problem, nf.adahessian(diagonal=diagonal), rounds=1).ledger
        parts[diagonal] = {row["part"] for row in ledger.table()}
    assert parts["probed"] - parts["exact"] == {"seed"}
