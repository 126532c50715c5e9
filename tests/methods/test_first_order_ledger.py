"""The papers' bits of first-order methods, as the ledger and the history count them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from first_order_cases import CASES, ZERO, ours
from first_order_setting import GAMMA, D, N, coin, made, run, sample, setting
from played import SEED

from newtonfl.comm.messages import Choice
from newtonfl.compressors import Natural, RandK, TopK
from newtonfl.methods import Uniform
from newtonfl.solver.solve import solve

pytestmark = pytest.mark.data


def heads(p: float, rounds: int) -> int:
    return sum(coin("gradient coin", p)(k) for k in range(1, rounds))


R = 9
WHOLE = 32 * D

# name: (preset, settings, formula bits a client up, and down, in R rounds)
COUNTED: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "gd": ("gd", {}, R * WHOLE, R * WHOLE),
    "ef21": ("ef21", {"compressor": TopK(4)}, WHOLE + (R - 1) * 32 * 4, R * WHOLE),
    "ef21, zero": ("ef21", {**ZERO, "compressor": TopK(4)}, R * 32 * 4, R * WHOLE),
    "ef21-plus": ("ef21-plus", {"compressor": TopK(4)}, WHOLE + (R - 1) * 32 * 4, R * WHOLE),
    "ef21-w": ("ef21-w", {"compressor": TopK(4)}, WHOLE + (R - 1) * 32 * 4, R * WHOLE + 32),  # and n·w_i
    "ef21-bc": (  # γ, the first direction, and changes of it; of the last round's nobody hears
        "ef21-bc", {"compressor": TopK(4), "down": TopK(6)}, WHOLE + (R - 1) * 32 * 4, 32 + WHOLE + (R - 2) * 32 * 6
    ),
    "ef21-bc, zero": (
        "ef21-bc", {**ZERO, "compressor": TopK(4), "down": TopK(6)}, R * 32 * 4, 32 + (R - 1) * 32 * 6
    ),
    "3pc-v1": ("3pc-v1", {"compressor": TopK(4)}, R * WHOLE, R * WHOLE),
    "3pc-v2": ("3pc-v2", {"compressor": TopK(4), "first": RandK(3)}, WHOLE + (R - 1) * 32 * (4 + 3), R * WHOLE),
    "3pc-v4": ("3pc-v4", {"compressor": TopK(4), "first": TopK(3)}, WHOLE + (R - 1) * 32 * (4 + 3), R * WHOLE),
    "3pc-v5": (
        "3pc-v5", {"compressor": TopK(4), "p": 0.4},
        WHOLE + heads(0.4, R) * WHOLE + (R - 1 - heads(0.4, R)) * 32 * 4, R * WHOLE,
    ),
    "marina": (
        "marina", {"compressor": RandK(4), "p": 0.4},
        WHOLE + heads(0.4, R) * WHOLE + (R - 1 - heads(0.4, R)) * 32 * 4, R * WHOLE,
    ),
    "dasha": ("dasha", {"compressor": RandK(4)}, WHOLE + (R - 1) * 32 * 4, R * WHOLE),
    "diana": ("diana", {"compressor": RandK(4)}, R * 32 * 4, R * WHOLE),
    "diana, natural": ("diana", {"compressor": Natural()}, R * 9 * D, R * WHOLE),
    "adiana": (  # two messages up, and w down where it has moved
        "adiana", {"compressor": RandK(4), "p": 0.3}, 2 * R * 32 * 4,
        (R + sum(coin("anchor coin", 0.3)(k) for k in range(R - 1))) * WHOLE,
    ),
    "error-feedback": ("error-feedback", {"compressor": TopK(4)}, R * 32 * 4, R * WHOLE),
    "econtrol": ("econtrol", {"compressor": TopK(4)}, WHOLE + (R - 1) * 32 * 4, R * WHOLE),
    "econtrol, zero": ("econtrol", {**ZERO, "compressor": TopK(4)}, R * 32 * 4, R * WHOLE),
    "clip21": ("clip21", {"tau": 0.1}, R * WHOLE, R * WHOLE),
    "clip21-sgd2m": ("clip21-sgd2m", {}, R * WHOLE, R * WHOLE),
    "dore": (  # x⁰ is known: the first residual is none, and told all the same
        "dore", {"compressor": RandK(4), "down": Natural(), "alpha": 0.1, "beta": 0.4, "eta": 0.0},
        R * 32 * 4, R * 9 * D,
    ),
    "m-fac": ("m-fac", {}, R * WHOLE, R * WHOLE),
    "m-fac, topk": ("m-fac", {"compressor": TopK(4)}, WHOLE + (R - 1) * 32 * 4, R * WHOLE),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_the_papers_bits(name):
    preset, settings, up, down = COUNTED[name]
    ledger = run(preset, R, stepsize=0.1, **settings).ledger
    assert (ledger.up.formula_bits == up).all() and (ledger.down.formula_bits == down).all()
    assert not ledger.up.setup_formula_bits.any() and not ledger.down.setup_formula_bits.any()


def test_a_sample_is_counted_for_those_in_it():
    ledger = run("ef21-pp", R, compressor=TopK(4), participation=Uniform(8), stepsize=0.1).ledger
    took = np.zeros(N, int)
    for k in range(1, R):
        took[sample(8)(k)] += 1
    assert (ledger.up.formula_bits == WHOLE + took * 32 * 4).all()
    assert (ledger.down.formula_bits == WHOLE + took * WHOLE).all()


@pytest.mark.parametrize("name", ["adacgd", "adacgd, zero, inside", "adacgd, bidirectional"])
def test_the_history_counts_adacgds_levels(name):
    """Cumulative, of all clients; the first round's whole gradients are of no level."""
    s, (preset, settings, _) = setting(), CASES[name]
    history = solve(s.problem, made(preset, **settings), x0=s.start, rounds=R, tol=0.0, seed=SEED).history
    up, down = [history[0].levels_up], [history[0].levels_down]
    counts = {"up": np.zeros(9, int), "down": np.zeros(9, int)}
    for announcement, replies in ours(name)[1][:R]:
        for way, parts in (("up", [*replies.parts]), ("down", [announcement.to_all])):
            for told in (m for each in parts for m in each.values()):
                if isinstance(told, Choice):
                    counts[way][told.level] += 1
        for way, found in (("up", up), ("down", down)):
            some = np.flatnonzero(counts[way])
            found.append(tuple(counts[way][: some[-1] + 1].tolist()) if len(some) else None)
    assert [record.levels_up for record in history] == up[:1] + up[1:] and up[0] is None
    assert [record.levels_down for record in history] == down and down[0] is None
    spoken = R if "zero" in name else R - 1
    assert sum(history[-1].levels_up) == N * spoken
    assert (history[-1].levels_down is not None) == ("bidirectional" in name)
    if "bidirectional" in name:  # the first is whole, and nobody hears of the last
        assert sum(history[-1].levels_down) == R - 2
    for before, after in pairwise(record.levels_up or () for record in history):
        assert all(b >= a for a, b in zip(before, after, strict=False))


def test_adacgds_bits_are_those_of_its_levels():
    levels = (TopK(2), TopK(8), TopK(16))
    result = run("adacgd", R, levels=levels, stepsize=GAMMA)
    used = result.history[-1].levels_up
    bits = N * WHOLE + 32 * sum(count * k for count, k in zip(used, (0, 2, 8, 16), strict=False))
    assert result.ledger.up.formula_bits.sum() == bits
