"""check_basis passes every basis of the library, and fails those that break a promise, saying which."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from cases import BASES, dense_glm, sparse_glm

import newtonfl as nf
from newtonfl.bases import Coordinates, TriangleCoordinates
from newtonfl.checks import check_basis
from newtonfl.kernels import norms


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("n", [1, 4])
def test_bases(name, n):
    check_basis(BASES[name], sparse_glm(n=n, seed=3))
    if name != "data":
        check_basis(BASES[name], sparse_glm(n=n, seed=3).with_local_ridge())


@dataclass(frozen=True)
class BrokenBasis(nf.Symmetric):
    """Symmetric, with one thing of its coordinates replaced, at the client's end, the server's or both."""

    replaced: str = ""
    ends: str = "both"

    def of(self, problem):
        return self._made(problem.dim, len(problem.clients), "client")

    def from_setup(self, dim, setup_messages):
        return self._made(dim, len(setup_messages), "server")

    def _made(self, dim, n, end):
        whole = super()._for(dim, n)
        if self.ends not in ("both", end):
            return whole
        return BROKEN[self.replaced](whole.sizes, dim, True)


def breaking(**methods):
    return type("Broken", (TriangleCoordinates,), methods)


class LossyGradients(Coordinates):
    def of_gradients(self, gradients):
        told = super().of_gradients(gradients)
        return told.replaced(told.values * (1 + 1e-6))


def forgetting(self, total, messages, weights, clients=None):
    """The last message's weight is the first's."""
    weights = np.append(weights[:-1], weights[0])
    return TriangleCoordinates.accumulate(self, total, messages, weights, clients)


def changed(blocks):
    return blocks.replaced(blocks.values + 1e-3)


BROKEN: dict[str, type] = {
    "norms": breaking(norms=lambda self, blocks: norms(blocks) * (1 + 1e-6)),
    "spectral": breaking(spectral_norms=lambda self, blocks: norms(blocks)),
    "apply": breaking(apply=lambda self, i, v, x: self.matrix(i, v) @ x * (1 + 1e-6)),
    "coefficients": breaking(
        coefficients=lambda self, point: changed(TriangleCoordinates.coefficients(self, point)),
    ),
    "matrix": breaking(matrix=lambda self, i, v: np.triu(TriangleCoordinates.matrix(self, i, v))),
    "other matrix": breaking(matrix=lambda self, i, v: 2 * TriangleCoordinates.matrix(self, i, v)),
    "diagonal": breaking(
        diagonal_blocks=lambda self, v, like: changed(TriangleCoordinates.diagonal_blocks(self, v, like))
    ),
    "accumulate": breaking(accumulate=forgetting),
    "gradients": breaking(gradients=lambda self: LossyGradients(np.full(len(self.sizes), self.dim))),
    "select": breaking(_select=lambda self, chosen: replace(self, sizes=self.sizes[np.sort(chosen)] + 1)),
    "sizes": breaking(__init__=lambda self, sizes, dim, iso: TriangleCoordinates.__init__(self, sizes + 1, dim, iso)),
    "greeting": breaking(setup_message=lambda self, i: {"subspace": nf.Dense(np.zeros(3))}),
    "total": breaking(total_size=5),
}


@pytest.mark.parametrize(
    "replaced, ends, words",
    [
        ("norms", "both", r"norms\(\) must be the matrix's Frobenius norm"),
        ("spectral", "client", r"spectral_norms\(\) must be the largest eigenvalue"),
        ("apply", "client", r"apply\(i, v, x\) must be the matrix times x"),
        ("coefficients", "client", "the coefficients' matrix must be ∇²f_i"),
        ("matrix", "both", "must be symmetric in every bit"),
        ("other matrix", "server", "must be the same matrix for client and server"),
        ("accumulate", "server", "must add Σ weight_i H_i"),
        ("gradients", "client", "gradients must send Σ weight_i ∇f_i without loss"),
        ("select", "both", r"select\(\[3, 1\]\) must give these clients' sizes"),
        ("sizes", "server", "the server understood"),
        ("greeting", "client", "set-up messages must survive the wire"),
        ("total", "server", "sum has 5 coordinates"),
    ],
)
def test_broken_bases(replaced, ends, words):
    with pytest.raises(AssertionError, match=f"(?s){words}"):
        check_basis(BrokenBasis(replaced=replaced, ends=ends), dense_glm(n=4))


def test_a_basis_that_misstates_its_sizes():
    class Misstates(nf.Symmetric):
        def sizes(self, dim, part, heard):
            return 3

    with pytest.raises(AssertionError, match="sizes: 3 for client 0's initial Hessian, which has 28"):
        check_basis(Misstates(), dense_glm(n=2))
