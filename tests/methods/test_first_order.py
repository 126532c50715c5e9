"""First-order presets: each equals its paper's box, transcribed densely; identities; theory's words; the count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from inspect import signature
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import first_order as F
import numpy as np
import pytest
import transcriptions as T
from cases import dense_glm, functions_problem, glm, sparse_glm
from played import SEED, iterates, played
from reference_data import logistic

from newtonfl import registry
from newtonfl.comm.messages import Choice, Dense, Levels, Message, Nothing, Sparse
from newtonfl.components.model.base import ExactModel
from newtonfl.compressors import (
    BiasedRounding,
    Compressor,
    Contracted,
    Contractive,
    Dithering,
    Identity,
    Natural,
    RandK,
    RankR,
    TopK,
    Unbiased,
)
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import SERVER, Key
from newtonfl.mechanisms import CBAG, CLAG, EF21, LAG, AdaCGD, Diana, ThreePCv3
from newtonfl.methods import All, Independent, Method, Trace, Uniform
from newtonfl.objectives.glm import GLM
from newtonfl.registry import METHODS
from newtonfl.solver.solve import Result, solve

ROUNDS = 30
N, D, M = 20, 40, 50
GAMMA = 1.0  # some 1/(4L): thirty rounds get somewhere
RIDGE = 1e-3


# ---- the library's own draws, for the transcriptions -----------------------------------------------------------------
# What a transcription does after the step of round k, DORE's model does at the beginning of round k + 1: `later`.


def coin(name: str, p: float) -> Callable[[int], bool]:
    """The server's coin of a round: "gradient coin", "model/coin"."""
    return lambda k: bool(Key(SEED, k, SERVER).to(name).generator().random() < p)


def sample(tau: int) -> Callable[[int], Any]:
    """Who takes part."""
    return lambda k: np.sort(Key(SEED, k, SERVER).to("participation").generator().choice(N, tau, replace=False))


def drawn(
    compressor: Compressor, purpose: str = "gradient", later: int = 0, scale: float = 1.0
) -> Callable[..., np.ndarray]:
    """A compressor of the library with its own keys, times `scale`."""

    def compress(X: np.ndarray, i: int | None, k: int) -> np.ndarray:
        key = Key(SEED, k + later, SERVER if i is None else i).to(purpose)
        indices, values = compressor.compress(X, key).coordinates()
        out = np.zeros_like(X)
        out[slice(None) if indices is None else indices] = scale * values
        return out

    return compress


def stochastic(batch: int) -> Callable[[np.ndarray, int, int], np.ndarray]:
    """The library's own minibatch gradients."""
    found: dict[int, np.ndarray] = {}

    def gradient(x: np.ndarray, i: int, k: int) -> np.ndarray:
        if i == 0:
            found[k] = setting().problem.at(x).sampled_gradient(batch, Key(SEED, k).to("gradient").to("batch"))
        return found[k][i]

    return gradient


# ---- the problem -----------------------------------------------------------------------------------------------------


@cache
def setting() -> SimpleNamespace:
    """syn40: the library's problem, the transcriptions', where paths begin, and theory's constants from its rows."""
    problem = logistic("syn40", N, M, D, RIDGE)
    rows, labels, _ = problem.host
    dense = T.Logistic(np.split(rows, N), np.split(labels, N), RIDGE)
    each = np.array([np.linalg.eigvalsh(own.T @ own)[-1] / (4 * M) for own in dense.rows])
    return SimpleNamespace(
        problem=problem,
        p=dense,
        start=2.0 * np.random.default_rng(1).standard_normal(D),
        L=float(np.linalg.eigvalsh(rows.T @ rows)[-1] / (4 * N * M)) + RIDGE,
        each=each,  # L_i less the ridge
    )


def made(name: str, **settings: Any) -> Method:
    """A preset with a stepsize that is a number, unless another is given."""
    return METHODS[name](**{"stepsize": GAMMA, **settings})


# ---- the presets and their papers' boxes -----------------------------------------------------------------------------

INSIDE: dict[str, Any] = {"ridge": "clients"}
ZERO: dict[str, Any] = {"init": "zero"}
C4 = T.top_k(4)
FIRST = "gradient/first"
Q8 = 8 / D  # what makes RandK(8) contract

