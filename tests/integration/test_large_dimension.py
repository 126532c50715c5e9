"""The data basis in more than a thousand dimensions: no (d, d) matrix, the dense method's steps, any ranks' bits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy
from mpi_launch import launch
from mpi_programs import large_dimension
from mpi_programs.large_dimension import DIM, METHODS, problem, solved

import newtonfl as nf
from newtonfl.bases import DataSubspace, spans
from newtonfl.comm.coding import NotFinite
from newtonfl.comm.heads import Kind
from newtonfl.comm.messages import Run
from newtonfl.comm.packets import are_plain, check_finite, encode_many, measure
from newtonfl.comm.parts import ManyParts
from newtonfl.components.curvature.base import HessianEstimate
from newtonfl.components.gradient.base import GradientEstimate
from newtonfl.components.protocol import ProblemConstants
from newtonfl.components.step.base import SingularStep
from newtonfl.components.step.newton import Plain, Project, Shift
from newtonfl.core import symmetric
from newtonfl.core.symmetric import TooLarge, Triangle
from newtonfl.kernels import SubspaceSum, subspaces
from newtonfl.methods.argument import as_method


@pytest.fixture
def no_squares(monkeypatch):
    """Nobody may ask for a table or a matrix of d² numbers."""
    for name in ("upper", "square", "isometry"):
        table = vars(Triangle)[name].func
        monkeypatch.setattr(
            Triangle, name, property(lambda self, table=table: 1 / 0 if self.dim == DIM else table(self))
        )
    monkeypatch.setattr(SubspaceSum, "matrix", lambda self: 1 / 0)


@pytest.mark.parametrize("name", METHODS)
def test_the_solve_is_that_of_the_assembled_matrix(name, no_squares, monkeypatch):
    """The same iterates, to the steps' tolerance, and the same bytes as with d(d + 1)/2 numbers of the server's."""
    apart = solved(METHODS[name]())
    monkeypatch.undo()
    monkeypatch.setattr(DataSubspace, "keeps_apart", lambda self, dim: False)
    whole = solved(METHODS[name]())
    assert len(apart["history"]) == len(whole["history"]) == 9 and apart["ledger"] == whole["ledger"]
    for ours, theirs in zip(apart["history"], whole["history"], strict=True):
        assert ours["f"] == pytest.approx(theirs["f"], rel=1e-6)
        assert ours["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=1e-3, abs=1e-7)
    assert apart["history"][-1]["gradient_norm"] < 0.5 * apart["history"][0]["gradient_norm"]


def test_it_converges_to_the_optimum(no_squares):
    """The tolerance of a step follows ‖∇f‖, so that rounds converge as far as with a factor; and invariants too."""
    for method in (nf.bl1(step="plain"), nf.bl1(), nf.bl2(participation=nf.Uniform(4))):
        assert nf.solve(problem(), method, rounds=200, tol=1e-10).converged


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_same_bits_on_any_number_of_ranks(ranks):
    ended = launch(ranks, Path(large_dimension.__file__), timeout=120)
    assert ended.status == 0, ended.err
    found = {line.pop("name"): line for line in map(json.loads, ended.out.splitlines())}
    assert found == {name: json.loads(json.dumps(solved(make()))) for name, make in METHODS.items()}


def estimates(noise=1.2):
    """An estimate kept apart, with that much `noise` in it, the same as a matrix, and a gradient."""
    p = problem()
    coordinates = DataSubspace().of(p)
    draw = np.random.default_rng(0)
    total = coordinates.coefficients(p.at(np.zeros(DIM))).values / 5 + noise * draw.standard_normal(
        coordinates.total_size
    )
    apart = coordinates.estimate(total)
    return HessianEstimate(apart, 0.02), HessianEstimate(apart.matrix(), 0.02), draw.standard_normal(DIM)


@pytest.mark.parametrize("step", [Plain(), Shift(), Project()], ids=str)
@pytest.mark.parametrize("way", ["core", "products"])
def test_steps_are_those_of_the_dense_matrix(step, way, monkeypatch):
    monkeypatch.setattr(subspaces, "way_to_solve", lambda *arguments: way)
    apart, whole, b = estimates()
    constants = ProblemConstants(5, DIM, np.full(DIM, 1.5), lambda: 1.0, np.zeros(0))
    g = GradientEstimate(np.zeros(DIM), b, is_solved_for=True)
    expected = step.next(g, whole, constants, None)
    assert np.linalg.eigvalsh(whole.matrix)[0] < -1.0
    np.testing.assert_allclose(
        step.next(g, apart, constants, None), expected, rtol=0, atol=1e-11 * np.abs(expected).max()
    )
    np.testing.assert_allclose(apart.product(b), whole.product(b), rtol=0, atol=1e-13)
    loose = step.next(replace(g, is_solved_for=False), apart, constants, None)
    assert 0 < np.linalg.norm(loose - expected) < 1e-4 * np.linalg.norm(expected) or way == "core"


def test_a_singular_matrix_is_no_step():
    apart, _, b = estimates(noise=0.0)
    constants = ProblemConstants(5, DIM, np.zeros(DIM), lambda: 1.0, np.zeros(0))
    g = GradientEstimate(np.zeros(DIM), b)
    with pytest.raises(SingularStep):
        Plain().next(g, apart, constants, None)
    down = Plain().fallback_direction(g, apart, constants)
    assert b @ down < 0 and np.isfinite(down).all()


def test_who_needs_the_matrix_is_refused_in_words(monkeypatch):
    """Seven matrices of 1100² numbers are 0.07 GiB, more than there is; who needs none is served."""
    monkeypatch.setattr(symmetric, "available", lambda: 2**25)
    for method in ("bl1,step=cubic", "bl1,step=cubic,line_search=4"):
        with pytest.raises(TooLarge, match=r"l-bfgs.*; or step=shift or step=plain, which need no such matrix"):
            nf.solve(problem(), method, rounds=1)
    with pytest.raises(TooLarge, match="or step=shift"):
        nf.solve(problem(intercept=True), "bl1", rounds=1)  # D is no multiple of I, so that H alone has no projection
    with pytest.raises(TooLarge, match=r"fewer columns(\n|$)"):
        nf.solve(problem(), "newton", rounds=1)
    for method in ("bl1", "bl1,step=shift", "bl1,step=plain,line_search=4", "bl2"):
        assert as_method(method).resolved(problem()).name == method[:3]


def test_spans_that_do_not_fit_are_refused(monkeypatch):
    """Twenty clients of two rows in 10⁶ sparse columns: 40 dense vectors, 0.3 GiB."""
    rows = scipy.sparse.csr_array((np.ones(40), (np.arange(40), np.arange(40))), shape=(40, 10**6))
    p = nf.from_arrays(rows, np.arange(40) % 2, l2=0.1, clients=20)
    monkeypatch.setattr(spans, "available", lambda: 2**27)
    with pytest.raises(TooLarge, match=r"up to 40 vectors of d = 1000000 numbers; that is 0.298 GiB, and 0.125 GiB"):
        nf.solve(p, nf.bl1(), rounds=1)
    monkeypatch.undo()
    assert DataSubspace().of(p.select(np.arange(2))).sizes.tolist() == [3, 3]


def test_spans_are_found_once_and_held_once(monkeypatch):
    """By the problem, its groups of clients and the server: one array a client."""
    found = []
    monkeypatch.setattr("newtonfl.bases.data.span", lambda rows: found.append(spans.span(rows)) or found[-1])
    p, basis = problem(), DataSubspace()
    ours, some = basis.of(p), basis.of(p.select(np.array([1, 3])))
    server = basis.from_setup(DIM, ours.setup_messages())
    assert len(found) == 5
    for i, v in enumerate(found):
        assert np.shares_memory(ours.vectors[i], v) and np.shares_memory(server.vectors[i], v)
    assert np.shares_memory(some.vectors[1], found[3])
    taken = []
    monkeypatch.setattr(
        "newtonfl.bases.subspace.ApartCoordinates.estimate", lambda self, total: taken.append(self) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        nf.solve(p, nf.bl1(), rounds=1)
    assert len(found) == 5 and np.shares_memory(taken[0].vectors[4], found[4])


@pytest.mark.parametrize("precision", ["float64", "float32", "natural"])
def test_runs_are_measured_without_their_bytes(precision):
    values = np.arange(1.0, 8.0)
    runs = [Run(2, values[:k], 9, precision=precision) for k in (7, 0, 3)]
    parts, clients = ManyParts({"subspace": runs}, 3), np.array([4, 5, 7])
    assert are_plain(parts)
    assert measure(Kind.SETUP, 0, clients, parts)[0].tolist() == encode_many(Kind.SETUP, 0, clients, parts)[1].tolist()
    assert not are_plain(ManyParts({"subspace": [*runs[:2], nf.TopK(1)]}, 3))
    wrong = ManyParts({"subspace": [runs[0], Run(0, np.array([1.0, np.nan]), 9), runs[2]]}, 3)
    with pytest.raises(NotFinite, match="round 2, client 5, subspace"):
        check_finite(wrong, 2, clients)


def test_rows_that_nobody_can_write_are_not_copied():
    """A view of rows that can be written is copied all the same, and so are other numbers and another order."""
    rows, labels = np.random.default_rng(0).standard_normal((8, 3)), np.arange(8) % 2
    held = nf.from_arrays(rows, labels, clients=2).rows.array
    assert not np.shares_memory(held, rows)
    view = rows[:, :]
    view.flags.writeable = False
    assert not np.shares_memory(nf.from_arrays(view, labels, clients=2).rows.array, rows)
    rows.flags.writeable = False
    assert np.shares_memory(nf.from_arrays(rows, labels, clients=2).rows.array, rows)
    assert np.shares_memory(nf.from_arrays(rows[2:], labels[2:], clients=2).rows.array, rows)
    other = np.asfortranarray(rows)
    other.flags.writeable = False
    assert not np.shares_memory(nf.from_arrays(other, labels, clients=2).rows.array, other)
