"""The cases of methods with local steps and of asynchronous ones: preset, settings, box with the library's draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asynchronous as A
import local_methods as L
import numpy as np
import transcriptions as T
from first_order_setting import RIDGE, ROUNDS, N, coin, drawn, sample, setting
from played import SEED

from newtonfl.compressors import Compressor, Natural, RandK, TopK
from newtonfl.core.random import SERVER, Key
from newtonfl.methods import Arrivals, Uniform


def steps(p: float) -> Callable[[int], int]:
    """How many local steps a round has."""
    return lambda k: int(Key(SEED, k, SERVER).to("steps").generator().geometric(p))


def heads(q: float) -> Callable[[int, int, int], bool]:
    """Whether GradSkip's client has not yet thrown tails at this step of the round."""
    return lambda i, k, step: step + 1 < int(Key(SEED, k, i).to("skip").generator().geometric(1 - q))


def permuted(c: int) -> Callable[[int], np.ndarray]:
    """TAMUNA's columns."""
    return lambda k: Key(SEED, k, SERVER).to("mask").generator().permutation(c)


def minibatches(batch: int) -> Callable[[np.ndarray, int, int, int], np.ndarray]:
    """The library's own minibatch gradients in local step `step` of round k."""

    def gradient(x: np.ndarray, i: int, k: int, step: int) -> np.ndarray:
        point = setting().problem.at_uncached(np.tile(x, (N, 1)))
        return point.sampled_gradient(batch, Key(SEED, k).to(f"step {step}").to("batch"))[i]

    return gradient


def shifts(compressor: Compressor, scale: float) -> Callable[[np.ndarray, int, int, int], np.ndarray]:
    """GradSkip+'s compressor in local step `step` of round k, times `scale`."""
    return lambda X, i, k, step: drawn(compressor, f"step {step}/shift", scale=scale)(X, i, k)


def own_stepsizes() -> np.ndarray:
    return 1 / (setting().each + RIDGE)


def largest() -> float:
    """max L_i, the ridge in it."""
    return float(setting().each.max()) + RIDGE


def coins(k: int) -> np.ndarray:
    """Every client's of a round, by which it is asked or not."""
    return np.asarray(Key(SEED, k, SERVER).to("participation").generator().random(N))


def jobs(order: str) -> Callable[[int], tuple[int, int]]:
    """Who answers in a round, about the iterate of which."""
    return lambda k: Arrivals(order).events(N, SEED).at(k)[:2]  # type: ignore[arg-type]