# name: (preset, settings, the transcription of (p, x⁰, γ))
Box = Callable[[Any, np.ndarray, float], list[np.ndarray]]
CASES: dict[str, tuple[str, dict[str, Any], Box]] = {
    "gd": ("gd", {"stepsize": 3.0}, lambda p, x, g: F.gd(p, x, ROUNDS, g)),
    "gd, inside": ("gd", {**INSIDE, "stepsize": 3.0}, lambda p, x, g: F.gd(p, x, ROUNDS, g, inside=True)),
    "gd, told of by topk": (
        "gd", {"down": TopK(4)},
        lambda p, x, g: F.ef21_bc(p, x, ROUNDS, T.ef21(T.identity), T.ef21(C4), g, "zero"),
    ),
    "sgd": (
        "gd", {"batch": 4},
        lambda p, x, g: F.ef21_sgd(p, x, ROUNDS, T.identity, g, stochastic(4)),
    ),
    "accelerated-gd": (
        "accelerated-gd", {"stepsize": 3.0, "mu": 0.01},
        lambda p, x, g: F.accelerated_gd(p, x, ROUNDS, 1 / g, 0.01),
    ),
    "accelerated-gd, inside": (
        "accelerated-gd", {**INSIDE, "stepsize": 3.0, "mu": 0.001},
        lambda p, x, g: F.accelerated_gd(p, x, ROUNDS, 1 / g, 0.001, inside=True),
    ),
    "ef21": ("ef21", {"compressor": TopK(4)}, lambda p, x, g: F.three_point(p, x, ROUNDS, T.ef21(C4), g)),
    "ef21, inside": (
        "ef21", {**INSIDE, "compressor": TopK(4)},
        lambda p, x, g: F.three_point(p, x, ROUNDS, T.ef21(C4), g, inside=True),
    ),
    "ef21, randk": (
        "ef21", {"compressor": RandK(8)},
        lambda p, x, g: F.three_point(p, x, ROUNDS, T.ef21(drawn(RandK(8), scale=Q8)), g),
    ),
    "ef21, natural, zero": (
        "ef21", {**ZERO, "compressor": Natural()},
        lambda p, x, g: F.three_point(p, x, ROUNDS, T.ef21(drawn(Natural(), scale=8 / 9)), g, "zero"),
    ),
    "ef21-plus": (
        "ef21-plus", {"compressor": TopK(12), "stepsize": 6.0},
        lambda p, x, g: F.ef21_plus(p, x, ROUNDS, T.top_k(12), g),
    ),
    "ef21-plus, zero, inside": (
        "ef21-plus", {**INSIDE, **ZERO, "compressor": TopK(4), "stepsize": 6.0},
        lambda p, x, g: F.ef21_plus(p, x, ROUNDS, C4, g, "zero", inside=True),
    ),
    "ef21-w": (
        "ef21-w", {"compressor": TopK(4)}, lambda p, x, g: F.ef21_w(p, x, ROUNDS, C4, g, weights())
    ),
    "ef21-w, rounding, zero, inside": (  # no compressor that commutes with scaling
        "ef21-w", {**INSIDE, **ZERO, "compressor": BiasedRounding(5)},
        lambda p, x, g: F.ef21_w(p, x, ROUNDS, drawn(BiasedRounding(5)), g, weights(True), "zero", inside=True),
    ),
    "ef21-pp": (
        "ef21-pp", {"compressor": TopK(4), "participation": Uniform(8)},
        lambda p, x, g: F.ef21_pp(p, x, ROUNDS, C4, g, sample(8)),
    ),
    "ef21-pp, half, randk, zero, inside": (
        "ef21-pp", {**INSIDE, **ZERO, "compressor": RandK(8)},
        lambda p, x, g: F.ef21_pp(p, x, ROUNDS, drawn(RandK(8), scale=Q8), g, sample(10), "zero", inside=True),
    ),
    "ef21-bc": (
        "ef21-bc", {"compressor": TopK(4), "down": TopK(4)},
        lambda p, x, g: F.ef21_bc(p, x, ROUNDS, T.ef21(C4), T.ef21(C4), g),
    ),
    "ef21-bc, zero": (
        "ef21-bc", {**ZERO, "compressor": TopK(4), "down": TopK(6)},
        lambda p, x, g: F.ef21_bc(p, x, ROUNDS, T.ef21(C4), T.ef21(T.top_k(6)), g, "zero"),
    ),
    "ef21-bc, randk, inside": (
        "ef21-bc", {**INSIDE, "compressor": TopK(4), "down": RandK(20)},
        lambda p, x, g: F.ef21_bc(
            p, x, ROUNDS, T.ef21(C4), T.ef21(drawn(RandK(20), "model", scale=0.5)), g, inside=True
        ),
    ),
    "ef21-bc, cbag": (
        "ef21-bc", {"compressor": TopK(4), "down": CBAG(TopK(6), 0.5)},
        lambda p, x, g: F.ef21_bc(p, x, ROUNDS, T.ef21(C4), T.cbag(T.top_k(6), coin("model/coin", 0.5)), g),
    ),
    "ef21-hb": (
        "ef21-hb", {"compressor": TopK(4), "eta": 0.9, "stepsize": 0.25},
        lambda p, x, g: F.ef21_hb(p, x, ROUNDS, C4, g, 0.9),
    ),
    "ef21-sgd": (
        "ef21-sgd", {"compressor": TopK(4)}, lambda p, x, g: F.ef21_sgd(p, x, ROUNDS, C4, g, stochastic(16))
    ),
    "ef21-sgd, zero, inside": (
        "ef21-sgd", {**INSIDE, **ZERO, "compressor": TopK(4), "batch": 1, "stepsize": 0.1},
        lambda p, x, g: F.ef21_sgd(p, x, ROUNDS, C4, g, stochastic(1), "zero", inside=True),
    ),
    "ef21-sgdm": (
        "ef21-sgdm", {"compressor": TopK(4)}, lambda p, x, g: F.ef21_sgdm(p, x, ROUNDS, C4, g, 0.1, stochastic(16))
    ),
    "ef21-sgdm, zero, inside": (
        "ef21-sgdm", {**INSIDE, **ZERO, "compressor": TopK(4), "batch": 2, "eta": 0.4},
        lambda p, x, g: F.ef21_sgdm(p, x, ROUNDS, C4, g, 0.4, stochastic(2), "zero", inside=True),
    ),
    "lag, zero, inside": (
        "lag", {**INSIDE, **ZERO, "zeta": 16.0},
        lambda p, x, g: F.three_point(p, x, ROUNDS, T.lag(16.0), g, "zero", inside=True),
    ),
    "clag": (
        "clag", {"compressor": TopK(8), "zeta": 8.0},
        lambda p, x, g: F.three_point(p, x, ROUNDS, T.clag(T.top_k(8), 8.0), g),
    ),
    "clag, zero, down": (
        "clag", {**ZERO, "compressor": TopK(8), "zeta": 8.0, "down": CLAG(TopK(12), 4.0)},
        lambda p, x, g: F.ef21_bc(p, x, ROUNDS, T.clag(T.top_k(8), 8.0), T.clag(T.top_k(12), 4.0), g, "zero"),
    ),
    "3pc-v1, zero, inside": (
        "3pc-v1", {**INSIDE, **ZERO, "compressor": RandK(8)},
        lambda p, x, g: F.three_point(p, x, ROUNDS, T.v1(drawn(RandK(8), scale=Q8)), g, "zero", inside=True),
    ),
    "3pc-v2": (
        "3pc-v2", {"compressor": TopK(4), "first": RandK(8)},
        lambda p, x, g: F.three_point(p, x, ROUNDS, T.v2(drawn(RandK(8), FIRST), C4), g),
    ),
    "3pc-v3": (
        "3pc-v3", {"compressor": TopK(4), "inner": CLAG(TopK(8), 8.0)},
        lambda p, x, g: F.three_point(p, x, ROUNDS, T.v3(T.clag(T.top_k(8), 8.0), C4), g),
    ),
    "3pc-v3, inside, inner draws": (
        "3pc-v3", {**INSIDE, "compressor": RandK(8), "inner": EF21(Contracted(RandK(4)))},
        lambda p, x, g: F.three_point(
            p, x, ROUNDS, T.v3(T.ef21(drawn(RandK(4), "gradient/inner", scale=0.1)), drawn(RandK(8), scale=Q8)), g,
            inside=True,
        ),
    ),
    "3pc-v4, zero, first draws": (
        "3pc-v4", {**ZERO, "compressor": TopK(4), "first": RandK(8)},
        lambda p, x, g: F.three_point(p, x, ROUNDS, T.v4(drawn(RandK(8), FIRST, scale=Q8), C4), g, "zero"),
    ),
    "3pc-v5, randk, inside": (
        "3pc-v5", {**INSIDE, "compressor": RandK(8), "p": 0.5},
        lambda p, x, g: F.three_point(
            p, x, ROUNDS, T.v5(drawn(RandK(8), scale=Q8), coin("gradient coin", 0.5)), g, inside=True
        ),
    ),
    "adacgd": (
        "adacgd", {},
        lambda p, x, g: F.three_point(p, x, ROUNDS, T.adacgd([T.top_k(K) for K in (1, 1, 2, 4, 10, 20)], 2.0), g),
    ),
    "adacgd, zero, inside": (
        "adacgd", {**INSIDE, **ZERO, "levels": (TopK(2), TopK(8), TopK(16)), "zeta": 16.0},
        lambda p, x, g: F.three_point(
            p, x, ROUNDS, T.adacgd([T.top_k(K) for K in (2, 8, 16)], 16.0), g, "zero", inside=True
        ),
    ),
    "adacgd, levels draw": (
        "adacgd", {"levels": (RandK(20), RandK(32), Natural())},
        lambda p, x, g: F.three_point(
            p, x, ROUNDS,
            T.adacgd(
                [
                    drawn(RandK(20), "gradient/level 0", scale=0.5),
                    drawn(RandK(32), "gradient/level 1", scale=0.8),
                    drawn(Natural(), scale=8 / 9),
                ],
                2.0,
            ),
            g,
        ),
    ),
    "adacgd, bidirectional": (
        "adacgd", {"levels": (TopK(2), TopK(8), TopK(16)), "down": AdaCGD((TopK(1), TopK(6), TopK(20)), 4.0)},
        lambda p, x, g: F.ef21_bc(
            p, x, ROUNDS, T.adacgd([T.top_k(K) for K in (2, 8, 16)], 2.0),
            T.adacgd([T.top_k(K) for K in (1, 6, 20)], 4.0), g,
        ),
    ),
    "marina": (
        "marina", {"compressor": RandK(8), "p": 0.2},
        lambda p, x, g: F.marina(p, x, ROUNDS, drawn(RandK(8)), g, coin("gradient coin", 0.2)),
    ),
    "pp-marina": (
        "pp-marina", {"compressor": RandK(20), "p": 0.2, "participation": Uniform(8)},
        lambda p, x, g: F.pp_marina(p, x, ROUNDS, drawn(RandK(20)), g, coin("gradient coin", 0.2), sample(8)),
    ),
    "pp-marina, half, inside": (
        "pp-marina", {**INSIDE, "compressor": Natural(), "p": 0.2},
        lambda p, x, g: F.pp_marina(
            p, x, ROUNDS, drawn(Natural()), g, coin("gradient coin", 0.2), sample(10), inside=True
        ),
    ),
    "diana": (
        "diana", {**INSIDE, "compressor": RandK(8)},
        lambda p, x, g: F.diana(p, x, ROUNDS, drawn(RandK(8)), g, 1 / 5, inside=True),
    ),
    "ef-bv": (
        "ef-bv", {**INSIDE, "compressor": TopK(8), "lam": 0.7, "nu": 0.9},
        lambda p, x, g: F.ef_bv(p, x, ROUNDS, T.top_k(8), g, 0.7, 0.9, inside=True),
    ),
    "ef-bv, theory, randk": (  # η = 0, ω = 4: λ = 1/(1 + 4), ν = 1/(1 + 4/20)
        "ef-bv", {"compressor": RandK(8)}, lambda p, x, g: F.ef_bv(p, x, ROUNDS, drawn(RandK(8)), g, 1 / 5, 5 / 6)
    ),
    "ef-bv, theory, topk": (  # η = √(1 - 4/40), ω = 0: both 1/(1 - η) and so 1
        "ef-bv", {"compressor": TopK(4)},
        lambda p, x, g: F.ef_bv(p, x, ROUNDS, C4, g, *[min(1 / (1 - np.sqrt(0.9)), 1.0)] * 2),
    ),
    "artemis, one-sided": (
        "artemis", {"compressor": RandK(20), "down": "exact", "participation": Uniform(8), "stepsize": 0.5},
        lambda p, x, g: F.artemis(p, x, ROUNDS, drawn(RandK(20)), None, g, 0.5, sample(8)),
    ),
    "artemis, two-sided": (  # few enough, and down short enough, that some miss one round, some few, some many
        "artemis", {"compressor": RandK(20), "participation": Uniform(5), "stepsize": 0.5},
        lambda p, x, g: F.artemis(p, x, ROUNDS, drawn(RandK(20)), drawn(Natural(), "model"), g, 0.5, sample(5)),
    ),
    "artemis, randk down, inside": (
        "artemis", {**INSIDE, "compressor": Natural(), "alpha": 0.4, "down": RandK(10), "stepsize": 0.2},
        lambda p, x, g: F.artemis(
            p, x, ROUNDS, drawn(Natural()), drawn(RandK(10), "model"), g, 0.4, sample(10), inside=True
        ),
    ),
    "artemis, everybody": (
        "artemis", {"compressor": Dithering(), "alpha": 0.2, "participation": All()},
        lambda p, x, g: F.artemis(
            p, x, ROUNDS, drawn(Dithering()), drawn(Natural(), "model"), g, 0.2, lambda k: range(N)
        ),
    ),
    "dore": (
        "dore",
        {"compressor": RandK(20), "down": Natural(), "alpha": 0.3, "beta": 0.7, "eta": 0.4},
        lambda p, x, g: F.dore(
            p, x, ROUNDS, drawn(RandK(20)), drawn(Natural(), "model", 1), g, 0.3, 0.7, 0.4
        ),
    ),
    "dore, theory's rates, inside": (  # 1/(2(ω+1)): ω = 1 up, 1/3 down
        "dore", {**INSIDE, "compressor": RandK(20), "down": RandK(30), "eta": 0.2},
        lambda p, x, g: F.dore(
            p, x, ROUNDS, drawn(RandK(20)), drawn(RandK(30), "model", 1), g, 1 / 4, 3 / 8, 0.2, inside=True
        ),
    ),
    "adiana": (
        "adiana", {"compressor": RandK(8), "p": 0.3, "stepsize": 0.5},
        lambda p, x, g: F.adiana(
            p, x, ROUNDS, drawn(RandK(8)), drawn(RandK(8), "anchor"), coin("anchor coin", 0.3), **nesterov(g, 0.3, 4.0)
        ),
    ),
    "adiana, theory's p, inside": (  # ω = 1/8: p = (α/2)(√(20/(32ω)) - 1)
        "adiana", {**INSIDE, "compressor": Natural()},
        lambda p, x, g: F.adiana(
            p, x, ROUNDS, drawn(Natural()), drawn(Natural(), "anchor"), coin("anchor coin", 4 / 9 * (np.sqrt(5) - 1)),
            **nesterov(g, 4 / 9 * (np.sqrt(5) - 1), 1 / 8), inside=True,
        ),
    ),
    "error-feedback": (
        "error-feedback", {**INSIDE, "compressor": TopK(4)},
        lambda p, x, g: F.error_feedback(p, x, ROUNDS, C4, g, inside=True),
    ),
    **{
        f"m-fac, {over}, {algorithm}{told}": (
            "m-fac",
            {
                "over": over, "algorithm": algorithm, "window": window, "dampening": 0.05, "stepsize": 0.05, **more
            },
            lambda p, x, g, box=box, window=window, kwargs=kwargs: box(p, x, ROUNDS, g, window, 0.05, **kwargs),
        )
        for over, box, window in (("aggregate", F.m_fac, 8), ("clients", F.m_fac_clients, 50))
        for algorithm, told, more, kwargs in (
            ("dynamic", "", {}, {}),
            ("static", "", {}, {}),
            ("dynamic", ", topk", {"compressor": TopK(4)}, {"told": T.ef21(C4)}),
            ("static", ", topk, zero, inside", {**INSIDE, **ZERO, "compressor": TopK(4)},
             {"told": T.ef21(C4), "start": "zero", "inside": True}),
        )
    },
    "m-fac, clients, a window shorter than a round": (
        "m-fac", {"window": 7, "dampening": 0.05, "stepsize": 0.05},
        lambda p, x, g: F.m_fac_clients(p, x, ROUNDS, g, 7, 0.05),
    ),
}  # fmt: skip


