"""check_problem passes the library's problems, and finds problems that break one promise each."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from cases import LOSSES, dense_glm, functions_problem, sparse_glm

import newtonfl as nf
from newtonfl.checks import check_problem
from newtonfl.objectives.base import Point
from newtonfl.objectives.glm import GLM


@pytest.mark.parametrize("make", [dense_glm, sparse_glm])
@pytest.mark.parametrize("name", [name for name, _, _ in LOSSES])
def test_problems_of_rows(name, make):
    check_problem(make(name))
    check_problem(make(name).with_local_ridge())
    check_problem(make(name, nonconvex=0.3))


@pytest.mark.parametrize("n", [1, 2])
def test_few_clients(n):
    check_problem(dense_glm(n=n))


def test_weights_classes_and_functions():
    draw = np.random.default_rng(0)
    rows, classes = draw.standard_normal((60, 4)), draw.integers(0, 3, 60)
    check_problem(nf.from_arrays(rows, classes, "multinomial", l2=1e-3, clients=4))
    check_problem(nf.from_arrays(rows, classes > 0, "logistic", l2=1e-3, clients=4, intercept=True))
    check_problem(functions_problem()[0])
    check_problem(nf.load("breast_cancer", clients=5))


# --- functions of one's own, with one thing changed

A = np.array([[[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0], [0.0, 3.0]], [[0.5, 0.2], [0.2, 0.5]]])


def value(i, x):
    return float(0.5 * x @ A[i] @ x + np.logaddexp(x[0], -x[0]))


def gradient(i, x):
    return A[i] @ x + np.array([np.tanh(x[0]), 0.0])


def hessian(i, x):
    return A[i] + np.diag([1.0 - np.tanh(x[0]) ** 2, 0.0])


LIPSCHITZ = 4 / 27**0.5
SMOOTH = [float(np.linalg.eigvalsh(a + np.diag([1.0, 0.0]))[-1]) for a in A]


def functions(kind=nf.FromFunctions, n=3, **changed):
    parts = {"value": value, "gradient": gradient, "hessian": hessian}
    constants = {"l2": 0.1, "client_smoothness": SMOOTH, "hessian_lipschitz": LIPSCHITZ}
    constants["smoothness"] = A.mean(axis=0) + np.diag([1.0, 0.0])
    given = {**parts, **constants, **changed}
    return kind(n, 2, *(given.pop(key) for key in parts), **given)


def test_functions_of_ones_own():
    check_problem(functions())


def small(off, where=1):
    """`off` for the client `where` alone."""
    return lambda i: off if i == where else 0.0


class ForgetsTheRidge(nf.FromFunctions):
    def with_local_ridge(self):
        other = super().with_local_ridge()
        other.local_ridge = 2.0 * np.array(self.ridge)
        return other


class AlwaysNew(nf.FromFunctions):
    def with_local_ridge(self):
        other = copy.copy(self)
        other.local_ridge, other._points = np.array(self.ridge), {}
        return other


class OtherClients(nf.FromFunctions):
    def select(self, chosen):
        part = super().select(chosen)
        if part is not self:
            part.clients = np.sort(part.clients)
        return part


class OtherNumbers(nf.FromFunctions):
    """A client's function changes a little where it stands alone."""

    def call(self, which, x, shape):
        answers = super().call(which, x, shape)
        return [answer * (1 + 1e-15) for answer in answers] if len(answers) < self.n_clients else answers


class CountsForAll(nf.FromFunctions):
    def count_hessians(self):
        self._hessian_counts += 1


class OtherPoint(nf.FromFunctions):
    """With one point a client, all are at the first."""

    def _at(self, x):
        return super()._at(x if x.ndim == 1 else np.tile(x[0], (len(x), 1)))


class MoreStrong(nf.FromFunctions):
    @property
    def strong_convexity(self):
        return 5.0


class HasHessians(nf.FromFunctions):
    """Not convex, and gives Hessians all the same."""

    def check_convex(self, who):
        pass


class OwnPoint(Point):
    """Delegates to another point, but for what is replaced."""

    def __init__(self, problem, x, inner, replaced):
        super().__init__(problem, x)
        self.inner, self.replaced = inner, replaced

    def _value(self):
        return self.replaced.get("value", lambda v: v)(self.inner._value())

    def _gradient(self):
        return self.replaced.get("gradient", lambda v: v)(self.inner._gradient())

    def _hessians(self):
        return self.replaced.get("hessians", lambda v: v)(self.inner._hessians())

    def _value_along(self, direction, steps):
        return self.replaced.get("along", lambda v: v)(self.inner._value_along(direction, steps))


class Replaced(nf.FromFunctions):
    replaced: dict = {}  # noqa: RUF012

    def _at(self, x):
        return OwnPoint(self, x, super()._at(x), self.replaced)


