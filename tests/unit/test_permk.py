"""Perm-K: what n clients together send, how far their mean is off, and how the seed that they share travels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from cases import dense_glm, glm

import newtonfl as nf
from newtonfl.checks import check_compressor
from newtonfl.compressors import Contracted, PermK, Rounded
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import SERVER, Key, Keys
from newtonfl.methods.first_order.marina import hessian_variance
from newtonfl.registry import METHODS
from newtonfl.solver.session import Session
from newtonfl.solver.solve import solve

SIZES = [(4, 12), (4, 14), (5, 3), (8, 3), (3, 3), (6, 1), (1, 5)]  # (n, d): d of n or more, and fewer


def sent(n: int, rows: np.ndarray, round: int) -> np.ndarray:
    """What every client's message of one round stands for, shape (n, d)."""
    out = np.zeros_like(rows)
    messages = PermK(n).compress_all(Blocks.of(list(rows)), Keys(Key(3, round), np.arange(n)))
    for own, message in zip(out, messages, strict=True):
        indices, values = message.coordinates()
        own[indices] = values
    return out


@pytest.mark.parametrize(("n", "d"), SIZES)
def test_equal_vectors_have_exactly_their_mean(n, d):
    """Every coordinate is with as many clients as any other, or one more, and is sent n times over their number."""
    v = np.random.default_rng(n).standard_normal(d)
    for round in range(20):
        found = sent(n, np.tile(v, (n, 1)), round)
        assert np.allclose(found.mean(axis=0), v, rtol=1e-14, atol=0)
        owners = np.count_nonzero(found, axis=0)
        assert owners.min() == max(1, n // d) and owners.max() <= max(1, n // d) + 1
        parts = np.count_nonzero(found, axis=1)
        assert parts.min() == max(1, d // n) and parts.max() == max(1, -(-d // n))


@pytest.mark.parametrize(("n", "d"), SIZES)
def test_the_mean_is_unbiased_and_as_far_off_as_stated(n, d):
    """E‖mean C_i(u_i) - ū‖² ≤ A(mean ‖u_i‖² - ‖ū‖²), A = (n-q)/(q(n-1)); with = where q is the same for all."""
    rows = np.random.default_rng(d).standard_normal((n, d))
    errors = np.array([sent(n, rows, k).mean(axis=0) - rows.mean(axis=0) for k in range(4000)])
    deviation = errors.std(axis=0) / np.sqrt(len(errors))
    assert (abs(errors.mean(axis=0)) <= 4.5 * deviation + 1e-14).all()
    off, q = np.sum(errors**2, axis=1), max(1, n // d)
    a, b = PermK(n).mean_constants(d, n)
    assert a == b == ((n - q) / (q * (n - 1)) if n > 1 else 0.0)
    bound = a * (np.mean(np.sum(rows**2, axis=1)) - np.sum(rows.mean(axis=0) ** 2))
    noise = 4.5 * off.std() / np.sqrt(len(off)) + 1e-14
    assert off.mean() <= bound + noise
    if d >= n or n % d == 0:
        assert off.mean() >= bound - noise


def test_a_client_alone_has_every_coordinate_equally_often():
    """In n of 4000 rounds over n, though five clients cannot share seven coordinates alike."""
    times = np.zeros(7)
    for round in range(4000):
        indices, values = PermK(5).compress(np.ones(7), Key(1, round, 2)).coordinates()
        assert (np.diff(indices) > 0).all() and values.tolist() == [5.0] * len(values)
        times[indices] += 1
    assert (abs(times - 800) <= 5 * np.sqrt(4000 * 0.2 * 0.8)).all()


def test_positions_cost_about_the_logarithm_of_the_clients():
    """log₂(e·n) bits and less than one more, so that a float64 number with its place has fewer than 9 bytes."""
    n, d = 10, 20000
    message = PermK(n).compress(np.ones(d), Key(0))
    bits = 8 * (message.length - 4 - 8 * message.count) / message.count
    assert message.count == d // n and np.log2(np.e * n) - 1 < bits < np.log2(np.e * n) + 1


@dataclass(frozen=True)
class Unshuffled(PermK):
    """The first clients have more coordinates, every round: the mean of equal vectors is right, no client unbiased."""

    name = "permk-unshuffled"

    def compress(self, v, key):
        order = key.of(SERVER).generator().permutation(len(v))
        indices = np.sort(order[key.client % self.n_clients :: self.n_clients])
        return nf.Sparse(indices, v[indices] * self.n_clients)

    def compress_all(self, vectors, keys):
        return [self.compress(v, key) for v, key in zip(vectors, keys, strict=True)]


class Apart(PermK):
    """Every client draws for itself."""

    name = "permk-apart"

    def compress(self, v, key):
        return super().compress(v, key.to(str(key.client)))

    def compress_all(self, vectors, keys):
        return [self.compress(v, key) for v, key in zip(vectors, keys, strict=True)]


@pytest.mark.parametrize("kind, words", [(Unshuffled, "Unbiased"), (Apart, "clients whose vectors are alike")])
def test_the_check_sees_clients_who_do_not_draw_together(kind, words):
    with pytest.raises(AssertionError, match=words):
        check_compressor(kind(3), dim=4, draws=40)


@pytest.mark.parametrize("smoothness", [[1.0], [2.0, 2.0], [1.0, 5.0], [0.0, 0.1, 7.0], list(range(9))])
def test_a_bound_on_the_hessian_variance(smoothness):
    """min_c √mean max{c, L_i - c}² as a search finds it; no ‖avg H_i² - H̄²‖ with 0 ⪯ H_i ⪯ L_i I is above it²."""
    each, draw = np.array(smoothness), np.random.default_rng(0)
    grid = np.linspace(0, max(smoothness), 1001)
    searched = min(np.sqrt(np.mean(np.maximum(c, each - c) ** 2)) for c in grid)
    bound = hessian_variance(each, convex=True)
    assert searched - grid[1] <= bound <= searched + 1e-12  # by no more than c does it change with c
    plus = np.sqrt(np.mean(each**2))
    assert plus / 2 - 1e-12 <= bound <= plus and hessian_variance(each, convex=False) == pytest.approx(plus)
    for _ in range(200):
        turns = np.linalg.qr(draw.standard_normal((len(each), 2, 2)))[0]
        hessians = each[:, None, None] * (turns * draw.integers(0, 2, (len(each), 1, 2))) @ turns.transpose(0, 2, 1)
        apart = np.mean(hessians @ hessians, axis=0) - hessians.mean(axis=0) @ hessians.mean(axis=0)
        assert np.linalg.eigvalsh(apart)[-1] <= bound**2 * (1 + 1e-12)


def test_clients_that_agree_make_gradient_descent_of_marina():
    """The same rows on each client: every mean of changes is exact, whatever is drawn."""
    own = dense_glm(n=1, dim=14)
    rows, labels, _ = own.host
    problem = glm(np.tile(rows, (5, 1)), np.tile(labels, 5), [len(labels)] * 5, own.loss)
    a = solve(problem, nf.marina(compressor="permk", p=0.2, stepsize=0.3), rounds=15, tol=0.0)
    b = solve(problem, nf.gd(stepsize=0.3), rounds=15, tol=0.0)
    assert abs(a.x - b.x).max() <= 1e-12 * abs(b.x).max()


@pytest.mark.parametrize(
    "name, compressor, times", [("marina", "permk", 1), ("ef21", "permk:4", 1), ("fednl", "permk:4", 1), ("gd", "", 0)]
)
def test_the_seed_travels_once(name, compressor, times):
    """Eight bytes to each client in the set-up; nothing where nobody draws together."""
    settings = {"compressor": compressor} if compressor else {}
    table = solve(dense_glm(), METHODS[name](**settings), rounds=3, tol=0.0, seed=7).ledger.table()
    rows = [row for row in table if row["part"] == "seed"]
    found = [(row["client"], row["direction"], row["phase"], row["bytes"], row["messages"]) for row in rows]
    assert found == [(client, "down", "setup", 8, 1) for client in range(4 * times)]


def test_clients_draw_by_the_seed_that_came(monkeypatch):
    """Told another seed than the server's own, they draw by it: nothing but the coins is the server's here."""
    problem, method = dense_glm(), METHODS["marina"](compressor=PermK(), p=1e-9, stepsize=0.3)
    own, other = (solve(problem, method, rounds=6, tol=0.0, seed=seed).x for seed in (7, 8))
    monkeypatch.setattr(Session, "_seed_message", lambda self: nf.Dense(np.array([8.0])))
    told = solve(problem, method, rounds=6, tol=0.0, seed=7).x
    assert told.tolist() == other.tolist() != own.tolist()


def test_what_cannot_be_is_refused():
    problem = dense_glm(n=4)
    for make, words in (
        (lambda: METHODS["marina"](compressor=PermK(7)), "permk:7: given 7 clients, and the problem has 4"),
        (lambda: METHODS["ef21"](compressor=PermK()), "permk: among how many clients.*permk:16"),
        (lambda: METHODS["pp-marina"](compressor=PermK()), "whose clients draw together: use marina"),
        (lambda: METHODS["diana"](compressor=PermK(4)), "permk:4: its clients draw together"),
        (lambda: METHODS["adiana"](compressor=PermK(4)), "permk:4: its clients draw together"),
        (lambda: METHODS["ef-bv"](compressor=PermK(4)), "permk:4: its clients draw together"),
        (lambda: PermK(-1), "permk: given -1 clients"),
        (lambda: PermK(2.5), "permk: given 2.5 clients"),
    ):
        with pytest.raises(ValueError, match=words):
            make().resolved(problem)
    with pytest.raises(ValueError, match="seed: given 9007199254740993, must be at most 9007199254740992"):
        solve(problem, METHODS["marina"](compressor=PermK(), stepsize=0.1), rounds=1, seed=2**53 + 1)


def test_what_stands_around_it_knows_that_clients_draw_together():
    for outer in (Rounded(PermK(3), "float32"), Contracted(PermK(3))):
        assert outer.correlated and outer.for_clients(3) == outer
    assert Rounded(PermK(3), "float32").mean_constants(9, 3) == (1.0, 1.0)
    assert not nf.RandK(3).correlated and nf.RandK(3).mean_constants(12, 2) == (1.5, 0.0)