def weights(inside: bool = False) -> np.ndarray:
    """EF21-W's w_i = L_i/ΣL_j; the ridge is part of L_i where it stands in f_i."""
    each = setting().each + (RIDGE if inside else 0.0)
    return each / each.sum()


def nesterov(eta: float, p: float, omega: float) -> dict[str, float]:
    """ADIANA's constants, μ being the ridge."""
    theta = min(0.25, np.sqrt(eta * RIDGE / p))
    gamma = eta / (2 * (theta + eta * RIDGE))
    return {
        "eta": eta, "theta1": theta, "theta2": 0.5, "alpha": 1 / (1 + omega), "beta": 1 - gamma * RIDGE, "gamma": gamma
    }  # fmt: skip


def theirs(name: str) -> np.ndarray:
    """The transcription's path."""
    _, settings, box = CASES[name]
    return np.stack(box(setting().p, setting().start, settings.get("stepsize", GAMMA)))


@cache
def ours(name: str) -> tuple[np.ndarray, list[Any]]:
    """The library's path, and of every round its announcement and replies."""
    s, (preset, settings, _) = setting(), CASES[name]
    known = {"client_smoothness": lambda: s.each, "strong_convexity": RIDGE}
    rounds = list(played(s.problem, made(preset, **settings), s.start, ROUNDS, **known))
    return np.stack([x for x, _ in rounds]), [heard[0] for _, heard in rounds]


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


