"""EControl: its bound and the limit of η, both derived here, and a floor that does not feel how clients differ."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from exact_problems import BROKEN, KEPT, PROBLEMS, gaps, quadratic, solved, squares, used

import newtonfl as nf
from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Dense
from newtonfl.components.gradient.oracle import Memoryless
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key

N, DIM = 5, 20


@dataclass(frozen=True)
class Overshoot(nf.Compressor):
    """C(v) = (1 + q)v: it contracts by 1 - q² and no more, in the worst direction for EControl's recursion."""

    q: float

    def contract(self, size):
        return nf.Contractive(1.0 - self.q**2)

    def compress(self, v, key):
        return Dense((1.0 + self.q) * v)


@dataclass(frozen=True)
class Noisy(Memoryless):
    """∇f_i and Gaussian noise that knows nothing of the clients' data."""

    sigma: float

    def draw(self, state, point, context):
        noise = [context.key.of(int(i)).generator().standard_normal(point.problem.dim) for i in point.problem.clients]
        return point.gradient + self.sigma * np.stack(noise), state

    def parameters(self):
        return {"batch": "full"}


def gain(delta, eta):
    """G, and the largest η."""
    q = np.sqrt(1.0 - delta)
    return q / (1.0 - q - eta * (1.0 + q) / 2.0), 2.0 * (1.0 - q) / (1.0 + q)


@pytest.mark.data
@pytest.mark.parametrize("where", PROBLEMS)
@pytest.mark.parametrize("start", ["gradient", "zero"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_bound(where, start, share):
    """mean ‖∇f‖² ≤ 2(f(x⁰) - f*)/(γT) + G²·mean ‖∇f_i(x⁰)‖²/T (from zero) at γ = 1/(L + L̃G): see EControlRule."""
    known, k = PROBLEMS[where](), KEPT[where]
    delta = k / known.problem.dim
    eta = share * gain(delta, 0.0)[1]
    settings = {} if share == 0.5 else {"eta": eta}  # half of the largest is the default
    result = solved(known, nf.econtrol(compressor=nf.TopK(k), init=start, **settings), 40)
    large, _ = gain(delta, eta)
    gamma = 1.0 / (known.smooth + known.plus * large)
    assert used(result) == pytest.approx(gamma, rel=2e-5)
    first = large**2 * np.mean(np.sum(known.gradients**2, axis=1)) if start == "zero" else 0.0
    assert squares(result) <= 2.0 * gaps(known, result)[0] / gamma + first


@pytest.mark.parametrize("q", [0.5, 0.7, 0.8])
@pytest.mark.parametrize("share, falls", [(0.0, True), (0.5, True), (0.8, True), (1.3, False)])
def test_the_largest_eta(q, share, falls):
    """2(1-q)/(1+q): of one target, sent again and again, the errors vanish below it, and need not beyond."""
    space, target = Coordinates(np.full(3, DIM)), Blocks.of(list(np.random.default_rng(0).standard_normal((3, DIM))))
    mechanism = nf.EControl(Overshoot(q), share * gain(1.0 - q**2, 0.0)[1])
    memory = mechanism.init_memory(target.replaced(0.0 * target.values))
    for k in range(600):
        memory = mechanism.send(memory, target, space, np.arange(3), Key(0, k)).memory
    off = np.abs(memory.estimate.values - target.values).max()
    assert (off < 1e-6) if falls else (off > 1e3)


def test_half_and_more_diverges_where_the_default_arrives():
    known = quadratic()
    for eta in (0.5, 1.0):
        result = solved(known, nf.econtrol(compressor=nf.TopK(1), stepsize=0.05, eta=eta), 300)
        assert result.reason in BROKEN or result.history[-1].gradient_norm > 100.0 * result.history[0].gradient_norm
    result = solved(known, nf.econtrol(compressor=nf.TopK(1), stepsize=0.05), 300)
    assert result.history[-1].gradient_norm < 1e-3 * result.history[0].gradient_norm
    with pytest.raises(
        ValueError, match=r"eta: given 0.5, and errors are known to stay bounded below 2\(1-q\)/\(1\+q\)"
    ):
        solved(known, nf.econtrol(compressor=nf.TopK(1), eta=0.5), 1)


def test_its_floor_does_not_feel_how_clients_differ():
    """f_i = a_i/2·‖x - c_i‖² with Σa_ic_i = 0: from whole gradients the path is one for all ζ, noise and all.

    Error feedback's floor rises with ζ: the paper's first picture, in small.
    """
    draw = np.random.default_rng(2)
    a, v = 1.0 + np.arange(N) / N, draw.standard_normal((N, DIM))
    v -= a @ v / a.sum()

    def end(method, zeta, rounds=200):
        problem = nf.FromFunctions(
            N, DIM,
            lambda i, x: a[i] / 2 * np.sum((x - zeta * v[i]) ** 2),
            lambda i, x: a[i] * (x - zeta * v[i]),
            lambda i, x: a[i] * np.eye(DIM),
        )  # fmt: skip
        noisy = replace(method, gradient=replace(method.gradient, oracle=Noisy(0.1)))
        return nf.solve(problem, noisy, x0=np.ones(DIM), rounds=rounds, tol=0.0).x

    control = nf.econtrol(compressor=nf.TopK(2), stepsize=0.02)
    classical = nf.error_feedback(compressor=nf.TopK(2), stepsize=0.02)
    near, far = end(control, 0.0), end(control, 100.0)
    assert 1e-3 < np.linalg.norm(near) < 0.2 and np.abs(far - near).max() < 1e-9
    assert np.linalg.norm(end(classical, 0.0)) < 0.2 and np.linalg.norm(end(classical, 100.0)) > 10.0
