"""The second-order presets' cases: each preset, its settings, and its paper's box played with the library's draws."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import asynchronous as A
import numpy as np
import transcriptions as T
from cases import dense_glm
from played import SEED, played
from reference_data import logistic

from newtonfl.bases import DataSubspace
from newtonfl.compressors import Compressor, RandK, RankR, TopK
from newtonfl.core.random import SERVER, Key
from newtonfl.mechanisms import (
    BAG,
    CBAG,
    CLAG,
    EF21,
    LAG,
    AdaCGD,
    AdaptiveTopK,
    Marina,
    Mechanism,
    ThreePCv1,
    ThreePCv2,
    ThreePCv3,
    ThreePCv4,
    ThreePCv5,
)
from newtonfl.methods import (
    Arrivals,
    Method,
    Uniform,
    adahessian,
    bfgs,
    bl1,
    bl2,
    dane,
    dave_qn,
    dingo,
    disco,
    fednew,
    fednl,
    fednl_bc,
    fednl_cr,
    fednl_ls,
    fednl_pp,
    fedns,
    fib_ios,
    giant,
    l_bfgs,
    lattice_newton,
    local_newton,
    newton,
    newton_3pc,
    newton_3pc_bc,
    newton_3pc_bc_pp,
    newton_3pc_cr,
    newton_3pc_ls,
    newton_cg,
    newton_star,
    newton_zero,
    robust_newton,
)
from newtonfl.objectives.glm import GLM

ROUNDS = 30
N, D = 20, 40
R1, ALL = T.rank_r(1), 820  # d(d + 1)/2


# ---- the library's own draws, for the transcriptions -----------------------------------------------------------------
# What a transcription does after the step of round k, the library does at the beginning of round k + 1: `later`.


def coin(name: str, p: float, later: int = 0) -> Callable[[int], bool]:
    """The server's coin of a round: "curvature coin", "anchor coin", "model/coin"."""
    return lambda k: bool(Key(SEED, k + later, SERVER).to(name).generator().random() < p)


def client_coin(p: float) -> Callable[[int, int], bool]:
    """ξ_i."""
    return lambda i, k: bool(Key(SEED, k + 1).to("gradient").of(i).to("coin").generator().random() < p)


def of_diagonals(k: int, tried: int, n: int = N, dim: int = D) -> np.ndarray:
    """What lattice-newton's clients add to their diagonals in round k, before they are rounded."""
    keys = (Key(SEED, k).to(f"try {tried}").of(i).to("diagonal") for i in range(n))
    return np.stack([key.generator().random(dim) - 0.5 for key in keys])


def signs(k: int) -> np.ndarray:
    """AdaHessian's z of round k."""
    return 2.0 * Key(SEED, k, SERVER).to("signs").generator().integers(0, 2, D) - 1.0


def jobs(order: str) -> Callable[[int], tuple[int, int]]:
    """Who answers in a round, about the iterate of which."""
    return lambda k: Arrivals(order).events(N, SEED).at(k)[:2]  # type: ignore[arg-type]


def smoothness(p: Any) -> np.ndarray:
    """L_i less the ridge, of a logistic problem's rows."""
    return np.array([np.linalg.eigvalsh(own.T @ own)[-1] / (4 * len(own)) for own in p.rows])


def normal(rows: int) -> Callable[[int, int], np.ndarray]:
    """FedNS' S of client i in round k."""
    return lambda i, k: Key(SEED, k, i).to("sketch").generator().standard_normal((rows, D)) / np.sqrt(rows)


def geometric_median(vectors: Any, k: int, about: str) -> Any:
    """Of all of them."""
    return T.geometric_median(vectors)


def median_of_pairs(vectors: Any, k: int, about: str) -> Any:
    """Of the means of pairs, in the library's order."""
    order = Key(SEED, k, SERVER).to(about).to("buckets").generator().permutation(len(vectors))
    return T.geometric_median([(vectors[i] + vectors[j]) / 2 for i, j in order.reshape(-1, 2)])


def sample(tau: int) -> Callable[[int], Any]:
    """Who takes part."""
    return lambda k: np.sort(Key(SEED, k + 1, SERVER).to("participation").generator().choice(N, tau, replace=False))