# ---- the settings above reach what they are for ----------------------------------------------------------------------


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


def test_a_lazy_server_is_silent_and_speaks():
    for name in ("clag, zero, down", "ef21-bc, cbag"):
        told = [announcement.to_all["change"] for announcement, _ in ours(name)[1][1:]]
        assert 0 < sum(isinstance(m, Nothing) for m in told) < ROUNDS - 1


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


def test_adacgd_uses_its_levels_downwards():
    told = [announcement.to_all["change"] for announcement, _ in ours("adacgd, bidirectional")[1][2:]]
    assert {m.level for m in told} == {0, 1, 2, 3}


COINS = [name for name, (preset, _, _) in CASES.items() if preset in ("3pc-v5", "marina", "pp-marina")]


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


@pytest.mark.parametrize("name, tau", [("pp-marina", 8), ("pp-marina, half, inside", 10)])
def test_on_tails_a_sample_tells_and_all_hear(name, tau):
    for k, (announcement, replies) in enumerate(ours(name)[1]):
        everyone = k == 0 or coin("gradient coin", 0.2)(k)
        assert announcement.recipients is None and len(replies.clients) == (N if everyone else tau)


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


@pytest.mark.parametrize("name, p", [("adiana", 0.3), ("adiana, theory's p, inside", 4 / 9 * (np.sqrt(5) - 1))])
def test_adianas_anchor_is_told_where_it_has_moved(name, p):
    """Where the coin of the round before fell on heads."""
    told = ["anchor" in announcement.to_all for announcement, _ in ours(name)[1]]
    assert told == [False, *(coin("anchor coin", p)(k) for k in range(ROUNDS - 1))]
    assert {True, False} == set(told[2:])
    assert {tuple(sorted(parts)) for _, replies in ours(name)[1] for parts in replies.parts} == {("change", "gradient")}


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


def test_the_presets_defaults_are_those_of_the_cases():
    """m-fac over clients, AdaCGD's six levels, a tenth of the entries, half of the clients."""
    given = METHODS["m-fac"]().settings()
    assert (given["over"], given["algorithm"], given["compressor"]) == ("clients", "dynamic", "identity")
    assert METHODS["ef21-pp"]().settings()["participation"] == "uniform:0.5"


# ---- identities ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mute(Compressor):
    """Says nothing; that it is unbiased or contractive is a lie."""

    unbiased: bool = False

    def contract(self, size: int) -> Contractive | Unbiased:
        return Unbiased(0.0) if self.unbiased else Contractive(1e-9)

    def compress(self, v: np.ndarray, key: Key) -> Message:
        return Nothing()

    def compress_all(self, vectors: Blocks, keys: Any) -> list[Message]:
        return [Nothing() for _ in keys]


C = TopK(3)
ADDS = 1e-12  # sums in another order
EXACT = {"compressor": Identity()}

