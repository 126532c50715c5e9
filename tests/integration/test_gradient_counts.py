"""The history counts the gradients that clients compute for the method: what a round takes, and nothing else."""

import numpy as np
import pytest

import newtonfl as nf

CLIENTS, ROWS = 8, 20


def problem():
    generator = np.random.default_rng(3)
    rows, labels = generator.normal(size=(CLIENTS * ROWS, 6)), generator.choice([-1.0, 1.0], CLIENTS * ROWS)
    return nf.from_arrays(rows, labels, clients=CLIENTS, l2=0.1)


def counted(method, rounds=5, **settings):
    history = nf.solve(problem(), method, rounds=rounds, tol=0.0, **settings).history
    return [record.gradients for record in history]


@pytest.mark.parametrize("method", ["gd", "ef21", "newton", "newton-3pc", "bl1", "giant", "m-fac,stepsize=0.1"])
def test_one_a_round(method):
    assert counted(method) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "method", ["ef21-pp,participation=uniform:2", "fednl-pp,participation=uniform:2", "bl3,participation=uniform:2"]
)
def test_who_is_away_computes_none(method):
    assert counted(method) == [0, 1, 1.25, 1.5, 1.75, 2]  # round 0 asks all


def test_a_minibatch_is_its_share_of_the_rows():
    assert counted("ef21-sgdm,batch=5,stepsize=0.1") == [0, 0.25, 0.5, 0.75, 1, 1.25]
    assert counted("ef21-sgdm,batch=50,stepsize=0.1") == [0, 1, 2, 3, 4, 5]


def test_of_its_own_coin_a_client_computes_one_where_it_sends_one():
    """BL2's clients throw their own: about every second one, and never more than one a round."""
    steps = np.diff(counted("bl2,gradient_p=0.5,participation=all", rounds=40))
    assert steps[0] == 1 and set(np.unique(steps * CLIENTS % 1)) == {0} and 0.4 < steps[1:].mean() < 0.6


def test_adiana_asks_two_and_keeps_the_one_at_its_anchor():
    """p = 1: w moves in every round, and is asked from the next one on; the one at w = x⁰ is the set-up's."""
    assert counted("adiana,p=1") == [1, 1, 3, 5, 7, 9]
    assert counted("adiana,p=1e-9") == [1, 1, 2, 3, 4, 5]


def test_dingo_computes_them_at_trial_points():
    assert counted("dingo", rounds=1)[1] >= 2


def test_diagnostics_and_monitors_compute_none_for_the_method():
    seen = nf.solve(problem(), "gd", rounds=5, tol=0.0, rtol=1e-30, monitors=[nf.monitors.DistanceTo(np.zeros(6))])
    assert [record.gradients for record in seen.history] == [0, 1, 2, 3, 4, 5]


def test_the_solve_after_begins_at_nothing_and_a_resumed_one_goes_on(tmp_path):
    same = problem()
    for _ in range(2):
        assert nf.solve(same, "gd", rounds=2, tol=0.0).history[-1].gradients == 2
    whole = counted("bl2,gradient_p=0.5", rounds=9)
    assert counted("bl2,gradient_p=0.5", rounds=4, checkpoint=tmp_path) == whole[:5]
    assert counted("bl2,gradient_p=0.5", rounds=9, checkpoint=tmp_path) == whole


def test_a_comparison_tells_them_and_draws_over_them(tmp_path):
    found = nf.compare(problem(), ["gd", "adiana"], rounds=4, accuracy=1e-3)
    assert found.costs("gradients", 1e-1)["gd"] == found.costs("rounds", 1e-1)["gd"]
    assert "gradients" in str(found).splitlines()[0] and "gradients" in found.rows()[0]
    found.plot("gradients").canvas.draw()


def test_a_history_of_an_older_version_has_none():
    line = nf.solve(problem(), "gd", rounds=0).history[0].to_json().replace('"gradients": 0.0, ', "")
    record = nf.Record.from_json(line)
    assert record.gradients is None and "gradients" not in line
