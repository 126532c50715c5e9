"""First-order methods downwards: what the server sends, to whom, and what a client that was away is sent."""

from __future__ import annotations

import first_order as F
import numpy as np
import pytest
from first_order_cases import ours
from first_order_setting import GAMMA, ROUNDS, D, N, coin, drawn, made, setting

from newtonfl.comm.messages import Nothing
from newtonfl.components.model.sent import ExactModel
from newtonfl.compressors import Natural, RandK


@pytest.mark.data
def test_a_lazy_server_is_silent_and_speaks():
    for name in ("clag, zero, down", "ef21-bc, cbag"):
        told = [announcement.to_all["change"] for announcement, _ in ours(name)[1][1:]]
        assert 0 < sum(isinstance(m, Nothing) for m in told) < ROUNDS - 1


@pytest.mark.data
def test_adacgd_uses_its_levels_downwards():
    told = [announcement.to_all["change"] for announcement, _ in ours("adacgd, bidirectional")[1][2:]]
    assert {m.level for m in told} == {0, 1, 2, 3}


@pytest.mark.data
@pytest.mark.parametrize("name", ["artemis, two-sided", "artemis, randk down, inside"])
def test_who_comes_back_is_told_what_it_missed_or_where_all_stand(name):
    """One direction, several, or x: whichever is enough and shortest."""
    told, away, last = set(), set(), np.full(N, 0)
    for k, (announcement, replies) in enumerate(ours(name)[1][1:], 1):
        assert set(announcement.to_one) == set(replies.clients) and not announcement.to_all
        for i, parts in announcement.to_one.items():
            (word,) = parts
            missed = k - last[i]
            assert (word == "change") == (missed == 1)
            if word == "missed":
                assert len(parts[word].parts) == missed
                assert len(parts[word].payload()) <= 2 + 8 * D  # a count of parts, and no more than x
            told.add(word)
            away.add(int(missed))
            last[i] = k
    assert told == {"change", "missed", "model"} and max(away) >= 4


@pytest.mark.data
@pytest.mark.parametrize("name, p", [("adiana", 0.3), ("adiana, theory's p, inside", 4 / 9 * (np.sqrt(5) - 1))])
def test_adianas_anchor_is_told_where_it_has_moved(name, p):
    """Where the coin of the round before fell on heads."""
    told = ["anchor" in announcement.to_all for announcement, _ in ours(name)[1]]
    assert told == [False, *(coin("anchor coin", p)(k) for k in range(ROUNDS - 1))]
    assert {True, False} == set(told[2:])
    assert {tuple(sorted(parts)) for _, replies in ours(name)[1] for parts in replies.parts} == {("change", "gradient")}


@pytest.mark.data
@pytest.mark.parametrize("name", ["dore", "dore, theory's rates, inside"])
def test_dores_clients_are_not_where_the_server_is(name):
    models: list[np.ndarray] = []
    p, x = setting().p, setting().start
    if name == "dore":
        F.dore(p, x, ROUNDS, drawn(RandK(20)), drawn(Natural(), "model", 1), GAMMA, 0.3, 0.7, 0.4, models=models)
    else:
        F.dore(
            p, x, ROUNDS, drawn(RandK(20)), drawn(RandK(30), "model", 1), GAMMA, 1 / 4, 3 / 8, 0.2, inside=True,
            models=models,
        )  # fmt: skip
    assert np.linalg.norm(np.stack(models) - ours(name)[0], axis=1).min() > 1e-3


def test_exact_down_is_the_iterate_itself():
    for name in ("ef21", "ef21-bc", "artemis", "clag", "gd"):
        assert made(name, down="exact").model == ExactModel() == made("gd").model