# name: ((preset, settings), (preset, settings), largest difference relative to the largest iterate; 0: the same bits)
IDENTITIES: dict[str, tuple[tuple[str, dict[str, Any]], tuple[str, dict[str, Any]], float]] = {
    "clag with ζ = 0 is ef21": (("clag", {"compressor": C, "zeta": 0.0}), ("ef21", {"compressor": C}), 0.0),
    "adacgd with one level and ζ = 0 is ef21": (
        ("adacgd", {"levels": (C,), "zeta": 0.0}), ("ef21", {"compressor": C}), 0.0
    ),
    "adacgd with one level is clag": (
        ("adacgd", {"levels": (C,), "zeta": 2.0}), ("clag", {"compressor": C, "zeta": 2.0}), 0.0
    ),
    "lag is clag with the identity": (("lag", {"zeta": 0.5}), ("clag", {**EXACT, "zeta": 0.5}), 0.0),
    "lag with ζ = 0 is gd": (("lag", {"zeta": 0.0}), ("gd", {}), ADDS),
    "marina with p = 1 is gd": (("marina", {"compressor": RandK(3), "p": 1.0}), ("gd", {}), ADDS),
    "marina with the identity is gd": (("marina", EXACT), ("gd", {}), ADDS),
    "pp-marina of all is marina": (
        ("pp-marina", {"compressor": RandK(3), "participation": Uniform(5)}), ("marina", {"compressor": RandK(3)}), 0.0
    ),
    "diana with the identity is gd": (("diana", EXACT), ("gd", {}), ADDS),
    "diana is ef-bv with ν = 1": (
        ("diana", {"compressor": RandK(3), "alpha": 0.2}),
        ("ef-bv", {"compressor": RandK(3), "lam": 0.2, "nu": 1.0}),
        0.0,
    ),
    "artemis of all, exact, is diana": (
        ("artemis", {"compressor": RandK(3), "down": "exact", "participation": All()}),
        ("diana", {"compressor": RandK(3)}),
        0.0,
    ),
    "dore with identities is gd": (
        ("dore", {**EXACT, "down": Identity(), "alpha": 1.0, "beta": 1.0, "eta": 1.0}), ("gd", {}), ADDS
    ),
    "ef21 with the identity is gd": (("ef21", EXACT), ("gd", {}), ADDS),
    "ef21-plus with the identity is gd": (("ef21-plus", EXACT), ("gd", {}), ADDS),
    "error feedback with the identity is gd": (("error-feedback", EXACT), ("gd", {}), ADDS),
    "3pc-v1 with the identity is gd": (("3pc-v1", EXACT), ("gd", {}), ADDS),
    "3pc-v4 with the identity is gd": (("3pc-v4", {"compressor": Identity(), "first": C}), ("gd", {}), ADDS),
    "3pc-v5 with p = 1 is gd": (("3pc-v5", {"compressor": C, "p": 1.0}), ("gd", {}), ADDS),
    "ef21-bc with the identity down is ef21": (
        ("ef21-bc", {"compressor": C, "down": Identity()}), ("ef21", {"compressor": C}), ADDS
    ),
    "ef21-bc with exact down is ef21": (
        ("ef21-bc", {"compressor": C, "down": "exact"}), ("ef21", {"compressor": C}), 0.0
    ),
    "ef21-w is ef21 for topk": (("ef21-w", {"compressor": C}), ("ef21", {"compressor": C}), ADDS),
    "ef21-pp of all is ef21": (
        ("ef21-pp", {"compressor": C, "participation": All()}), ("ef21", {"compressor": C}), 0.0
    ),
    "ef21-pp of n is ef21": (
        ("ef21-pp", {"compressor": C, "participation": Uniform(5)}), ("ef21", {"compressor": C}), 0.0
    ),
    "ef21-hb with η = 0 is ef21": (("ef21-hb", {"compressor": C, "eta": 0.0}), ("ef21", {"compressor": C}), 0.0),
    "ef21-sgd with all rows is ef21": (("ef21-sgd", {"compressor": C, "batch": 99}), ("ef21", {"compressor": C}), 0.0),
    "ef21-sgdm with η = 1 is ef21-sgd": (
        ("ef21-sgdm", {"compressor": C, "batch": 2, "eta": 1.0}), ("ef21-sgd", {"compressor": C, "batch": 2}), 0.0
    ),
    "3pc-v4 with a mute first is ef21": (
        ("3pc-v4", {"compressor": C, "first": Mute()}), ("ef21", {"compressor": C}), 0.0
    ),
    "3pc-v4 with a mute second is ef21": (
        ("3pc-v4", {"compressor": Mute(), "first": C}), ("ef21", {"compressor": C}), 0.0
    ),
    "3pc-v2 with a mute first is ef21": (
        ("3pc-v2", {"compressor": C, "first": Mute(True)}), ("ef21", {"compressor": C}), 0.0
    ),
    "3pc-v3 about ef21 is 3pc-v4": (
        ("3pc-v3", {"compressor": C, "inner": EF21(TopK(2))}), ("3pc-v4", {"compressor": C, "first": TopK(2)}), 0.0
    ),
    "ef-bv with λ = ν = 1 is ef21 from zero": (
        ("ef-bv", {"compressor": C, "lam": 1.0, "nu": 1.0}), ("ef21", {"compressor": C, "init": "zero"}), ADDS
    ),
    "adiana of all entries is adiana with the identity": (
        ("adiana", {**EXACT, "p": 1.0}), ("adiana", {"compressor": RandK(14), "p": 1.0}),
        ADDS,
    ),
    "error feedback is ef-bv with λ = 0 as long as nothing is lost": (
        ("error-feedback", EXACT), ("ef-bv", {**EXACT, "lam": 0.0, "nu": 1.0}), ADDS
    ),
    "accelerated gd with γμ = 1 is gd": (("accelerated-gd", {"mu": 1 / GAMMA}), ("gd", {}), 0.0),
    **{
        f"m-fac over {over}, much dampened, is gd": (  # P⁻¹ = I/λ up to ‖∇f‖²/λ of itself
            ("m-fac", {"over": over, "dampening": 1e13, "stepsize": 1e13 * GAMMA}), ("gd", {}), ADDS
        )
        for over in ("aggregate", "clients")
    },
}  # fmt: skip


@cache
def small() -> GLM:
    return dense_glm(n=5, dim=14)


@pytest.mark.parametrize("name", IDENTITIES)
def test_identity(name):
    one, other, within = IDENTITIES[name]
    known = {"client_smoothness": lambda: small().client_smoothness}
    a, b = (iterates(small(), made(n, **given), np.full(14, 0.9), 12, **known) for n, given in (one, other))
    assert np.abs(a - b).max() <= within * np.abs(b).max()
    assert len(np.unique(a, axis=0)) == len(a)  # it moves


def test_exact_down_is_the_iterate_itself():
    for name in ("ef21", "ef21-bc", "artemis", "clag", "gd"):
        assert made(name, down="exact").model == ExactModel() == made("gd").model


