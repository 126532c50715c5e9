"""The cases of methods without a server: preset, settings, box with the library's draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gossip_methods as G
import numpy as np
from first_order_setting import RIDGE, ROUNDS, N, drawn, setting
from local_cases import largest
from played import SEED

from newtonfl.compressors import Natural, RandK, TopK
from newtonfl.core.random import SERVER, Key

RING = [(i, (i + 1) % N) for i in range(N)]
ALL = [(i, j) for i in range(N) for j in range(i + 1, N)]
STAR = [(0, i) for i in range(1, N)]
R8 = RandK(8)  # ω = 4


def rows(batch: int) -> Callable[[np.ndarray, int, int], np.ndarray]:
    """The library's own minibatch gradients of round k."""

    def gradient(x: np.ndarray, i: int, k: int) -> np.ndarray:
        point = setting().problem.at_uncached(np.tile(x, (N, 1)))
        return point.sampled_gradient(batch, Key(SEED, k).to("batch"))[i]

    return gradient


def chis(edges: list[tuple[int, int]]) -> tuple[float, float]:
    laplacian, apart = np.zeros((N, N)), []
    for i, j in edges:
        e = np.eye(N)[i] - np.eye(N)[j]
        laplacian += np.outer(e, e) / len(edges)
        apart.append(e)
    inverse = np.linalg.pinv(laplacian)
    return 1 / np.sort(np.linalg.eigvalsh(laplacian))[1], max(0.5 * e @ inverse @ e for e in apart)


def events(edges: list[tuple[int, int]]) -> Callable[[int], Any]:
    """DADAO's clock: when the edge is used, which, and who computes a gradient before."""
    rate = np.sqrt(2 * np.prod(chis(edges)))

    def of(k: int) -> Any:
        draws = Key(SEED, k, SERVER).to("events").generator()
        passed, edge = draws.exponential(1 / rate), sorted(edges[draws.integers(len(edges))])
        counts = draws.poisson(passed, N)
        times = passed * draws.random((counts.max(), N))
        return passed, edge, sorted((float(times[e, c]), c) for c in range(N) for e in range(counts[c]))

    return of


def tracked(compressor: Any, scale: float = 1.0, **settings: Any) -> Callable[..., list[np.ndarray]]:
    """MoTEF's box with a compressor of the library, which draws for the model and for the tracker apart."""
    model, change = (drawn(compressor, purpose, scale=scale) for purpose in ("model", "gradient"))
    return lambda p, x, g, W, gamma: G.motef(p, x, ROUNDS, g, W, model, change, gamma, **settings)


_RING, _STAR = G.metropolis(RING, N), G.metropolis(STAR, N)

GOSSIP: dict[str, tuple[str, dict[str, Any], Callable[..., list[np.ndarray]]]] = {
    "exact-diffusion": ("exact-diffusion", {}, lambda p, x, g: G.exact_diffusion(p, x, ROUNDS, g, _RING)),
    "lead": (
        "lead", {"compressor": R8, "graph": "star", "gamma": 0.4},
        lambda p, x, g: G.lead(p, x, ROUNDS, g, _STAR, drawn(R8, "change"), 1 / 5, 0.4),
    ),
    "lead, natural, α": (
        "lead", {"compressor": Natural(), "alpha": 0.6, "gamma": 0.9, "stepsize": 0.8},
        lambda p, x, g: G.lead(p, x, ROUNDS, g, _RING, drawn(Natural(), "change"), 0.6, 0.9),
    ),
    "beer": (
        "beer", {"compressor": TopK(8), "gamma": 0.2, "stepsize": 0.2},
        lambda p, x, g: tracked(TopK(8))(p, x, g, _RING, 0.2),
    ),
    "motef": (
        "motef", {"compressor": R8, "gamma": 0.1, "stepsize": 0.2, "lam": 0.7, "batch": 4, "graph": "star"},
        lambda p, x, g: tracked(R8, scale=1 / 5, lam=0.7, stochastic=rows(4))(p, x, g, _STAR, 0.1),
    ),
    "motef-vr": (
        "motef-vr", {"compressor": TopK(8), "gamma": 0.2, "stepsize": 0.2, "lam": 0.7, "batch": 4},
        lambda p, x, g: tracked(TopK(8), lam=0.7, stochastic=rows(4), corrected=True)(p, x, g, _RING, 0.2),
    ),
    "dadao": (
        "dadao", {"stepsize": "theory*8", "graph": "complete"},  # as if L were an eighth
        lambda p, x, g: G.dadao(p, x, ROUNDS, largest() / 8, RIDGE, ALL, *chis(ALL), events(ALL)),
    ),
}  # fmt: skip
