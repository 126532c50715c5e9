"""Presets: each equals its paper's box, transcribed densely, in cases that reach what their settings are for."""

from __future__ import annotations

import numpy as np
import pytest
from preset_cases import ALL, CASES, ROUNDS, D, ours, setting

pytestmark = pytest.mark.data


LINE_SEARCHES = ["fednl-ls", "fednl-ls, topk", "newton-3pc-ls", "newton-3pc-ls, topk"]
"""Within 1e-5 of x* trial steps differ in f by its rounding, which then decides: there both need only be as near."""


def disagreement(name: str) -> float:
    """The largest |x^k - transcription's x^k| of a case."""
    rows, away, _, transcription = CASES[name]
    s = setting(rows)
    x, theirs = ours(name)[0], np.stack(transcription(s, s.optimum + away))
    if name in LINE_SEARCHES:
        near = np.linalg.norm(theirs - s.optimum, axis=1) < 1e-5
        assert 10 < np.argmax(near) < ROUNDS - 1 and np.linalg.norm((x - s.optimum)[near], axis=1).max() < 1e-5
        x, theirs = x[~near], theirs[~near]
    return float(np.abs(x - theirs).max())


@pytest.mark.parametrize("name", CASES)
def test_a_preset_is_its_papers_box(name):
    assert disagreement(name) <= 1e-9


SAID = {  # how many numbers clients tell of a Hessian, in some round or other; 0: nothing
    "newton-3pc, lag, shift": {0, ALL},
    "newton-3pc, clag, project": {0, D},
    "newton-3pc, cbag, shift": {D},
    "newton-3pc, adacgd, shift": {10, 40, 160},
}


def told(name: str) -> set[int]:
    """How many numbers messages about Hessians had in a case."""
    return {len(message.coordinates()[1]) for each in ours(name)[1] for message in each.told}


@pytest.mark.parametrize("name", SAID)
def test_the_mechanism_says_more_and_less(name):
    assert told(name) >= SAID[name]


@pytest.mark.parametrize("name", ["newton-3pc, cbag, shift", "newton-3pc, bag, project"])
def test_both_faces_of_the_coin_are_seen(name):
    assert {bool(each.told) for each in ours(name)[1][1:]} == {True, False}


def test_the_adaptive_k_adapts():
    found = told("newton-3pc, adaptive-topk, project")
    assert len(found) > 20 and max(found) == 800


def test_dingo_meets_cases_1_and_3():
    assert {"product" in each.announced for each in ours("dingo, θ = 8")[1]} == {True, False}


@pytest.mark.parametrize("name", ["newton-zero, line search", "fednl-ls", "newton-3pc-ls"])
def test_line_searches_ask_again(name):
    """Three trial steps an exchange: some rounds need more than those."""
    assert {each.exchanges > 2 for each in ours(name)[1]} == {True, False}
