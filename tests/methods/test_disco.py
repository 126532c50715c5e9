"""DiSCO: its steps, how few products a good preconditioner takes, what it sends and refuses. Boxes: test_presets.py."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from cases import dense_glm, sparse_glm
from packet_lengths import packet

import newtonfl as nf


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_one_clients_steps_are_damped_newtons(loss):
    """P = ∇²f + νI: one product a round for ν = 0, and x⁺ = x - n/(1 + √(nᵀHn)) with Newton's n."""
    problem = dense_glm(loss, n=1)
    x = np.linspace(-0.3, 0.4, problem.dim)
    record = nf.solve(problem, nf.disco(nu=0.0), x0=x, rounds=1, tol=0.0)
    point = problem.at(x)
    hessian, g = point.hessian(0) + np.diag(problem.ridge), point.gradient[0] + problem.ridge * x
    newton = np.linalg.solve(hessian, g)
    expected = x - newton / (1.0 + np.sqrt(newton @ hessian @ newton))
    np.testing.assert_allclose(record.x, expected, rtol=0, atol=1e-11)
    assert record.history[1].exchanges == 3


def differing_in(directions: int, n: int = 4, dim: int = 12) -> nf.FromFunctions:
    """Quadratics of which the others' Hessians are the first's and a matrix of so small a rank more."""
    draw = np.random.default_rng(2)
    root = draw.standard_normal((dim, dim))
    shared = root @ root.T / dim + 0.1 * np.eye(dim)
    more = [np.zeros((dim, dim))] + [b @ b.T for b in [draw.standard_normal((dim, directions))] * (n - 1)]
    a, b = [shared + m for m in more], draw.standard_normal((n, dim))
    a = [(h + h.T) / 2 for h in a]
    return nf.FromFunctions(
        n, dim, lambda i, x: 0.5 * x @ a[i] @ x - b[i] @ x, lambda i, x: a[i] @ x - b[i], lambda i, x: a[i]
    )


@pytest.mark.parametrize("directions", [1, 3])
def test_it_takes_a_product_for_every_direction_in_which_clients_differ_and_one_more(directions):
    """P⁻¹∇²f has one eigenvalue more than the rank of the difference; from another client's P as many."""
    problem = differing_in(directions)
    for client in (0, 2):
        method = nf.disco(nu=0.0, residual=1e-9, client=client)
        assert nf.solve(problem, method, rounds=1, tol=0.0).history[1].exchanges == 1 + 2 * (directions + 1)
    coarse = nf.solve(problem, nf.disco(nu=10.0, residual=1e-9), rounds=1, tol=0.0)
    assert coarse.history[1].exchanges > 1 + 2 * (directions + 1)


def test_the_residual_says_how_fast_the_gradient_falls():
    """The last rounds: by ε and what the damping leaves, which is of the size of the step."""
    problem = nf.load("breast_cancer", clients=8)
    for residual in (0.2, 1e-2):
        norms = nf.solve(problem, nf.disco(residual=residual), tol=1e-11).history.column("gradient_norm")
        assert norms[-1] <= 1e-11 and np.max(norms[-2:] / norms[-3:-1]) <= residual + 1e-3


def test_many_columns_take_vectors_alone():
    """20,000 columns: no (d, d) matrix could be; and none was counted."""
    draw = np.random.default_rng(3)
    rows = scipy.sparse.random_array((200, 20_000), density=2e-3, rng=draw, format="csr")
    labels = np.where(draw.random(200) < 0.5, 1.0, -1.0)
    problem = nf.from_arrays(rows, labels, "logistic", l2=1e-2, clients=4)
    result = nf.solve(problem, nf.disco(), tol=1e-9)
    assert result.converged and result.history[-1].hessians == 0


# --- what is sent, and what is refused


def test_one_client_sends_more_than_the_others():
    problem = dense_glm()
    d, n = problem.dim, problem.n_clients
    result = nf.solve(problem, nf.disco(client=2), rounds=1, tol=0.0)
    steps = (result.history[1].exchanges - 1) // 2
    assert steps > 1
    every = {
        "up": packet(gradient=d) + steps * packet(product=d),
        "down": packet(model=d) + steps * packet(direction=d),
    }
    more = {"up": steps * packet(direction=d), "down": steps * packet(gradient=d)}
    for way in ("up", "down"):
        found = result.ledger.totals()["bytes"][way]
        assert found["total"] == n * every[way] + more[way]
    table = result.ledger.table().to_pandas()
    up = table[(table.direction == "up") & (table.phase == "rounds")].groupby("client").bytes.sum()
    assert up.tolist() == [every["up"] + (i == 2) * more["up"] for i in range(n)]


def flat_along_one(i, x):
    return np.diag([1.0, 1.0, 0.0])


def test_a_singular_hessian_is_refused():
    """Of the one client where ν = 0, or of f, which falls for ever along its last coordinate."""
    one = nf.FromFunctions(
        2, 2, lambda i, x: 0.5 * x[i] ** 2 - x @ [1.0, 1.0] / 2, lambda i, x: np.eye(2)[i] * x[i] - 0.5,
        lambda i, x: np.diag(np.eye(2)[i]),
    )  # fmt: skip
    result = nf.solve(one, nf.disco(nu=0.0), rounds=3)
    assert result.reason is nf.Reason.SINGULAR and "client 0: its Hessian is not positive" in result.notes[0]
    assert nf.solve(one, nf.disco(nu=0.1), tol=1e-9).converged
    whole = nf.FromFunctions(
        2, 3, lambda i, x: 0.5 * x[:2] @ x[:2] - x[2], lambda i, x: np.array([x[0], x[1], -1.0]), flat_along_one
    )
    result = nf.solve(whole, nf.disco(nu=0.1), rounds=3)
    assert result.reason is nf.Reason.SINGULAR and "no curvature along some direction" in result.notes[0]


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: nf.disco(residual=1.0), "residual: given 1.0"),
        (lambda: nf.disco(nu=-1.0), "nu: given -1.0"),
        (lambda: nf.disco(client=-1), "client: given -1"),
        (lambda: nf.disco(client=0.5), "client: given 0.5, must be a whole number from 0"),
        (lambda: nf.disco(products=0), "products: given 0"),
        (lambda: nf.disco(client=4).resolved(dense_glm()), "client: given 4, must be from 0 to 3"),
        (
            lambda: nf.disco().resolved(nf.from_arrays(np.eye(2), np.array([1.0, -1.0]), nonconvex=0.1, clients=1)),
            "disco needs convex functions",
        ),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_sparse_rows_and_a_client_without_any():
    result = nf.solve(sparse_glm(n=5), nf.disco(client=1), tol=1e-10)  # client 1 has none but its ridge
    assert result.converged
