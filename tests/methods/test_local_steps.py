"""Methods with local steps: floors where they are, none where theory has none, rates, and the gradients they take."""

from __future__ import annotations

import local_methods as L
import numpy as np
import pytest
from benchmark_programs import program
from reference_data import need
from unlike_clients import RIDGE, D, N, unlike

import newtonfl as nf
from newtonfl.comm.coding import WireError
from newtonfl.comm.messages import Dense
from newtonfl.core.random import SERVER, Key
from newtonfl.methods import Announcement


def errors(method, rounds, **settings):
    """‖x - x*‖² by round."""
    distance = nf.monitors.DistanceTo(unlike().x_star)
    result = nf.solve(unlike().problem, method, rounds=rounds, tol=0.0, monitors=[distance], **settings)
    return result.history.column("distance") ** 2


def test_the_clients_are_unlike():
    slopes = [L.gradient(unlike().p, unlike().x_star, i) for i in range(N)]
    kappa = unlike().each / RIDGE
    assert np.mean(np.linalg.norm(slopes, axis=1)) > 0.3 and kappa.max() / kappa.min() > 8


def test_fedavg_has_a_floor_that_falls_with_the_step_and_one_step_has_none():
    floors = [errors(nf.fedavg(steps=5, stepsize=f"theory*{c}"), int(400 / c))[-1] for c in (1, 0.25)]
    assert 1e-5 < floors[1] < 0.3 * floors[0]
    assert errors(nf.fedprox(steps=5, prox=5.0), 600)[-1] < floors[0]
    assert errors(nf.fedavg(steps=1), 1500)[-1] < 1e-12


@pytest.mark.parametrize("participation", ["all", "uniform:3"])
def test_control_variates_leave_none(participation):
    assert errors(nf.scaffold(steps=5, stepsize="theory*40", participation=participation), 1500)[-1] < 1e-12


@pytest.mark.parametrize(
    ("method", "rounds"),
    [("scallion,compressor=randk:5", 1500), ("scafcom,compressor=topk:5", 1500), ("scaffnew", 500), ("gradskip", 500),
     ("gradskip-plus", 1200),
     ("i-scaffnew", 500), ("vr-proxskip,batch=4", 1200), ("compressed-scaffnew", 700), ("tamuna", 900),
     ("locodl,compressor=randk:5", 1200), ("5gcs", 900), ("5gcs-cc,compressor=randk:5", 3000), ("5gcs-ab", 900)],
)  # fmt: skip
def test_they_reach_the_minimiser(method, rounds):
    assert errors(method, rounds).min() < 1e-18


def test_scaffnews_rate():
    """E Ψ after t steps is at most (1 - min{γμ, p²})^t Ψ⁰, and so is the distance's part of it; of 40 draws."""
    method, steps = nf.scaffnew(p=0.2), 60
    gamma, seeds = 1 / unlike().each.max(), range(40)
    stars = [L.gradient(unlike().p, unlike().x_star, i) for i in range(N)]
    first = N * (unlike().x_star @ unlike().x_star) + (gamma / 0.2) ** 2 * sum(s @ s for s in stars)
    ends = []
    for seed in seeds:
        taken = np.cumsum([Key(seed, k, SERVER).to("steps").generator().geometric(0.2) for k in range(steps)])
        rounds = int(np.searchsorted(taken, steps, side="right"))  # the exchanges within so many steps
        bound = (1 - min(gamma * RIDGE, 0.04)) ** taken[rounds - 1] * first
        ends.append(N * errors(method, rounds, seed=seed)[rounds] / bound)
    assert np.mean(ends) < 1.0


@pytest.mark.data
def test_scaffnew_counts_what_the_authors_program_counted():
    """w8a, f - f* ≤ 1e-4 and 1e-6: the exchanges of their log, with the log's numbers of local steps."""
    need("w8a")
    with program("local_steps") as local_steps:
        problem, gamma, p = local_steps.setting("w8a", 2000)
        method = local_steps.AsLogged(gamma, name="scaffnew", p=p)
        reached = local_steps.reached(problem, method, nf.optimum(problem)[1], accuracies=(1e-4, 1e-6))
        assert reached[:, 0].tolist() == list(local_steps.LOGGED["w8a", 2000][:2]) == [32, 87]


def test_gradskips_clients_compute_what_their_conditioning_asks_for():
    """Between exchanges client i computes 1/(1 - q_i(1 - p)) gradients on average, and the exchanges stay as few."""
    kappa = unlike().each / RIDGE
    p, q = 1 / np.sqrt(kappa.max()), (1 - 1 / kappa) / (1 - 1 / kappa.max())
    rounds = 400
    last = nf.solve(unlike().problem, "gradskip", rounds=rounds, tol=0.0).history[-1]
    taken = last.gradients / last.round  # it may end where nothing is left but rounding
    expected = np.mean(1 / (1 - q * (1 - p)))
    assert abs(taken / expected - 1) < 0.08 and expected < 0.85 * np.sqrt(kappa.max())
    skipped, all_of_them = errors("gradskip", 250), errors("scaffnew", 250)
    reached = [int(np.argmax(path < 1e-10)) for path in (skipped, all_of_them)]
    assert 0 < reached[0] < 1.4 * reached[1]