# ---- theory's stepsize -----------------------------------------------------------------------------------------------


def run(name: str, rounds: int = 0, problem: Any = None, **settings: Any) -> Result:
    problem = problem or setting().problem
    return solve(problem, METHODS[name](**settings), rounds=rounds, tol=0.0, seed=SEED)


def stepsize_of(note: str) -> tuple[float, float, dict[str, float]]:
    """γ, its multiple of theory's, and the constants that a note names."""
    words = note.split()
    constants = note.partition(" with ")[2].split(", ")
    return float(words[1]), float(words[3]), {k: float(v) for k, v in (each.split(" = ") for each in constants)}


def of_contraction(delta: float) -> tuple[float, float]:
    """EF21's θ = 1 - √(1-δ) and β = (1-δ)/θ."""
    theta = 1 - np.sqrt(1 - delta)
    return theta, (1 - delta) / theta


def adianas(most: float, omega: float, p: float) -> float:
    """The theorem's η."""
    return min(1 / (2 * most), N / (64 * omega * most * (2 * p * (omega + 1) + 1) ** 2))


def theory() -> dict[str, tuple[str, dict[str, Any], float]]:
    """name: (preset, settings, γ from the rows)."""
    s = setting()
    total = s.each + RIDGE
    plus, mean = np.sqrt(np.mean(s.each**2)), s.each.mean()
    a, b = of_contraction(0.1)
    return {
        "gd": ("gd", {}, 1 / s.L),
        "accelerated-gd": ("accelerated-gd", {}, 1 / s.L),
        "ef21": ("ef21", {"compressor": TopK(4)}, 1 / (s.L + plus * np.sqrt(b / a))),
        "ef21, inside": (
            "ef21", {**INSIDE, "compressor": TopK(4)}, 1 / (s.L + np.sqrt(np.mean(total**2)) * np.sqrt(b / a))
        ),
        "ef21, randk": (  # δ = 1/(ω+1) = 8/40
            "ef21", {"compressor": RandK(8)},
            1 / (s.L + plus * np.sqrt(of_contraction(0.2)[1] / of_contraction(0.2)[0])),
        ),
        "ef21, linear": (
            "ef21", {"compressor": TopK(4), "stepsize": "theory-pl"},
            min(1 / (s.L + plus * np.sqrt(2 * b / a)), a / (2 * RIDGE)),
        ),
        "ef21-plus": ("ef21-plus", {"compressor": TopK(4)}, 1 / (s.L + plus * np.sqrt(b / a))),
        "ef21-w": ("ef21-w", {"compressor": TopK(4)}, 1 / (s.L + mean * np.sqrt(b / a))),
        "lag": ("lag", {"zeta": 4.0}, 1 / (s.L + plus * 2.0)),
        "clag": ("clag", {"compressor": TopK(4), "zeta": 500.0}, 1 / (s.L + plus * np.sqrt(500.0 / a))),
        "3pc-v1": ("3pc-v1", {"compressor": TopK(4)}, 1 / (s.L + plus * np.sqrt(0.9))),
        "3pc-v2": ("3pc-v2", {"compressor": TopK(4), "first": RandK(8)}, 1 / (s.L + plus * np.sqrt(0.9 * 4 / 0.1))),
        "marina": ("marina", {"compressor": RandK(8), "p": 0.1}, 1 / (s.L + plus * np.sqrt(0.9 * 4 / N / 0.1))),
        "diana": ("diana", {"compressor": RandK(8)}, 1 / ((1 + 6 * 4 / N) * total.max())),
        "adiana": (
            "adiana", {"compressor": RandK(8), "p": 0.1}, adianas(total.max(), 4.0, 0.1)
        ),
        "adiana, natural": ("adiana", {"compressor": Natural(), "p": 0.01}, adianas(total.max(), 1 / 8, 0.01)),
        "error-feedback": ("error-feedback", {"compressor": TopK(4)}, 0.1 / (4 * s.L)),
        "m-fac": ("m-fac", {"dampening": 0.5}, 0.5 / s.L),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "gd", "accelerated-gd", "ef21", "ef21, inside", "ef21, randk", "ef21, linear", "ef21-plus", "ef21-w", "lag",
        "clag", "3pc-v1", "3pc-v2", "marina", "diana", "adiana", "adiana, natural", "error-feedback", "m-fac",
    ],
)  # fmt: skip
def test_the_note_names_theorys_stepsize(name):
    preset, settings, gamma = theory()[name]
    result = run(preset, **settings)
    (note,) = result.theory
    told, times, constants = stepsize_of(note)
    assert told == pytest.approx(gamma, rel=1e-5) and times == 1.0  # six digits are told
    assert note in result.notes
    if "L" in constants:
        assert constants["L"] == pytest.approx(setting().L, rel=1e-5)


def test_the_note_names_what_the_stepsize_is_made_of():
    s = setting()
    a, b = of_contraction(0.1)
    told, _, constants = stepsize_of(run("ef21", compressor=TopK(4)).theory[0])
    expected = {"L": s.L, "L_plus": np.sqrt(np.mean(s.each**2)), "A": a, "B": b}
    assert constants == pytest.approx(expected, rel=1e-5)
    assert told == pytest.approx(1 / (constants["L"] + constants["L_plus"] * np.sqrt(b / a)), rel=1e-5)


@pytest.mark.parametrize("given, times", [("theory*16", 16.0), ("theory-pl*4", 4.0), ("theory*1.5", 1.5)])
def test_a_multiple_of_theory_is_taken_and_told(given, times):
    result = run("ef21", rounds=1, compressor=TopK(4), stepsize=given)
    note, beyond = result.theory
    word = given.partition("*")[0]
    gamma, factor, _ = stepsize_of(note)
    s, largest = setting(), stepsize_of(run("ef21", compressor=TopK(4), stepsize=word).theory[0])[0]
    assert factor == times and gamma == pytest.approx(times * largest, rel=1e-5)
    assert "beyond what theory allows" in beyond and beyond in result.notes
    # And it is the step that is taken, from x⁰ = 0 with whole gradients.
    assert result.x == pytest.approx(-gamma * s.p.total_gradient(np.zeros(D)), rel=2e-5)


@pytest.mark.parametrize("given", ["theory*0.5", 0.01, np.float64(0.01)])
def test_a_smaller_step_is_within_theory(given):
    assert len(run("ef21", compressor=TopK(4), stepsize=given).theory) == 1


