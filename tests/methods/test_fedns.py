"""FedNS: its root and draws, the rate that its number of rows promises, what it sends. Boxes: test_presets.py."""

from __future__ import annotations

import numpy as np
import pytest
from cases import dense_glm
from packet_lengths import packet

import newtonfl as nf
from newtonfl.methods.standalone.fedns import _root, normal


def test_the_root_is_the_positive_one():
    """Also of a singular matrix, whose zeros rounding may leave negative."""
    draw = np.random.default_rng(0)
    for rank in (2, 5):
        rows = draw.standard_normal((rank, 5))
        root = _root(rows.T @ rows)
        np.testing.assert_allclose(root @ root, rows.T @ rows, rtol=0, atol=1e-13)
        np.testing.assert_allclose(root, root.T, rtol=0, atol=1e-14)
        assert np.linalg.eigvalsh(root).min() >= -1e-13


def test_every_client_and_round_draws_its_own_rows():
    drawn = [normal(nf.Key(0, k).of(i), 300, 40) for k in (0, 1) for i in (0, 1)]
    for a in drawn:
        np.testing.assert_allclose(a.T @ a, np.eye(40), rtol=0, atol=0.4)
    overlap = [np.abs(np.mean(a * b)) * 300 for a in drawn for b in drawn if a is not b]
    assert max(overlap) < 5 / np.sqrt(300 * 40)
    np.testing.assert_array_equal(drawn[0], normal(nf.Key(0, 0).of(0), 300, 40))


@pytest.mark.parametrize("clients, rows", [(10, 54), (60, 9)])
def test_theorys_rows_give_the_rate_that_is_stated(clients, rows):
    """Alike quadratics in 60 dimensions: ‖x - x*‖ in f's norm falls to 0.6 of itself at the worst, round by round."""
    a = np.diag(np.geomspace(1e-3, 1.0, 60))
    problem = nf.FromFunctions(clients, 60, lambda i, x: 0.5 * x @ a @ x, lambda i, x: a @ x, lambda i, x: a)
    method = nf.fedns().resolved(problem)
    assert method.parameters()["sketch"] == rows
    norms = np.sqrt(nf.solve(problem, method, x0=np.ones(60), rounds=20, tol=0.0).history.column("f"))
    assert np.max(norms[1:] / norms[:-1]) <= 0.6 and len(norms) == 21


def test_very_many_rows_are_newtons_method():
    """(mean YᵀY)⁻¹∇²f has eigenvalues within (1 ± √(d/nk))⁻²."""
    problem = dense_glm(n=4)
    x = np.full(problem.dim, 0.3)
    newton = nf.solve(problem, nf.newton(), x0=x, rounds=1, tol=0.0).x - x
    found = nf.solve(problem, nf.fedns(sketch=40_000, eta=1.0), x0=x, rounds=1, tol=0.0).x - x
    r = np.sqrt(problem.dim / (4 * 40_000))
    hessian = np.mean([problem.with_local_ridge().at(x).hessian(i) for i in range(4)], axis=0)
    wrong = np.linalg.cholesky(hessian).T @ (found - newton)
    assert np.linalg.norm(wrong) <= 1.5 * ((1 - r) ** -2 - 1) * np.sqrt(newton @ hessian @ newton)


def test_its_bytes_are_its_packets():
    """Sketches are counted, which the authors' program leaves out."""
    problem = dense_glm()
    d = problem.dim
    record = nf.solve(problem, nf.fedns(sketch=5), rounds=1, tol=0.0).history[1]
    assert record.bytes_up == packet(gradient=d, curvature=5 * d) and record.bytes_down == packet(model=d)
    assert record.formula_bits_up == 32 * 6 * d and record.exchanges == 1 and record.hessians == 1


def test_a_singular_mean_is_refused():
    flat = nf.FromFunctions(
        2,
        2,
        lambda i, x: 0.5 * x[0] ** 2 - x[0],
        lambda i, x: np.array([x[0] - 1, 0.0]),
        lambda i, x: np.diag([1.0, 0]),
    )
    result = nf.solve(flat, nf.fedns(), rounds=3)
    assert result.reason is nf.Reason.SINGULAR and "sketches is not positive definite" in result.notes[0]


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: nf.fedns(sketch=0), "sketch: given 0"),
        (lambda: nf.fedns(sketch=2.5), r"sketch: given 2\.5"),
        (lambda: nf.fedns(sketch="many"), "sketch: given 'many'"),
        (lambda: nf.fedns(eta=0.0), r"eta: given 0\.0"),
        (
            lambda: nf.fedns(sketch=1).resolved(dense_glm()),
            "sketch: given 1, must be at least 2: 4 clients, 7 columns",
        ),
        (
            lambda: nf.fedns().resolved(nf.from_arrays(np.eye(2), np.array([1.0, -1.0]), nonconvex=0.1, clients=1)),
            "fedns needs convex functions",
        ),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
