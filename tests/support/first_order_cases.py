"""The first-order presets' cases: each preset, its settings, and its paper's box played with the library's draws."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import first_order as F
import numpy as np
import transcriptions as T
from first_order_setting import (
    GAMMA,
    RIDGE,
    ROUNDS,
    D,
    N,
    buckets,
    coin,
    directions,
    drawn,
    made,
    normal,
    own_coin,
    permutations,
    sample,
    sampled,
    setting,
    stochastic,
    weights,
)
from gossip_cases import GOSSIP
from local_cases import LOCAL
from played import played
from variational_cases import VARIATIONAL

from newtonfl.compressors import BiasedRounding, Contracted, Dithering, Natural, PermK, RandK, TopK
from newtonfl.mechanisms import CBAG, CLAG, EF21, AdaCGD
from newtonfl.methods import All, Uniform

INSIDE: dict[str, Any] = {"ridge": "clients"}
ZERO: dict[str, Any] = {"init": "zero"}
C4 = T.top_k(4)
FIRST = "gradient/first"
Q8 = 8 / D  # what makes RandK(8) contract


def pairs_clipped(p: Any, x: np.ndarray, g: float, cut: list[bool] | None = None) -> list[np.ndarray]:
    """Byz-VR-MARINA-PP with the median of pairs; `cut` receives whether each message was clipped."""
    rule = F.bucketed(F.median, 2, buckets)
    return F.byz_vr_marina_pp(
        p, x, ROUNDS, drawn(RandK(20)), g, coin("gradient coin", 0.2), sample(8), rule, rule, 0.1, cut=cut
    )


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
    "core-gd": (
        "core-gd", {"directions": 6, "stepsize": 0.5}, lambda p, x, g: F.core_gd(p, x, ROUNDS, g, directions(6))
    ),
    "core-gd, one direction": (
        "core-gd", {"directions": 1, "stepsize": 0.05}, lambda p, x, g: F.core_gd(p, x, ROUNDS, g, directions(1))
    ),
    "vr-marina": (
        "vr-marina", {"compressor": RandK(8), "p": 0.2, "batch": 7},
        lambda p, x, g: F.vr_marina(p, x, ROUNDS, drawn(RandK(8)), g, sampled(7), coin("gradient coin", 0.2)),
    ),
    "vr-marina, permk, inside": (
        "vr-marina", {**INSIDE, "compressor": PermK(), "p": 0.3, "batch": 4},
        lambda p, x, g: F.vr_marina(
            p, x, ROUNDS, F.perm_k(N, permutations), g, sampled(4), coin("gradient coin", 0.3), inside=True
        ),
    ),
    "ef21-page": (
        "ef21-page", {"compressor": TopK(4), "p": 0.2, "batch": 7},
        lambda p, x, g: F.ef21_page(p, x, ROUNDS, C4, g, sampled(7), own_coin(0.2)),
    ),
    "ef21-page, randk, zero, inside": (
        "ef21-page", {**INSIDE, **ZERO, "compressor": RandK(8), "p": 0.4, "batch": 3},
        lambda p, x, g: F.ef21_page(
            p, x, ROUNDS, drawn(RandK(8), scale=Q8), g, sampled(3), own_coin(0.4), "zero", inside=True
        ),
    ),
    "vr-diana": (
        "vr-diana", {"compressor": RandK(8), "p": 0.2, "batch": 7},
        lambda p, x, g: F.vr_diana(
            p, x, ROUNDS, drawn(RandK(8)), g, 1 / 5, sampled(7), own_coin(0.2, "anchor coin")
        ),
    ),
    "vr-diana, natural, inside": (
        "vr-diana", {**INSIDE, "compressor": Natural(), "p": 0.4, "batch": 3, "alpha": 0.5, "stepsize": 0.3},
        lambda p, x, g: F.vr_diana(
            p, x, ROUNDS, drawn(Natural()), g, 0.5, sampled(3), own_coin(0.4, "anchor coin"), inside=True
        ),
    ),
    "marina, permk": (
        "marina", {"compressor": PermK(), "p": 0.2},
        lambda p, x, g: F.marina(p, x, ROUNDS, F.perm_k(N, permutations), g, coin("gradient coin", 0.2)),
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
    "byz-vr-marina-pp": (
        "byz-vr-marina-pp", {"compressor": RandK(20), "p": 0.2, "participation": Uniform(8), "clip": 0.1},
        pairs_clipped,
    ),
    "byz-vr-marina-pp, mean of minibatches, inside": (
        "byz-vr-marina-pp",
        {
            **INSIDE, "compressor": Natural(), "p": 0.2, "participation": All(), "aggregator": "trimmed:2",
            "tails": "mean", "batch": 7, "clip": 0.1,
        },
        lambda p, x, g: F.byz_vr_marina_pp(
            p, x, ROUNDS, drawn(Natural()), g, coin("gradient coin", 0.2), lambda k: range(N), F.trimmed(2),
            lambda changes, k: np.mean(changes, axis=0), 0.1, sampled(7), inside=True,
        ),
    ),
    "dasha": (  # ω = 4
        "dasha", {"compressor": RandK(8)}, lambda p, x, g: F.dasha(p, x, ROUNDS, drawn(RandK(8)), g, 1 / 9)
    ),
    "dasha, natural, zero, inside": (
        "dasha", {**INSIDE, **ZERO, "compressor": Natural(), "momentum": 0.5},
        lambda p, x, g: F.dasha(p, x, ROUNDS, drawn(Natural()), g, 0.5, "zero", inside=True),
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
    "econtrol": (
        "econtrol", {"compressor": TopK(4), "eta": 0.05}, lambda p, x, g: F.econtrol(p, x, ROUNDS, C4, g, 0.05)
    ),
    "econtrol, theory's rate, zero, inside": (  # q = √0.8
        "econtrol", {**INSIDE, **ZERO, "compressor": RandK(8)},
        lambda p, x, g: F.econtrol(
            p, x, ROUNDS, drawn(RandK(8), scale=Q8), g, (1 - np.sqrt(0.8)) / (1 + np.sqrt(0.8)), "zero", inside=True
        ),
    ),
    "econtrol, minibatches": (
        "econtrol", {"compressor": TopK(4), "eta": 0.02, "batch": 16, "stepsize": 0.5},
        lambda p, x, g: F.econtrol(p, x, ROUNDS, C4, g, 0.02, stochastic=stochastic(16)),
    ),
    "clip21": (
        "clip21", {"tau": 0.02, "longest": np.inf}, lambda p, x, g: F.clip21(p, x, ROUNDS, 0.02, g)
    ),
    "clip21, short steps, inside": (
        "clip21", {**INSIDE, "tau": 0.2, "stepsize": 3.0},
        lambda p, x, g: F.clip21(p, x, ROUNDS, 0.2, g, 0.1 / (setting().each.max() + RIDGE), inside=True),
    ),
    "clip21-sgd2m": (
        "clip21-sgd2m", {"tau": 0.02, "sigma": 0.003, "beta": 0.4, "beta_hat": 0.7},
        lambda p, x, g: F.clip21_sgd2m(p, x, ROUNDS, 0.02, g, 0.4, 0.7, normal(0.003)),
    ),
    "clip21-sgd2m, inside": (
        "clip21-sgd2m", {**INSIDE, "tau": 0.05, "sigma": 0.001, "beta": 1.0, "beta_hat": 1.0},
        lambda p, x, g: F.clip21_sgd2m(p, x, ROUNDS, 0.05, g, 1.0, 1.0, normal(0.001), inside=True),
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
            ("dynamic", ", topk", {"compressor": TopK(4)}, {"mechanism": T.ef21(C4)}),
            ("static", ", topk, zero, inside", {**INSIDE, **ZERO, "compressor": TopK(4)},
             {"mechanism": T.ef21(C4), "start": "zero", "inside": True}),
        )
    },
    "m-fac, clients, a window shorter than a round": (
        "m-fac", {"window": 7, "dampening": 0.05, "stepsize": 0.05},
        lambda p, x, g: F.m_fac_clients(p, x, ROUNDS, g, 7, 0.05),
    ),
    **LOCAL,
    **{  # what a solve has is the mean of the clients' iterates
        name: (preset, settings, lambda p, x, g, box=box: [X.mean(axis=0) for X in box(p, x, g)])
        for name, (preset, settings, box) in GOSSIP.items()
    },
    **VARIATIONAL,
}  # fmt: skip


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