def test_a_number_beyond_theory_is_told_of():
    assert "beyond what theory allows" in run("ef21", compressor=TopK(4), stepsize=3.0).notes[-1]


def test_a_number_needs_no_theory():
    """Functions state no bound: a number serves, and no note is made."""
    problem = functions_problem()[0]
    result = run("ef21", rounds=3, problem=problem, compressor=TopK(2), stepsize=0.1)
    assert result.theory == [] and result.rounds == 3
    with pytest.raises(ValueError, match="no smoothness constant L is known"):
        run("ef21", problem=problem)


def test_weights_come_from_the_problem_itself():
    s = setting()
    method = made("ef21-w", compressor=BiasedRounding(5))
    x = solve(s.problem, method, x0=s.start, rounds=ROUNDS, tol=0.0, seed=SEED).x
    path = F.ef21_w(s.p, s.start, ROUNDS, drawn(BiasedRounding(5)), GAMMA, weights())
    assert np.abs(x - path[-1]).max() <= 1e-9


# ---- what is refused, in words ---------------------------------------------------------------------------------------

REFUSED: list[tuple[Callable[[], Method], type[Exception], str]] = [
    *(
        (partial(METHODS["ef21"], stepsize=given), ValueError, "stepsize: given .* must be a positive number, 'theory'")
        for given in ("theory*", "thery", "theory*0", "theory*-2", "theory**2", "*2", "", -1, -1.0, 0.0, True, None,
                      np.nan, np.inf, "theory*nan", "theory-pl*inf", [0.1])
    ),
    (lambda: METHODS["ef21-hb"](stepsize="theory-pl"), ValueError, "no linear rate of this method is known"),
    (lambda: METHODS["error-feedback"](stepsize="theory-pl"), ValueError, "no linear rate of this method is known"),
    *(
        (partial(METHODS[name], compressor=TopK(3)), ValueError, "topk:3 is not unbiased")
        for name in ("marina", "pp-marina", "diana", "artemis", "dore", "adiana")
    ),
    (lambda: METHODS["artemis"](down=TopK(3)), ValueError, "topk:3 is not unbiased"),
    (lambda: METHODS["artemis"](down=EF21(TopK(3))), TypeError, "down: given .* unbiased Compressor"),
    (lambda: METHODS["dore"](down="exact"), TypeError, "down: given 'exact', must be an unbiased Compressor"),
    (lambda: METHODS["dore"](eta=2.0), ValueError, "eta: given 2.0"),
    *(
        (partial(METHODS[name], participation=Uniform(2)), TypeError, f"{name}: given 'participation'")
        for name in ("gd", "lag", "clag", "3pc-v1", "3pc-v2", "3pc-v3", "3pc-v5", "adacgd", "marina", "diana", "ef-bv",
                     "adiana")
    ),
    (lambda: METHODS["ef21"](participation=Uniform(9)), ValueError, "at most 5"),
    (lambda: METHODS["ef21"](participation=8), TypeError, "must be a Participation"),
    (lambda: METHODS["ef21"](participation=Uniform(2), down=TopK(3)), ValueError, "hold another estimate"),
    (lambda: METHODS["ef21"](compressor=RankR(1)), ValueError, "these are vectors"),
    (lambda: METHODS["ef21-plus"](compressor=RankR(1)), ValueError, "these are vectors"),
    (lambda: METHODS["marina"](compressor=RankR(1)), ValueError, "unbiased|these are vectors"),
    (lambda: METHODS["ef21"](compressor="topk"), ValueError, "topk needs k"),
    (lambda: METHODS["ef21"](compressor=3), TypeError, "must be a Compressor"),
    (lambda: METHODS["ef21"](init="half"), ValueError, "init: given 'half', allowed are gradient, zero"),
    (lambda: METHODS["ef21"](ridge="nobody"), ValueError, "ridge: given 'nobody', allowed are server, clients"),
    (lambda: METHODS["ef21"](wire="float16"), ValueError, "wire: given 'float16'"),
    (lambda: METHODS["ef21"](down="whole"), ValueError, "down: given 'whole'"),
    (lambda: METHODS["ef21"](down=3), TypeError, "down: given 3, must be 'exact', a Compressor or a Mechanism"),
    (lambda: METHODS["ef21"](down=RankR(1)), ValueError, "these are vectors"),
    *(
        (partial(METHODS["ef21-sgd"], batch=given), ValueError, "batch: given .* whole number")
        for given in (0, 1.5, True, "all")
    ),
    (lambda: METHODS["ef21-hb"](eta=1.0), ValueError, "eta: given 1.0, .* below 1"),
    (lambda: METHODS["ef21-sgdm"](eta=0.0), ValueError, "eta: given 0.0, .* above 0"),
    (lambda: METHODS["accelerated-gd"](mu=-1.0), ValueError, "mu: given -1.0"),
    (lambda: METHODS["clag"](zeta=-1.0), ValueError, "zeta: given -1.0"),
    (lambda: METHODS["adacgd"](levels=()), ValueError, "levels: given none"),
    (lambda: METHODS["adacgd"](levels=(3,)), TypeError, "levels: given 3"),
    (lambda: METHODS["3pc-v2"](first=TopK(3)), ValueError, "must be unbiased"),
    (lambda: METHODS["3pc-v3"](inner=TopK(3)), TypeError, "inner: given .* must be a Mechanism"),
    (lambda: METHODS["3pc-v3"](inner=EF21(RandK(3))), ValueError, "moves by less than its message says"),
    (lambda: METHODS["3pc-v5"](p=0.0), ValueError, r"p: given 0.0, must be a probability in \(0, 1\]"),
    (lambda: METHODS["marina"](p=1.5), ValueError, r"p: given 1.5, must be a probability in \(0, 1\]"),
    (lambda: METHODS["adiana"](p=0.0), ValueError, r"p: given 0.0, must be a probability in \(0, 1\]"),
    (lambda: METHODS["adiana"](p="half"), ValueError, "p: given 'half', must be a number or theory"),
    (lambda: METHODS["ef-bv"](lam=2.0), ValueError, "lam: given 2.0"),
    (lambda: METHODS["ef-bv"](nu=0.0), ValueError, "nu: given 0.0"),
    *(
        (partial(METHODS["m-fac"], **{key: given}), ValueError, f"{key}: given")
        for key, given in (("window", 0), ("window", 2.5), ("dampening", 0.0), ("over", "all"), ("algorithm", "fast"))
    ),
]  # fmt: skip


@pytest.mark.parametrize("make, kind, words", REFUSED)
def test_what_does_not_go_together_is_refused_in_words(make, kind, words):
    with pytest.raises(kind, match=words):
        make().resolved(small())