R8 = RandK(8)  # ω = 4
LOCAL: dict[str, tuple[str, dict[str, Any], Callable[..., list[np.ndarray]]]] = {
    "fedavg": ("fedavg", {"steps": 4}, lambda p, x, g: L.fedavg(p, x, ROUNDS, g, 4)),
    "fedavg, some, minibatches": (
        "fedavg", {"steps": 3, "server_stepsize": 0.7, "participation": Uniform(8), "batch": 4, "stepsize": 0.5},
        lambda p, x, g: L.fedavg(p, x, ROUNDS, g, 3, 0.7, sample=sample(8), stochastic=minibatches(4)),
    ),
    "fedprox": (
        "fedprox", {"steps": 4, "prox": 0.5, "participation": Uniform(8)},
        lambda p, x, g: L.fedavg(p, x, ROUNDS, g, 4, nu=0.5, sample=sample(8)),
    ),
    "scaffold": ("scaffold", {"steps": 4, "stepsize": 0.3}, lambda p, x, g: L.scaffold(p, x, ROUNDS, g, 4)),
    "scaffold, some": (
        "scaffold", {"steps": 3, "stepsize": 0.3, "server_stepsize": 0.8, "participation": Uniform(8)},
        lambda p, x, g: L.scaffold(p, x, ROUNDS, g, 3, 0.8, sample(8)),
    ),
    "scallion": (  # α = 1/(1 + ω)
        "scallion", {"steps": 3, "stepsize": 0.2, "compressor": R8},
        lambda p, x, g: L.scallion(p, x, ROUNDS, g, 3, drawn(R8, "change"), alpha=1 / 5),
    ),
    "scallion, natural, some": (
        "scallion", {"steps": 2, "stepsize": 0.2, "compressor": Natural(), "alpha": 0.6, "participation": Uniform(8)},
        lambda p, x, g: L.scallion(p, x, ROUNDS, g, 2, drawn(Natural(), "change"), alpha=0.6, sample=sample(8)),
    ),
    "scafcom": (
        "scafcom", {"steps": 3, "stepsize": 0.2, "compressor": TopK(8), "beta": 0.4, "server_stepsize": 0.9},
        lambda p, x, g: L.scallion(p, x, ROUNDS, g, 3, T.top_k(8), beta=0.4, eta=0.9),
    ),
    "scafcom, some, randk": (  # scaled by 1/(1 + ω)
        "scafcom", {"steps": 2, "stepsize": 0.2, "compressor": R8, "participation": Uniform(8)},
        lambda p, x, g: L.scallion(
            p, x, ROUNDS, g, 2, drawn(R8, "change", scale=1 / 5), beta=0.5, sample=sample(8)
        ),
    ),
    "scaffnew": ("scaffnew", {"p": 0.3}, lambda p, x, g: L.scaffnew(p, x, ROUNDS, g, 0.3, steps(0.3))),
    "vr-proxskip": (
        "vr-proxskip", {"p": 0.3, "stepsize": 0.2, "batch": 4, "refresh": 0.4},
        lambda p, x, g: L.vr_proxskip(
            p, x, ROUNDS, g, 0.3, steps(0.3), minibatches(4), coin("anchor coin", 0.4)
        ),
    ),
    "i-scaffnew": (
        "i-scaffnew", {"p": 0.3, "stepsize": "theory"},
        lambda p, x, g: L.i_scaffnew(p, x, ROUNDS, own_stepsizes(), 0.3, steps(0.3)),
    ),
    "gradskip": (
        "gradskip", {"p": 0.2, "q": 0.6}, lambda p, x, g: L.gradskip(p, x, ROUNDS, g, 0.2, steps(0.2), heads(0.6))
    ),
    "gradskip-plus": (
        "gradskip-plus", {"p": 0.2, "compressor": RandK(24)},
        lambda p, x, g: L.gradskip_plus(p, x, ROUNDS, g, 0.2, steps(0.2), shifts(RandK(24), 24 / 40)),
    ),
    "gradskip-plus, natural": (
        "gradskip-plus", {"p": 0.3, "compressor": Natural(), "stepsize": 0.5},
        lambda p, x, g: L.gradskip_plus(p, x, ROUNDS, g, 0.3, steps(0.3), shifts(Natural(), 8 / 9)),
    ),
    "compressed-scaffnew": (
        "compressed-scaffnew", {"p": 0.3, "s": 7},
        lambda p, x, g: L.tamuna(p, x, ROUNDS, g, 0.3, 7, steps(0.3), lambda k: range(N), permuted(N)),
    ),
    "tamuna": (
        "tamuna", {"p": 0.3, "s": 3, "participation": Uniform(8)},
        lambda p, x, g: L.tamuna(p, x, ROUNDS, g, 0.3, 3, steps(0.3), sample(8), permuted(8)),
    ),
    "locodl": (
        "locodl", {"p": 0.3, "compressor": R8, "share": 0.3},
        lambda p, x, g: L.locodl(p, x, ROUNDS, g, 0.3, 0.3, drawn(R8, "change"), 4.0, steps(0.3)),
    ),
    "asgrad": ("asgrad", {"stepsize": 0.3}, lambda p, x, g: A.asgrad(p, x, ROUNDS, g, jobs("shuffled"))),
    "iag": ("iag", {"stepsize": 0.3}, lambda p, x, g: A.iag(p, x, ROUNDS, g, jobs("pure"))),
    "5gcs": (
        "5gcs", {"steps": 3, "participation": Uniform(8)},
        lambda p, x, g: L.five_gcs(p, x, ROUNDS, g, largest(), 3, sample(8)),
    ),
    "5gcs-cc": (
        "5gcs-cc", {"steps": 2, "compressor": R8, "participation": Uniform(8), "stepsize": 0.5},
        lambda p, x, g: L.five_gcs(p, x, ROUNDS, g, largest(), 2, sample(8), drawn(R8, "change"), 4.0),
    ),
    "5gcs-ab": (
        "5gcs-ab", {"steps": 3, "share": 0.3},
        lambda p, x, g: L.five_gcs_ab(p, x, ROUNDS, g, 1 / own_stepsizes(), 3, 0.3, coins),
    ),
    "5gcs-ab, nearly all": (  # some p_m are 1
        "5gcs-ab", {"steps": 1, "share": 0.97, "stepsize": 0.5},
        lambda p, x, g: L.five_gcs_ab(p, x, ROUNDS, g, 1 / own_stepsizes(), 1, 0.97, coins),
    ),
}  # fmt: skip