def drawn(compressor: Compressor, purpose: str = "curvature", later: int = 0) -> Callable[..., np.ndarray]:
    """A compressor of the library with its own keys, on dense vectors or, in isometric coordinates, matrices."""

    def compress(X: np.ndarray, i: int | None, k: int) -> np.ndarray:
        key = Key(SEED, k + later, SERVER if i is None else i).to(purpose)
        upper = (np.arange(len(X)),) if X.ndim == 1 else np.triu_indices(len(X))
        weigh = np.where(upper[0] == upper[-1], 1.0, np.sqrt(2.0))
        indices, values = compressor.compress(X[upper] * weigh, key).coordinates()
        vector = np.zeros(len(weigh))
        vector[slice(None) if indices is None else indices] = values
        out = np.zeros_like(X)
        out[upper] = vector / weigh
        return out if X.ndim == 1 else np.triu(out) + np.triu(out, 1).T

    return compress


@cache
def setting(rows: int) -> SimpleNamespace:
    """The library's problem, the transcriptions', its minimiser, and the clients' data bases; `rows` a client."""
    problem = logistic("syn40", N, rows, D, 1e-3)
    dense_rows, labels, _ = problem.host
    dense = T.Logistic(np.split(dense_rows, N), np.split(labels, N), 1e-3)
    bases = [v.T for v in problem.prepare(DataSubspace()).vectors]
    return SimpleNamespace(problem=problem, p=dense, optimum=T.minimiser(dense), V=bases)


MECHANISMS: dict[str, tuple[Mechanism, Callable[[Callable[..., Any]], Any]]] = {
    "ef21": (EF21(TopK(D)), lambda own: T.ef21(T.top_k(D))),
    "ef21-rank": (EF21(RankR(1)), lambda own: T.ef21(R1)),
    "lag": (LAG(2.0), lambda own: T.lag(2.0)),
    "clag": (CLAG(TopK(D), 128.0), lambda own: T.clag(T.top_k(D), 128.0)),
    "cbag": (CBAG(TopK(D), 0.75), lambda own: T.cbag(T.top_k(D), coin("curvature coin", 0.75))),
    "bag": (BAG(0.5), lambda own: T.bag(coin("curvature coin", 0.5))),
    "v1": (ThreePCv1(TopK(D)), lambda own: T.v1(T.top_k(D))),
    "v2": (ThreePCv2(TopK(D), RandK(400)), lambda own: T.v2(own(RandK(400), "/first"), T.top_k(D))),
    "v3": (ThreePCv3(RankR(1), CLAG(TopK(D), 128.0)), lambda own: T.v3(T.clag(T.top_k(D), 128.0), R1)),
    "v3-cbag": (
        ThreePCv3(TopK(D), CBAG(RankR(1), 0.5)),
        lambda own: T.v3(T.cbag(R1, coin("curvature coin", 0.5)), T.top_k(D)),
    ),
    "v4": (ThreePCv4(TopK(D), RankR(1)), lambda own: T.v4(R1, T.top_k(D))),
    "v5": (ThreePCv5(TopK(D), 0.3), lambda own: T.v5(T.top_k(D), coin("curvature coin", 0.3))),
    "v5-randk": (  # unbiased, so scaled by K/size to contract
        ThreePCv5(RandK(400), 0.3),
        lambda own: T.v5(lambda X, i, k: 400 / ALL * own(RandK(400), "")(X, i, k), coin("curvature coin", 0.3)),
    ),
    "marina": (Marina(RandK(400), 0.3), lambda own: T.marina(own(RandK(400), ""), coin("curvature coin", 0.3))),
    "adacgd": (
        AdaCGD((TopK(10), TopK(40), TopK(160), TopK(ALL)), 0.5),
        lambda own: T.adacgd([T.top_k(K) for K in (10, 40, 160, ALL)], 0.5),
    ),
    "adaptive-topk": (AdaptiveTopK(TopK(800)), lambda own: T.adaptive_top_k(800, ALL)),
}


def three_point(name: str, later: int = 0) -> Any:
    """The transcription of a mechanism about Hessians."""
    return MECHANISMS[name][1](lambda compressor, inner: drawn(compressor, f"curvature{inner}", later))


SYMMETRIC = {"basis": "symmetric"}
THEORY = 1.0 - np.sqrt(1.0 - D / ALL)
MODEL = T.v4(T.top_k(10), T.top_k(10))