def test_gradskip_plus_with_a_clients_coin_for_its_compressor_is_gradskip():
    p, gamma = unlike().p, 1 / unlike().each.max()

    def heads(i, k, step):
        return (i + k * step) % 3 != 0

    def coin(X, i, k, step):
        return X if heads(i, k, step) else 0 * X

    steps = [3, 1, 4, 1, 5, 9, 2, 6]
    skip = L.gradskip(p, np.ones(D), 8, gamma, 0.2, steps.__getitem__, heads)
    plus = L.gradskip_plus(p, np.ones(D), 8, gamma, 0.2, steps.__getitem__, coin)
    assert np.abs(np.stack(skip) - np.stack(plus)).max() < 1e-13


def test_gradskip_plus_takes_the_step_of_its_compressor():
    """With 1/max L_i it runs away here; 1/max L_i·(1 + (1/p² - 1)/2) for half the coordinates is stable."""
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(80, 6)) * np.geomspace(1.0, 0.03, 6)
    problem = nf.from_arrays(rows, generator.normal(size=80), "squared", clients=4, l2=1e-3)
    method = nf.gradskip_plus(compressor="randk:1")
    path = nf.solve(problem, method, rounds=400, tol=0.0).history.column("gradient_norm")
    assert path[-1] < 0.5 * path[0] and path.max() < 3 * path[0]
    long = nf.gradskip_plus(compressor="randk:1", stepsize=1 / float(problem.client_smoothness.max() + 1e-3))
    assert nf.solve(problem, long, rounds=400, tol=0.0).history.column("gradient_norm").max() > 100 * path[0]


def test_tamuna_with_the_mean_that_is_heard_next_stalls():
    """The exact form takes the x̄ of the round that a client was in; with the one that it hears next Σh_i leaves 0."""
    p, s, c, rounds = 0.1, 2, 4, 1500
    gamma = 1 / unlike().each.max()

    def sample(k):
        return np.sort(Key(0, k, SERVER).to("participation").generator().choice(N, c, replace=False))

    def steps(k):
        return int(Key(0, k, SERVER).to("steps").generator().geometric(p))

    def dealt(k):
        return Key(0, k, SERVER).to("mask").generator().permutation(c)

    late = L.tamuna(unlike().p, np.zeros(D), rounds, gamma, p, s, steps, sample, dealt, late=True)
    exact = errors(nf.tamuna(p=p, s=s, participation=f"uniform:{c}", stepsize=gamma), rounds)
    assert exact[-1] < 1e-17 and np.sum((late[-1] - unlike().x_star) ** 2) > 1e-4


@pytest.mark.parametrize(
    "method", ["compressed-scaffnew", "tamuna,participation=all", "tamuna,participation=uniform:7"]
)
def test_a_mask_of_more_clients_than_ones_leaves_some_silent(method):
    """With c > sd some columns have no ones: their clients send nothing in that round."""
    generator = np.random.default_rng(2)
    rows = generator.normal(size=(9 * 6, 2))
    problem = nf.from_arrays(rows, np.sign(rows @ [1.0, -2.0] + generator.normal(size=54)), clients=9, l2=0.1)
    x_star, _ = nf.optimum(problem)
    assert np.sum((nf.solve(problem, method, rounds=1500, tol=0.0).x - x_star) ** 2) < 1e-24


def test_what_cannot_be_is_refused():
    free = nf.from_arrays(np.eye(6), np.array([1.0, -1, 1, -1, 1, -1]), clients=3, l2=0.0)
    for method, why in (
        ("scaffnew", "theory needs a μ above 0"),
        ("5gcs", "needs a μ above 0"),
        ("5gcs-ab", "5gcs-ab: needs a μ above 0"),
        ("locodl", "its g is a part of the ridge"),
    ):
        with pytest.raises(ValueError, match=why):
            nf.solve(free, method)
    with pytest.raises(ValueError, match="s: given 9 with 4 clients"):
        nf.solve(unlike().problem, nf.tamuna(s=9, participation="uniform:4"))
    with pytest.raises(ValueError, match=r"s: given 2\.5, must be a whole number"):
        nf.compressed_scaffnew(s=2.5)
    with pytest.raises(ValueError, match="uniform:100: must be a whole number of clients"):
        nf.solve(unlike().problem, nf.tamuna(participation="uniform:100"))
    with pytest.raises(TypeError, match="participation: given 3, must be a Participation"):
        nf.fedavg(participation=3)
    with pytest.raises(ValueError, match="allowed are all and uniform:c"):
        nf.solve(unlike().problem, nf.tamuna(participation="independent:0.5"))
    with pytest.raises(ValueError, match=r"q: given 1\.5"):
        nf.gradskip(q=1.5)
    with pytest.raises(ValueError, match="p: given 1e-06, must be at least 2e-05"):
        nf.scaffnew(p=1e-6)
    for steps in (0, 10**7):
        with pytest.raises(ValueError, match=f"steps: given {steps}"):
            nf.fedavg(steps=steps)
    with pytest.raises(ValueError, match="is not unbiased"):
        nf.solve(unlike().problem, nf.locodl(compressor="topk:2"))


@pytest.mark.parametrize("steps", [0.0, -3.0, 2.5, 1e7, 1e300])
def test_a_number_of_steps_that_nobody_should_take_is_refused(steps):
    """A well-formed packet of another content must not keep a client busy for ever."""
    method, problem = nf.scaffnew().resolved(unlike().problem), unlike().problem
    _, clients = method.init_clients(problem, np.zeros(D), Key(0))
    parts = {"model": Dense(np.zeros(D)), "steps": Dense(np.array([steps])), "stepsize": Dense(np.array([0.1, 1.0]))}
    with pytest.raises(WireError, match="local steps, must be 1 to 1000000"):
        method.respond(clients, Announcement(0, parts), problem, Key(0, 0))
