"""A user's functions are compared with differences before a solve: wrong ones are named, sound ones never accused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import newtonfl as nf

A = np.array([[2.0, 0.5, 0.0], [0.5, 3.0, 0.1], [0.0, 0.1, 1.0]])


def value(i, x):
    return float((1 + i) * (0.5 * x @ A @ x + np.log(np.cosh(x)).sum() + x[0]))


def gradient(i, x):
    return (1 + i) * (A @ x + np.tanh(x) + np.eye(3)[0])


def hessian(i, x):
    return (1 + i) * (A + np.diag(1 / np.cosh(x) ** 2))


def wrong_gradient(i, x):
    return gradient(i, x) + (0.1 * np.eye(3)[2] if i == 2 else 0.0)


def wrong_hessian(i, x):
    return hessian(i, x) + (np.diag([0.0, 0.02, 0.0]) if i == 1 else 0.0)


X0 = np.array([0.3, -0.2, 0.5])


def test_the_message_says_which_client_function_and_entry():
    right, off = gradient(2, X0)[2], wrong_gradient(2, X0)[2]
    problem = nf.FromFunctions(4, 3, value, wrong_gradient, hessian)
    with pytest.raises(ValueError, match=r"gradient\(2, x\): entry 2 is ") as caught:
        nf.solve(problem, nf.newton(), x0=X0)
    assert f"is {off:.6g} at the start" in str(caught.value) and f"differences give {right:.6g};" in str(caught.value)
    right, off = hessian(1, X0)[1, 1], wrong_hessian(1, X0)[1, 1]
    with pytest.raises(ValueError, match=r"hessian\(1, x\): entry \(1, 1\) is ") as caught:
        nf.solve(nf.FromFunctions(4, 3, value, gradient, wrong_hessian), nf.newton(), x0=X0)
    assert f"is {off:.6g} at" in str(caught.value) and f"of gradient, whose differences give {right:.6g};" in str(
        caught.value
    )


def test_it_can_be_left_out_and_changes_no_bits_and_no_count():
    wrong = nf.FromFunctions(4, 3, value, wrong_gradient, wrong_hessian, verify=False)
    assert nf.solve(wrong, nf.newton(), rounds=2).rounds == 2
    checked, plain = (nf.FromFunctions(4, 3, value, gradient, hessian, verify=verify) for verify in (True, False))
    one, two = (nf.solve(problem, nf.newton_3pc(), x0=X0) for problem in (checked, plain))
    assert one.x_sha256 == two.x_sha256 and [r.hessians for r in one.history] == [r.hessians for r in two.history]
    assert checked.hessian_counts.tolist() == plain.hessian_counts.tolist()


def test_a_start_is_looked_at_once_and_a_few_directions_are_enough():
    calls = []

    def counted(i, x):
        calls.append(i)
        return value(i, x)

    problem = nf.FromFunctions(2, 3, counted, gradient, hessian)
    nf.solve(problem, nf.newton(), rounds=0, x0=X0)
    first = len(calls)
    nf.solve(problem, nf.newton(), rounds=0, x0=X0)
    assert len(calls) - first <= 4 and first <= 2 * 40


def test_a_start_at_the_minimiser_takes_as_few_calls():
    """Both are zero there, and no relative error is known of zero."""
    calls = []

    def counted(i, x):
        calls.append(i)
        return 0.5 * float(x @ A @ x)

    nf.FromFunctions(1, 3, counted, lambda i, x: A @ x, lambda i, x: A).verify(np.zeros(3))
    assert len(calls) <= 40


def test_naming_the_entry_takes_no_search_anew():
    calls = []

    def counted(i, x):
        calls.append(i)
        return value(i, x)

    with pytest.raises(ValueError, match="entry 2"):
        nf.FromFunctions(4, 3, counted, wrong_gradient, hessian).verify(X0)
    assert len(calls) <= 1000


def test_one_wrong_entry_of_many_is_found():
    d = 3000
    scale = np.linspace(1, 2, d)
    calls = []

    def many(i, x):
        calls.append(1)
        return 0.5 * float(scale @ (x - 1) ** 2)

    def slopes(i, x):
        off = np.zeros(d)
        off[1234] = 0.5
        return scale * (x - 1) + off

    with pytest.raises(ValueError, match=r"gradient\(0, x\): entry 1234 is "):
        nf.FromFunctions(1, d, many, slopes, lambda i, x: np.zeros((d, d))).verify(np.zeros(d))
    assert len(calls) < 10000  # one coordinate after the other would be 13 calls for each


def rows_problem(seed, right=True):
    """A loss of rows, one of five, in units of x and of f between 1e-8 and 1e8, written out with SciPy."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(1, 40)), int(rng.integers(1, 6))
    units, size = 10.0 ** rng.uniform(-8, 8) if seed % 2 else 1.0, 10.0 ** rng.uniform(-8, 8)
    B, y = rng.normal(size=(n, d)) / units, rng.choice([-1.0, 1.0], n)
    expit, delta = scipy.special.expit, rng.choice([0.01, 1.0, 100.0])
    value, slope, bend = [
        (lambda t: np.logaddexp(0, -y * t), lambda t: -y * expit(-y * t), lambda t: expit(t) * expit(-t)),
        (lambda t: (t - y) ** 2 / 2, lambda t: t - y, np.ones_like),
        (
            lambda t: scipy.special.huber(delta, t - y),
            lambda t: np.clip(t - y, -delta, delta),
            lambda t: (np.abs(t - y) <= delta) * 1.0,
        ),
        (
            lambda t: np.maximum(1 - y * t, 0) ** 2,
            lambda t: -2 * y * np.maximum(1 - y * t, 0),
            lambda t: 2.0 * (y * t < 1),
        ),
        (lambda t: np.exp(t) - (y + 1) * t, lambda t: np.exp(t) - (y + 1), np.exp),
    ][seed % 5]
    x, off = rng.choice([0.0, 1.0]) * rng.normal(size=d) * units, 1.0 if right else 1.1
    return (
        nf.FromFunctions(
            1, d, lambda i, z: size * value(B @ z).mean(), lambda i, z: off * size * B.T @ slope(B @ z) / n,
            lambda i, z: off * size * (B.T * bend(B @ z)) @ B / n,
        ),
        x,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_sound_functions_are_never_accused_and_wrong_ones_are(seed):
    """Huber's kinks are met exactly too: δ = 1, labels of 1 and a start at zero."""
    problem, x = rows_problem(seed)
    problem.verify(x)
    problem, x = rows_problem(seed, right=False)
    with pytest.raises(ValueError, match=r"gradient\(0, x\)"):
        problem.verify(x)


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("bend", [0.0, 0.5, 1.0])
def test_a_kink_at_the_start_is_no_fault(size, bend):
    """max(0, x)²/2 at 0: its curvature is 0, 1, or any number between; and abs(x) has any slope from -1 to 1."""
    d = 4
    nf.FromFunctions(
        1, d, lambda i, x: size * np.sum(np.maximum(x, 0) ** 2) / 2, lambda i, x: size * np.maximum(x, 0),
        lambda i, x: size * np.diag(np.where(x > 0, 1.0, np.where(x < 0, 0.0, bend))),
    ).verify(np.zeros(d))  # fmt: skip
    nf.FromFunctions(
        1, d, lambda i, x: size * np.abs(x).sum(), lambda i, x: size * np.where(x == 0, bend, np.sign(x)),
        lambda i, x: np.zeros((d, d)),
    ).verify(np.zeros(d))  # fmt: skip


def in_float32(i, x, B, y):
    z = x.astype(np.float32)
    return B @ z, -y * scipy.special.expit(-y * (B @ z)), z


@pytest.mark.parametrize("seed", range(40))
def test_functions_of_single_precision_are_not_accused(seed):
    """At short steps they do not change at all, and zero looks exact."""
    rng = np.random.default_rng([5, seed])
    n, d = int(rng.integers(2, 60)), int(rng.integers(1, 6))
    B, y = rng.normal(size=(n, d)).astype(np.float32), rng.choice([-1, 1], n).astype(np.float32)
    x = rng.normal(size=d)

    def mean(i, x):
        return np.logaddexp(np.float32(0), -y * in_float32(i, x, B, y)[0]).mean()

    def slope(i, x, off=1.0):
        return np.float32(off) * (B.T @ in_float32(i, x, B, y)[1]) / np.float32(n)

    def bend(i, x):
        t = in_float32(i, x, B, y)[0]
        return (B.T * (scipy.special.expit(t) * scipy.special.expit(-t))) @ B / np.float32(n)

    nf.FromFunctions(1, d, mean, slope, bend).verify(x)
    with pytest.raises(ValueError, match=r"gradient\(0, x\)"):
        nf.FromFunctions(1, d, mean, lambda i, x: slope(i, x, 1.5), bend).verify(x)


def test_functions_that_draw_at_random_are_not_accused():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1000, 3))

    def some():
        return rows[rng.integers(0, 1000, 20)]

    def slope(i, x):
        B = some()
        return B.T @ (B @ x - 1) / 20

    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=3)
        noisy = nf.FromFunctions(
            1, 3, lambda i, x: value(i, x), lambda i, x: gradient(i, x) + 1e-2 * rng.normal(size=3), hessian
        )
        noisy.verify(x)
        nf.FromFunctions(1, 3, lambda i, x: np.mean((some() @ x - 1) ** 2) / 2, slope, hessian).verify(x)