# name: (rows a client, distance of the start, the library's method of s, the transcription of (s, x⁰))
CASES: dict[str, tuple[int, float, Callable[[Any], Method], Callable[[Any, np.ndarray], Any]]] = {
    "newton": (50, 0.1, lambda s: newton(), lambda s, x: T.newton(s.p, x, ROUNDS)),
    "newton-star": (
        50, 0.1, lambda s: newton_star(optimum=s.optimum), lambda s, x: T.newton_star(s.p, x, ROUNDS, s.optimum)
    ),
    "newton-zero": (50, 0.1, lambda s: newton_zero(), lambda s, x: T.newton_zero(s.p, x, ROUNDS)),
    "newton-zero, line search": (
        50, 1.0, lambda s: newton_zero(line_search=3), lambda s, x: T.newton_zero_ls(s.p, x, ROUNDS)
    ),
    "fednl, rank, project": (
        50, 0.1, lambda s: fednl(step="project"), lambda s, x: T.fednl(s.p, x, ROUNDS, R1)
    ),
    "fednl, topk, shift, theory": (
        50, 0.1,
        lambda s: fednl(**SYMMETRIC, compressor=TopK(D), alpha="theory"),
        lambda s, x: T.fednl(s.p, x, ROUNDS, T.top_k(D), "shift", THEORY),
    ),
    "fednl, randk, shift": (
        50, 0.1,
        lambda s: fednl(**SYMMETRIC, compressor=RandK(400)),
        lambda s, x: T.fednl(s.p, x, ROUNDS, drawn(RandK(400)), "shift", 400 / ALL),
    ),
    "fednl, plain entries": (
        50, 0.1,
        lambda s: fednl(basis="symmetric-plain", compressor=TopK(D)),
        lambda s, x: T.fednl(s.p, x, ROUNDS, T.top_k(D, 1.0), "shift"),
    ),
    "fednl-pp, rank": (
        50, 0.1,
        lambda s: fednl_pp(participation=Uniform(8)),
        lambda s, x: T.fednl_pp(s.p, x, ROUNDS, R1, sample(8)),
    ),
    "fednl-pp, randk": (
        50, 0.1,
        lambda s: fednl_pp(**SYMMETRIC, participation=Uniform(8), compressor=RandK(400), alpha=0.3),
        lambda s, x: T.fednl_pp(s.p, x, ROUNDS, drawn(RandK(400), later=1), sample(8), 0.3),
    ),
    "fednl-cr": (
        50, 1.0, lambda s: fednl_cr(), lambda s, x: T.fednl_cr(s.p, x, ROUNDS, R1, T.lipschitz(s.p))
    ),
    "fednl-ls": (50, 1.0, lambda s: fednl_ls(line_search=3), lambda s, x: T.fednl_ls(s.p, x, ROUNDS, R1)),
    "fednl-ls, topk": (  # here and in newton-3pc-ls, topk, H is indefinite: the projection has to act
        50, 2.0,
        lambda s: fednl_ls(**SYMMETRIC, compressor=TopK(D)),
        lambda s, x: T.fednl_ls(s.p, x, ROUNDS, T.top_k(D)),
    ),
    "fednl-bc, project": (
        50, 0.1,
        lambda s: fednl_bc(**SYMMETRIC, model=TopK(20), model_rate=0.75),
        lambda s, x: T.fednl_bc(s.p, x, ROUNDS, T.top_k(D), T.top_k(20), coin("anchor coin", 0.75), eta=0.75),
    ),
    "fednl-bc, shift, randk": (
        50, 0.1,
        lambda s: fednl_bc(compressor=RankR(1), step="shift", model=RandK(30)),
        lambda s, x: T.fednl_bc(
            s.p, x, ROUNDS, R1, drawn(RandK(30), "model", 1), coin("anchor coin", 0.75), "shift", eta=30 / D
        ),
    ),
    **{
        f"newton-3pc, {name}, {step}": (
            50, 0.1,
            lambda s, name=name, step=step: newton_3pc(**SYMMETRIC, mechanism=MECHANISMS[name][0], step=step),
            lambda s, x, name=name, step=step: T.newton_3pc(s.p, x, ROUNDS, three_point(name), step),
        )
        for step, name in zip(["shift", "project"] * 8, MECHANISMS, strict=True)
    },
    "newton-3pc, plain entries": (
        50, 0.1,
        lambda s: newton_3pc(basis="symmetric-plain", step="project"),
        lambda s, x: T.newton_3pc(s.p, x, ROUNDS, T.ef21(T.top_k(D, 1.0))),
    ),
    "robust-newton": (
        50, 0.1,
        lambda s: robust_newton(),
        lambda s, x: T.robust_newton(s.p, x, ROUNDS, T.ef21(T.top_k(D)), geometric_median),
    ),
    "robust-newton, pairs, cbag": (
        50, 0.1,
        lambda s: robust_newton(aggregator="bucketed:2/geometric-median", mechanism=CBAG(TopK(D), 0.75)),
        lambda s, x: T.robust_newton(s.p, x, ROUNDS, three_point("cbag"), median_of_pairs),
    ),
    "robust-newton, project": (
        50, 0.1,
        lambda s: robust_newton(step="project"),
        lambda s, x: T.robust_newton(s.p, x, ROUNDS, T.ef21(T.top_k(D)), geometric_median, "project"),
    ),
    "newton-3pc-bc, project": (
        50, 0.1,
        lambda s: newton_3pc_bc(**SYMMETRIC),
        lambda s, x: T.newton_3pc_bc(s.p, x, ROUNDS, three_point("cbag"), MODEL, coin("anchor coin", 0.75)),
    ),
    "newton-3pc-bc, shift, v2": (  # a model whose mechanism looks at the last iterate
        50, 0.1,
        lambda s: newton_3pc_bc(
            **SYMMETRIC, mechanism=EF21(TopK(D)), step="shift", model=ThreePCv2(TopK(20), RandK(30))
        ),
        lambda s, x: T.newton_3pc_bc(
            s.p, x, ROUNDS, three_point("ef21"), T.v2(drawn(RandK(30), "model/first", 1), T.top_k(20)),
            coin("anchor coin", 0.75), "shift",
        ),
    ),
    "newton-3pc-bc, lazy model": (
        50, 0.1,
        lambda s: newton_3pc_bc(mechanism=EF21(RankR(1)), gradient_p=0.5, model=CBAG(TopK(20), 0.6)),
        lambda s, x: T.newton_3pc_bc(
            s.p, x, ROUNDS, T.ef21(R1), T.cbag(T.top_k(20), coin("model/coin", 0.6, 1)), coin("anchor coin", 0.5)
        ),
    ),
    "newton-3pc-bc-pp": (
        50, 0.1,
        lambda s: newton_3pc_bc_pp(**SYMMETRIC, participation=Uniform(8)),
        lambda s, x: T.newton_3pc_bc_pp(
            s.p, x, ROUNDS, three_point("ef21"), T.ef21(T.top_k(20)), client_coin(0.75), sample(8)
        ),
    ),
    "newton-3pc-bc-pp, v2": (
        50, 0.1,
        lambda s: newton_3pc_bc_pp(
            **SYMMETRIC, participation=Uniform(8), mechanism=MECHANISMS["v2"][0], model=ThreePCv2(TopK(20), RandK(30))
        ),
        lambda s, x: T.newton_3pc_bc_pp(
            s.p, x, ROUNDS, three_point("v2", 1), T.v2(drawn(RandK(30), "model/first", 1), T.top_k(20)),
            client_coin(0.75), sample(8),
        ),
    ),
    "newton-3pc-cr": (
        50, 1.0,
        lambda s: newton_3pc_cr(mechanism=CBAG(RankR(1), 0.75)),
        lambda s, x: T.newton_3pc_cr(
            s.p, x, ROUNDS, T.cbag(R1, coin("curvature coin", 0.75)), T.lipschitz(s.p), "zero"
        ),
    ),
    "newton-3pc-ls, topk": (
        50, 1.0,
        lambda s: newton_3pc_ls(**SYMMETRIC, compressor=TopK(D)),
        lambda s, x: T.newton_3pc_ls(s.p, x, ROUNDS, T.ef21(T.top_k(D))),
    ),
    "newton-3pc-ls": (
        50, 1.0, lambda s: newton_3pc_ls(line_search=3), lambda s, x: T.newton_3pc_ls(s.p, x, ROUNDS, T.ef21(R1))
    ),
    "bl1": (
        15, 0.1, lambda s: bl1(compressor=TopK(15)),
        lambda s, x: T.bl1(s.p, x, ROUNDS, s.V, T.top_k(15), T.identity, lambda k: True),
    ),
    "bl1, shift, bidirectional": (
        15, 0.1,
        lambda s: bl1(compressor=RandK(60), step="shift", model=TopK(20), model_rate=0.9, gradient_p=0.75),
        lambda s, x: T.bl1(
            s.p, x, ROUNDS, s.V, drawn(RandK(60)), T.top_k(20), coin("anchor coin", 0.75), "shift", 60 / 120, 0.9
        ),
    ),
    "bl1, square": (
        50, 0.1, lambda s: bl1(), lambda s, x: T.bl1(s.p, x, ROUNDS, s.V, T.top_k(D), T.identity, lambda k: True)
    ),
    "bl2": (
        15, 0.1,
        lambda s: bl2(compressor=TopK(15), participation=Uniform(8), model=TopK(20), gradient_p=0.75),
        lambda s, x: T.bl2(s.p, x, ROUNDS, s.V, T.top_k(15), T.top_k(20), client_coin(0.75), sample(8)),
    ),
    "bl2, randk": (
        15, 0.1,
        lambda s: bl2(compressor=RandK(60), participation=Uniform(8), model=RandK(30), gradient_p=0.5),
        lambda s, x: T.bl2(
            s.p, x, ROUNDS, s.V, drawn(RandK(60), later=1), drawn(RandK(30), "model", 1), client_coin(0.5), sample(8),
            60 / 120, 30 / D,
        ),
    ),
    "dave-qn": (
        50, 0.1, lambda s: dave_qn(), lambda s, x: A.dave_qn(s.p, x, ROUNDS, jobs("pure"), smoothness(s.p))
    ),
    "dave-qn, all": (
        15, 1.0, lambda s: dave_qn(participation="all"),
        lambda s, x: A.dave_qn(s.p, x, ROUNDS, None, smoothness(s.p)),
    ),
    "dingo, θ = 1e-4": (50, 0.15, lambda s: dingo(), lambda s, x: T.dingo(s.p, x, ROUNDS)),
    "dingo, θ = 8": (50, 0.1, lambda s: dingo(theta=8.0), lambda s, x: T.dingo(s.p, x, ROUNDS, 8.0)),
    "dingo, authors": (
        50, 0.15, lambda s: dingo(quirks="authors"), lambda s, x: T.dingo(s.p, x, ROUNDS, authors=True)
    ),
    "giant": (50, 0.1, lambda s: giant(), lambda s, x: T.giant(s.p, x, ROUNDS)),
    "giant, farther": (50, 1.0, lambda s: giant(), lambda s, x: T.giant(s.p, x, ROUNDS)),
    "dane": (50, 0.1, lambda s: dane(), lambda s, x: T.dane(s.p, x, ROUNDS)),
    "dane, farther": (
        50, 1.0, lambda s: dane(eta=0.7, nu=0.3), lambda s, x: T.dane(s.p, x, ROUNDS, 0.7, 0.3)
    ),
    "dane, one local step": (
        50, 0.1, lambda s: dane(nu=0.05, local_steps=1), lambda s, x: T.dane(s.p, x, ROUNDS, 1.0, 0.05, 1)
    ),
    "local-newton": (50, 0.1, lambda s: local_newton(), lambda s, x: T.local_newton(s.p, x, ROUNDS)),
    "local-newton, three steps": (
        50, 0.5, lambda s: local_newton(local_steps=3), lambda s, x: T.local_newton(s.p, x, ROUNDS, 3)
    ),
    "fednew": (50, 0.1, lambda s: fednew(), lambda s, x: T.fednew(s.p, x, ROUNDS)),
    "fednew, Hessians every fourth round": (
        50, 1.0, lambda s: fednew(alpha=0.1, rho=0.3, renew=4), lambda s, x: T.fednew(s.p, x, ROUNDS, 0.1, 0.3, 4)
    ),
    "fednew, zero shot": (
        15, 0.1, lambda s: fednew(alpha=0.1, renew=0), lambda s, x: T.fednew(s.p, x, ROUNDS, 0.1, renew=0)
    ),
    "fedns": (50, 0.1, lambda s: fedns(), lambda s, x: T.fedns(s.p, x, ROUNDS, normal(18))),  # 9·40/20
    "fedns, more rows": (
        15, 0.5, lambda s: fedns(sketch=40, eta=0.5), lambda s, x: T.fedns(s.p, x, ROUNDS, normal(40), 0.5)
    ),
    "adahessian": (50, 1.0, lambda s: adahessian(), lambda s, x: T.adahessian(s.p, x, ROUNDS)),
    "adahessian, probed": (
        50, 0.5, lambda s: adahessian(diagonal="probed", eta=0.3, power=0.7, beta1=0.8, beta2=0.9, epsilon=0.01),
        lambda s, x: T.adahessian(s.p, x, ROUNDS, signs, 0.3, 0.7, 0.8, 0.9, 0.01),
    ),
    "disco": (50, 1.0, lambda s: disco(), lambda s, x: T.disco(s.p, x, ROUNDS)),
    "disco, another client, few rows": (
        15, 0.5, lambda s: disco(residual=0.2, nu=0.1, client=3), lambda s, x: T.disco(s.p, x, ROUNDS, 0.2, 0.1, 3)
    ),
    "newton-cg": (50, 1.0, lambda s: newton_cg(), lambda s, x: T.newton_cg(s.p, x, ROUNDS)),
    "newton-cg, jacobi, farther": (
        15, 3.0, lambda s: newton_cg(preconditioner="jacobi", line_search=1, backtrack=0.3),
        lambda s, x: T.newton_cg(s.p, x, ROUNDS, jacobi=True, gamma=0.3),
    ),
    "l-bfgs": (50, 1.0, lambda s: l_bfgs(), lambda s, x: T.l_bfgs(s.p, x, ROUNDS)),
    "l-bfgs, three pairs": (
        15, 0.1, lambda s: l_bfgs(memory=3, line_search=1, backtrack=0.4),
        lambda s, x: T.l_bfgs(s.p, x, ROUNDS, 3, 0.4, 1),
    ),
    "bfgs": (50, 1.0, lambda s: bfgs(), lambda s, x: T.bfgs(s.p, x, ROUNDS)),
    "bfgs, one trial": (
        15, 0.1, lambda s: bfgs(line_search=1, backtrack=0.4), lambda s, x: T.bfgs(s.p, x, ROUNDS, 0.4, 1)
    ),
    "lattice-newton": (
        50, 1.0, lambda s: lattice_newton(refreshes=0), lambda s, x: T.lattice_newton(s.p, x, ROUNDS, of_diagonals)
    ),
    "lattice-newton, farther": (
        15, 3.0, lambda s: lattice_newton(refreshes=0), lambda s, x: T.lattice_newton(s.p, x, ROUNDS, of_diagonals)
    ),
    "fib-ios": (50, 0.1, lambda s: fib_ios(), lambda s, x: T.fib_ios(s.p, x, ROUNDS)),
    "fib-ios, on a grid": (
        50, 0.2, lambda s: fib_ios(eigenvectors=3, grid=0.5), lambda s, x: T.fib_ios(s.p, x, ROUNDS, 3, grid=0.5)
    ),
    "fib-ios, four pairs": (
        50, 1.0, lambda s: fib_ios(eigenvectors=4), lambda s, x: T.fib_ios(s.p, x, ROUNDS, 4)
    ),
}  # fmt: skip


@cache
def ours(name: str) -> tuple[np.ndarray, list[SimpleNamespace]]:
    """The library's iterates in a case; and of every round the number of exchanges, what parts were announced, and the
    messages about Hessians."""
    rows, away, method, _ = CASES[name]
    s = setting(rows)
    xs, rounds = [], []
    for x, heard in played(s.problem, method(s), s.optimum + away, ROUNDS):
        told = [parts["curvature"] for _, replies in heard for parts in replies.parts if "curvature" in parts]
        announced = {part for announcement, _ in heard for part in announcement.to_all}
        xs.append(x)
        rounds.append(SimpleNamespace(exchanges=len(heard), announced=announced, told=told))
    return np.stack(xs), rounds


C = TopK(9)


def small(n: int = 5) -> GLM:
    """A problem with fewer rows a client than dimensions, so that data bases are small."""
    return dense_glm(n=n, dim=14)
