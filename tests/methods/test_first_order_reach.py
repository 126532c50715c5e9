"""The first-order cases reach what their settings are for: both sides of a coin, silence and speech, every level."""

from __future__ import annotations

import numpy as np
import pytest
from first_order_cases import CASES, ours, pairs_clipped
from first_order_setting import GAMMA, ROUNDS, N, coin, setting

from newtonfl.comm.messages import Choice, Dense, Levels, Message, Nothing, Sparse

pytestmark = pytest.mark.data


def messages(name: str) -> list[list[Message]]:
    """What clients told of their gradients, round by round."""
    return [[m for parts in replies.parts for m in parts.values()] for _, replies in ours(name)[1]]


@pytest.mark.parametrize("name", ["ef21-plus", "ef21-plus, zero, inside"])
def test_ef21_plus_chooses_either(name):
    """In one round and in the course of the rounds: told as an increment, and anew."""
    words = [{word for parts in replies.parts for word in parts} for _, replies in ours(name)[1]]
    assert {"anew", "gradient"} in words[1:]
    of_client = [{tuple(replies.parts[i]) for _, replies in ours(name)[1][1:]} for i in range(N)]
    assert any(len(each) == 2 for each in of_client)


@pytest.mark.parametrize("name", ["lag, zero, inside", "clag", "clag, zero, down"])
def test_lazy_clients_are_silent_and_speak(name):
    silent = np.array([[isinstance(m, Nothing) for m in told] for told in messages(name)])
    rounds = silent[1:].mean(axis=1)
    assert ((rounds > 0) & (rounds < 1)).any()  # some, in one round
    assert (silent.any(axis=0) & ~silent.all(axis=0)).sum() > N / 2  # most clients do either in their time
    assert not silent[0].any()


@pytest.mark.parametrize(
    "name, least",
    [
        ("adacgd", {0, 1, 3, 4, 5, 6}),  # a fiftieth of the 40 entries is one, as before it
        ("adacgd, zero, inside", {0, 1, 2, 3}),
        ("adacgd, levels draw", {0, 1, 2, 3}),
        ("adacgd, bidirectional", {0, 1, 2, 3}),
    ],
)
def test_adacgd_uses_its_levels(name, least):
    assert {m.level for told in messages(name) for m in told if isinstance(m, Choice)} >= least


@pytest.mark.parametrize("name, tau", [("clip21", 0.02), ("clip21, short steps, inside", 0.2)])
def test_some_messages_are_clipped_and_some_are_not(name, tau):
    lengths = np.array([[np.linalg.norm(m.coordinates()[1]) for m in told] for told in messages(name)])
    full = lengths > tau * (1.0 - 1e-12)
    assert full.any(axis=0).sum() > N / 2 and not full.all() and lengths.max() <= tau * (1.0 + 1e-12)


def test_the_server_clips_some_messages_and_others_not():
    cut: list[bool] = []
    pairs_clipped(setting().p, setting().start, GAMMA, cut)
    assert 0.1 < np.mean(cut) < 0.5 and len(cut) % 8 == 0


COINS = [
    name for name, (preset, _, _) in CASES.items() if preset in ("3pc-v5", "marina", "pp-marina", "byz-vr-marina-pp")
]


@pytest.mark.parametrize("name", COINS)
def test_coins_fall_on_either_side(name):
    faces = [bool(announcement.coins) for announcement, _ in ours(name)[1]]
    assert faces[0] and 3 <= sum(faces[1:]) <= ROUNDS - 4
    said = {face: set() for face in (True, False)}
    for face, told in zip(faces, messages(name), strict=True):
        said[face] |= {type(m) for m in told}
    assert said[True] == {Dense} and said[False] in ({Sparse}, {Levels})


PARTIAL = {"ef21-pp": 8, "ef21-pp, half, randk, zero, inside": 10, "artemis, one-sided": 8, "artemis, two-sided": 5}


@pytest.mark.parametrize("name", PARTIAL)
def test_a_sample_takes_part_and_another_the_next_time(name):
    took = [tuple(replies.clients) for _, replies in ours(name)[1]]
    assert len(took[0]) == N and {len(each) for each in took[1:]} == {PARTIAL[name]}
    assert len(set(took)) == ROUNDS and set(sum(took[1:], ())) == set(range(N))


@pytest.mark.parametrize("name, tau", [("pp-marina", 8), ("pp-marina, half, inside", 10), ("byz-vr-marina-pp", 8)])
def test_on_tails_a_sample_tells_and_all_hear(name, tau):
    for k, (announcement, replies) in enumerate(ours(name)[1]):
        everyone = k == 0 or coin("gradient coin", 0.2)(k)
        assert announcement.recipients is None and len(replies.clients) == (N if everyone else tau)