def test_what_a_function_raises_away_from_the_start_ends_nothing():
    """Any error of its own, and a wrong gradient is still found."""

    def guarded(i, x):
        assert (x > 0).all()
        return -np.log(x).sum()

    x = np.array([1.0, 1e-3, 3.0])
    sound = nf.FromFunctions(1, 3, guarded, lambda i, x: -1 / x, lambda i, x: np.diag(x**-2))
    sound.verify(x)
    with pytest.raises(ValueError, match=r"gradient\(0, x\)"):
        nf.FromFunctions(1, 3, guarded, lambda i, x: -1.1 / x, lambda i, x: np.diag(x**-2)).verify(x)


def test_what_cannot_be_known_is_not_judged():
    """Functions that raise, are not finite, or have another shape: the solve says so where it meets them."""

    def no_hessian(i, x):
        raise NotImplementedError("not for gradient descent")

    first_order = nf.FromFunctions(2, 3, value, gradient, no_hessian)
    assert nf.solve(first_order, nf.gd(stepsize=0.1), rounds=3).rounds == 3
    logarithm = nf.FromFunctions(1, 1, lambda i, x: -np.log(x[0]), lambda i, x: -1 / x, lambda i, x: np.diag(x**-2.0))
    logarithm.verify(np.array([1e-9]))
    logarithm.verify(np.array([0.0]))
    with pytest.raises(ValueError, match=r"gradient\(0, x\): returned shape \(2,\)"):
        nf.solve(nf.FromFunctions(2, 3, value, lambda i, x: x[:2], hessian), nf.newton())
    penalised = nf.FromFunctions(2, 3, value, gradient, wrong_hessian, nonconvex=0.1)  # which has no Hessians
    penalised.verify(X0)