def replaced(**changes):
    return type("Replaced", (Replaced,), {"replaced": changes})


DRAW = np.random.default_rng(0)


@pytest.mark.parametrize(
    "problem, words",
    [
        (functions(gradient=lambda i, x: gradient(i, x) * (1 + 1e-6)), "client 0: its (gradient|Hessian) must be"),
        (functions(gradient=lambda i, x: gradient(i, x) + small(1e-5)(i)), "client 1: its gradient must be"),
        (functions(hessian=lambda i, x: hessian(i, x) * (1 + 1e-6)), "its Hessian must be the derivative"),
        (functions(hessian=lambda i, x: A[i] + np.eye(2) * small(1e-4, 2)(i)), "its Hessian must be the derivative"),
        (functions(value=lambda i, x: value(i, x) + 1e-5 * np.sin(x[0])), "its gradient must be the derivative"),
        (functions(value=lambda i, x: value(i, x) if x[0] < 1 else np.inf), "value must be finite|value_along must be"),
        (functions(client_smoothness=0.9 * np.array(SMOOTH)), r"client \d: client_smoothness = .*its gradient changes"),
        (functions(hessian_lipschitz=0.5), r"client \d: hessian_lipschitz = 0.5, and its Hessian changes by 0\.\d+"),
        (functions(smoothness=0.7 * A.mean(axis=0)), "curvature_product: vᵀBv of the clients' mean is"),
        (functions(f_star=1.0), "f_star = 1, and f is"),
        (functions(ForgetsTheRidge), "with_local_ridge: every client must have .* value"),
        (functions(AlwaysNew), "done twice it must be what it is done once"),
        (functions(OtherClients), r"the clients at places \[2, 0\] must have the same"),
        (functions(OtherNumbers), "bits of values as among all"),
        (functions(CountsForAll), "a Hessian of the first client alone must count for it"),
        (functions(OtherPoint), "with one point a client each must be at its own"),
        (functions(MoreStrong), "strong_convexity = 5: f must lie"),
        (functions(HasHessians, nonconvex=0.5), "must refuse Hessians, and gave them"),
        (functions(replaced(value=lambda v: v[:2])), r"value: shape \(2,\), must be \(3,\)"),
        (functions(replaced(gradient=lambda g: g[:, :1])), r"gradient: shape \(3, 1\), must be \(3, 2\)"),
        (functions(replaced(along=lambda v: [1.001 * a for a in v])), "value_along must be the values at"),
        (
            functions(replaced(value=lambda v: v + 1e-9 * DRAW.random())),
            "value: the same point must give the same bits",
        ),
        (
            functions(
                value=lambda i, x: value(i, x) - 3.0 * x[1] ** 2,
                gradient=lambda i, x: gradient(i, x) - np.array([0.0, 6.0 * x[1]]),
                hessian=lambda i, x: hessian(i, x) - np.diag([0.0, 6.0]),
            ),
            r"client \d: convex, and its Hessian has the eigenvalue -",
        ),
        (functions, "must be a Problem"),
    ],
)
def test_broken_functions(problem, words):
    with pytest.raises(AssertionError, match=f"(?s){words}"):
        check_problem(problem)


# --- rows, with one thing of the library's changed


def glm_with(monkeypatch, name, changed, make=sparse_glm):
    monkeypatch.setattr(GLM, name, changed)
    return make()


def moved_support(self, diagonal):
    support = self.rows.on_supports(diagonal).supports
    return support.replaced((support.values + 1) % (self.dim * (self.dim + 1) // 2))


def test_broken_rows(monkeypatch):
    """What bases and minibatches make use of."""
    cases = {
        "support": (moved_support, r"the Hessian on support\(False\) must be all that differs from zero"),
        "client_rows": (lambda self, i: self.rows.on_host(i)[:1], "client_rows must span its Hessian"),
        "projected_rows": (
            lambda self, vectors: [1.01 * self.rows.project(i, v) for i, v in enumerate(vectors)],
            "hessians_in must be V H Vᵀ",
        ),
        "drawn": (
            lambda self, batch, key: np.full(len(self.labels), 1.0 + (batch < 100) * len(self.clients)),
            "must draw the same rows",
        ),
    }
    for name, (changed, words) in cases.items():
        with monkeypatch.context() as patch, pytest.raises(AssertionError, match=words):
            check_problem(glm_with(patch, name, changed))
    problem = dense_glm()
    problem.total_weight *= 1.01
    with pytest.raises(AssertionError, match="the weighted mean over all rows"):
        check_problem(problem)


def test_a_problem_spread_over_processes_is_refused():
    with pytest.raises(AssertionError, match="must be in this process"):
        check_problem(dense_glm(n=4).select(np.array([1, 2])))
