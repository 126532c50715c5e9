"""5GCS-AB: the potential that its theory is about, 5GCS as one of its cases, and what asking by L_m is worth."""

from __future__ import annotations

import local_methods as L
import numpy as np
import pytest
from unlike_clients import RIDGE, D, N, unlike

import newtonfl as nf
from newtonfl.methods.local.five_gcs_ab import probabilities


def squares(problem, method, rounds, seed=0):
    """‖x^k - x*‖² by round."""
    distance = nf.monitors.DistanceTo(nf.optimum(problem)[0])
    run = nf.solve(problem, method, rounds=rounds, tol=0.0, seed=seed, monitors=[distance])
    return run.history.column("distance") ** 2


def alike_but_for_one(scale):
    """Ten clients' rows of the same law, those of the first `scale` times as long."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(10, 30, D)) * np.r_[scale, np.ones(9)][:, None, None]
    labels = np.sign(np.einsum("nmd,nd->nm", rows, generator.normal(size=(10, D))))
    return nf.from_arrays(rows.reshape(-1, D), labels.ravel(), clients=10, l2=1e-2)


@pytest.mark.parametrize("stepsize", ["theory", "theory*5", "theory*0.2"])
def test_its_potential_falls(stepsize):
    """E‖x^k - x*‖² is below γΨ⁰(1 - rate)^k at any γ where the local minimisers are as good as exact; of 12 seeds."""
    p, x_star, each, k = unlike().p, unlike().x_star, unlike().each, 40
    likely = probabilities(each, 0.4)
    gamma = 3 / 16 * np.min(likely / np.sqrt(each)) * np.sqrt(N / (likely.sum() * RIDGE))
    gamma *= float(stepsize.partition("*")[2] or 1)
    tau, smooth = likely / (2 * gamma * (likely.sum() + 1 - likely)), (each - RIDGE) / N
    rate = min(2 * gamma * RIDGE / (1 + 2 * gamma * RIDGE), np.min(likely * tau / (tau + smooth / 2)))
    duals = np.array([L.gradient(p, x_star, m) - RIDGE * x_star for m in range(N)]) / N  # u⁰ is 0
    first = x_star @ x_star + gamma * np.sum((1 / tau + 2 / smooth) / likely * np.sum(duals**2, axis=1))
    method = nf.five_gcs_ab(share=0.4, stepsize=stepsize, steps=100)
    paths = [squares(unlike().problem, method, k, seed) for seed in range(12)]
    assert nf.solve(unlike().problem, method, rounds=1).theory[0].startswith(f"stepsize {gamma:.6g}")
    assert np.all(np.mean(paths, axis=0) <= first * (1 - rate) ** np.arange(k + 1)) and rate > 1e-3


def test_where_all_are_asked_and_alike_it_is_5gcs():
    generator = np.random.default_rng(1)
    rows = np.tile(generator.normal(size=(20, D)), (4, 1))
    problem = nf.from_arrays(rows, np.sign(generator.normal(size=80)), clients=4, l2=0.05)
    ab, plain = (squares(problem, m, 20) for m in (nf.five_gcs_ab(share=1.0), nf.five_gcs(participation="all")))
    assert np.abs(ab / plain - 1).max() < 1e-9 and plain[-1] < 1e-2 * plain[0]


def test_asking_the_one_heavy_client_more_often_pays():
    """To ‖x - x*‖² ≤ 1e-10 it takes less than half of the rounds of as many clients drawn alike."""
    problem = alike_but_for_one(10.0)
    rounds = [
        int(np.argmax(squares(problem, m, 500) <= 1e-10)) for m in ("5gcs-ab,share=0.2", "5gcs,participation=uniform:2")
    ]
    assert 0 < rounds[0] < 0.5 * rounds[1]


def test_no_client_is_asked_less_than_half_as_often_as_all_are_on_average():
    for share in (0.05, 0.3, 0.8, 1.0):
        likely = probabilities(np.array([1e-12, 1.0, 1.0, 1e4, 1e12]), share)
        assert likely.min() >= share / 2 and likely.max() <= 1.0 and likely.mean() == pytest.approx(share, rel=1e-12)
        assert np.argmax(likely[::-1]) == 0 or share == 1.0
    assert np.allclose(probabilities(np.full(5, 3.0), 0.3), 0.3)


def test_a_client_may_be_silent_for_twice_as_long_as_on_average():
    assert nf.five_gcs_ab(share=0.2).expected_silent_rounds(7) == pytest.approx(1 / 0.1 - 1)


@pytest.mark.parametrize("method", ["5gcs", "5gcs-cc", "5gcs-ab"])
def test_theorys_local_steps_bear_a_large_condition_number(method):
    """κ is 7e4: theory's steps do what many do, where a few make f grow manyfold."""
    generator = np.random.default_rng(0)
    rows, labels = generator.normal(size=(200, 10)), np.sign(generator.normal(size=200))
    problem = nf.from_arrays(rows, labels, clients=10, l2=1e-5)

    def path(steps):
        return nf.solve(problem, f"{method},steps={steps}", rounds=300, tol=0.0).history.column("f")

    by_theory, few, many = map(path, ("theory", 2, 100))
    assert by_theory.max() < 1.5 * many.max() and few.max() > 5.0 * many.max()
    assert abs(by_theory[-1] - many[-1]) < 0.05 * (many[0] - many[-1])


def test_theorys_local_steps():
    """⌈L_F/(eτ)⌉ with τ = 1/(2nγ), and no more than somebody can have meant."""
    gamma, smooth = 3.0, (unlike().each.max() - RIDGE) / N
    steps = int(np.ceil(smooth * 2 * N * gamma / np.e))
    one, other = (nf.solve(unlike().problem, nf.five_gcs(stepsize=gamma, steps=k), rounds=9) for k in ("theory", steps))
    assert one.x_sha256 == other.x_sha256 and steps > 5
    with pytest.raises(ValueError, match=r"5gcs-ab: steps=theory asks for .*e\+\d+ local steps with this stepsize"):
        nf.solve(unlike().problem, nf.five_gcs_ab(stepsize=1e9), rounds=2)
    with pytest.raises(ValueError, match="steps: given 0"):
        nf.five_gcs(steps=0)


def test_what_it_needs_is_named():
    functions = (lambda i, x: x @ x / 2, lambda i, x: x, lambda i, x: np.eye(3))
    lacking = nf.FromFunctions(2, 3, *functions, l2=0.1)
    with pytest.raises(ValueError, match="5gcs-ab: its local steps need the clients' L_i, and this problem has none"):
        nf.solve(lacking, "5gcs-ab,stepsize=0.1")
    enough = nf.FromFunctions(2, 3, *functions, l2=0.1, client_smoothness=1.0)  # of f's own L nothing is said
    assert nf.solve(enough, "5gcs-ab", x0=np.ones(3), rounds=300).converged


@pytest.mark.parametrize("share", [0.0, 1.5, True, "half", np.nan])
def test_a_share_is_refused(share):
    with pytest.raises(ValueError, match="share: given "):
        nf.five_gcs_ab(share=share)
