"""First-order presets: each equals its paper's box, transcribed densely."""

from __future__ import annotations

from inspect import signature

import first_order as F
import numpy as np
import pytest
from first_order_cases import CASES, ours, theirs
from first_order_setting import GAMMA, ROUNDS, drawn, made, setting, weights
from played import SEED

from newtonfl.compressors import BiasedRounding
from newtonfl.registry import METHODS
from newtonfl.solver.solve import solve

pytestmark = pytest.mark.data


@pytest.mark.parametrize("name", CASES)
def test_a_preset_is_its_papers_box(name):
    assert np.abs(ours(name)[0] - theirs(name)).max() <= 1e-9


@pytest.mark.parametrize("name", CASES)
def test_thirty_rounds_get_somewhere(name):
    """What is compared is no standstill: the path goes on to the end, and it has not run away."""
    path = np.concatenate([setting().start[None], ours(name)[0]])
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert steps.max() > 0.05 and steps[-10:].max() > 1e-3 and np.abs(path).max() < 100.0


def test_every_first_order_preset_is_compared():
    first_order = {name for name, preset in METHODS.items() if "stepsize" in signature(preset).parameters}
    assert first_order == {preset for preset, _, _ in CASES.values()}


def test_the_presets_defaults_are_those_of_the_cases():
    """m-fac over clients, AdaCGD's six levels, a tenth of the entries, half of the clients."""
    given = METHODS["m-fac"]().parameters()
    assert (given["over"], given["algorithm"], given["compressor"]) == ("clients", "dynamic", "identity")
    assert METHODS["ef21-pp"]().parameters()["participation"] == "uniform:0.5"


def test_weights_come_from_the_problem_itself():
    s = setting()
    method = made("ef21-w", compressor=BiasedRounding(5))
    x = solve(s.problem, method, x0=s.start, rounds=ROUNDS, tol=0.0, seed=SEED).x
    path = F.ef21_w(s.p, s.start, ROUNDS, drawn(BiasedRounding(5)), GAMMA, weights())
    assert np.abs(x - path[-1]).max() <= 1e-9