@pytest.mark.parametrize("ridge", ["server", "clients"])
def test_a_client_without_rows_has_no_weight_and_does_no_harm(ridge):
    result = solve(sparse_glm(), made("ef21-w", ridge=ridge, compressor=TopK(3), stepsize="theory"), tol=1e-6)
    assert result.converged and np.isfinite(result.x).all()


BEYOND_THEORY: list[tuple[str, dict[str, Any], str]] = [
    ("ef-bv", {"compressor": RandK(4), "lam": 1.0}, "theorem needs"),
    ("ef-bv", {"compressor": RandK(4), "lam": 0.0}, "theorem needs"),
    ("diana", {"compressor": RandK(4), "alpha": 1.0}, r"alpha: given 1, and theory needs at most 1/\(1\+ω\) = 0.1"),
    ("artemis", {"compressor": RandK(4), "alpha": 1.0}, "alpha: given 1"),
    ("dore", {"alpha": 1.0, "eta": 0.1}, "alpha: given 1"),
    ("dore", {"beta": 1.0, "eta": 0.1}, "beta: given 1"),
    ("dore", {"eta": 1.0, "down": RandK(4)}, "eta: given 1"),
    ("ef21", {"compressor": TopK(4), "down": Diana(RandK(4))}, r"no \(A, B\)"),
]


@pytest.mark.parametrize("name, settings, words", BEYOND_THEORY)
def test_rates_that_no_theorem_has_need_a_number(name, settings, words):
    with pytest.raises(ValueError, match=f"stepsize: theory is not known here .*{words}.*give stepsize=NUMBER"):
        run(name, **settings, stepsize="theory")
    assert run(name, **settings, stepsize=1e-3, rounds=2).theory == []


def test_a_constant_function_has_no_step_of_theory():
    problem = dense_glm(ridge=0.0)
    flat = glm(np.zeros((8, 3)), np.ones(8), [4, 4], problem.loss, ridge=0.0)
    for name in ("gd", "ef21", "diana", "adiana", "m-fac"):
        with pytest.raises(ValueError, match="L is 0"):
            solve(flat, METHODS[name](), x0=np.ones(3), rounds=2, tol=0.0)


def test_gd_with_compression_downwards_takes_the_bidirectional_step():
    """(A, B) = (1, 0) upwards: γ = 1/(L + L̃√(6B_M/A_M))."""
    note = run("gd", down=LAG(50.0), stepsize="theory", rounds=1).theory[0]
    each, smooth = setting().each + RIDGE, setting().L
    expected = 1.0 / (smooth + np.sqrt(np.mean(each**2)) * np.sqrt(6.0 * 50.0))
    assert float(note.split()[1]) == pytest.approx(expected, rel=2e-5)
    assert "6B_M(B+1)/A_M" in note


def test_an_unknown_mu_is_told_of():
    told = solve(dense_glm(ridge=0.0), METHODS["ef21"](compressor=TopK(3), stepsize="theory-pl"), rounds=1).theory
    assert any("μ is not known to be above 0" in note for note in told)


def test_words_come_back_as_they_were():
    inner = ThreePCv3(TopK(5), CLAG(TopK(1), 2.0))
    for down in (
        inner,
        ThreePCv3(TopK(5), LAG(2.0)),
        ThreePCv3(TopK(5), EF21(TopK(1))),
        ThreePCv3(TopK(5), CLAG(TopK(5), 2.0)),
    ):
        method = METHODS["ef21"](down=down)
        again = registry.method("ef21", {key: str(value) for key, value in registry.settings(method).items()})
        assert again.model == method.model
    ladder = METHODS["adacgd"](levels=[TopK(1), TopK(2)])
    assert registry.settings(ladder)["levels"] == "topk:1,topk:2"
    assert METHODS["m-fac"]() == METHODS["m-fac"]()


def test_weights_and_dores_share_need_the_clients_constants():
    problem = functions_problem()[0]
    with pytest.raises(ValueError, match="weights w_i = L_i/ΣL_j need the clients' own L_i: no smoothness constant"):
        made("ef21-w").resolved(problem)
    with pytest.raises(
        ValueError, match="eta: theory has none for these rates, or without the clients' own L_i: give eta=NUMBER"
    ):
        solve(problem, made("dore"), rounds=1)


@pytest.mark.parametrize("part", [Independent(0.3), Trace(((0, 1),))])
def test_pp_marina_draws_a_fixed_number(part):
    with pytest.raises(ValueError, match="draws a fixed number of clients: use uniform:8"):
        made("pp-marina", participation=part)


def test_minibatches_need_rows():
    problem = functions_problem()[0]
    for method in (made("gd", batch=2), made("ef21-sgd"), made("ef21-sgdm"), made("ef21-plus", batch=2)):
        with pytest.raises(ValueError, match="minibatch gradients need data rows"):
            method.resolved(problem)


def test_what_needs_convexity_is_refused_on_a_problem_without_it_and_ef21_runs():
    problem = dense_glm(nonconvex=0.1)
    second_order = {name for name, make in METHODS.items() if "stepsize" not in signature(make).parameters}
    for name in second_order | {"accelerated-gd", "adiana"}:
        with pytest.raises(ValueError, match=f"{name} needs convex functions"):
            METHODS[name](**({"optimum": np.zeros(7)} if name == "newton-star" else {})).resolved(problem)
    for name in ("diana", "artemis", "dore"):
        with pytest.raises(ValueError, match="theory of this method needs convex functions"):
            METHODS[name]().resolved(problem)
    told = solve(problem, METHODS["diana"](stepsize=0.1), rounds=2).theory
    assert told == []
    result = solve(problem, METHODS["ef21"](compressor=TopK(3)), tol=1e-6, rounds=3000)
    assert result.converged


# ---- what is counted -------------------------------------------------------------------------------------------------


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
    "diana": ("diana", {"compressor": RandK(4)}, R * 32 * 4, R * WHOLE),
    "diana, natural": ("diana", {"compressor": Natural()}, R * 9 * D, R * WHOLE),
    "adiana": (  # two messages up, and w down where it has moved
        "adiana", {"compressor": RandK(4), "p": 0.3}, 2 * R * 32 * 4,
        (R + sum(coin("anchor coin", 0.3)(k) for k in range(R - 1))) * WHOLE,
    ),
    "error-feedback": ("error-feedback", {"compressor": TopK(4)}, R * 32 * 4, R * WHOLE),
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
