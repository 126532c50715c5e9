"""Presets: each equals its paper's box, transcribed densely; identities between presets; sockets combined at will."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import combinations, product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import transcriptions as T
from cases import dense_glm, functions_problem, sparse_glm
from played import SEED, iterates, played
from reference_data import logistic

from newtonfl.bases import DataSubspace
from newtonfl.compressors import Compressor, Identity, Natural, RandK, RankR, TopK
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
    All,
    Independent,
    Method,
    Uniform,
    bl1,
    bl2,
    dingo,
    fednl,
    fednl_bc,
    fednl_cr,
    fednl_ls,
    fednl_pp,
    fib_ios,
    giant,
    newton,
    newton_3pc,
    newton_3pc_bc,
    newton_3pc_bc_pp,
    newton_3pc_cr,
    newton_3pc_ls,
    newton_star,
    newton_zero,
)
from newtonfl.objectives.glm import GLM
from newtonfl.solver.solve import Reason, solve

ROUNDS = 15
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


# ---- the problems ----------------------------------------------------------------------------------------------------


@cache
def setting(rows: int) -> SimpleNamespace:
    """The library's problem, the transcriptions', its minimiser, and the clients' data bases; `rows` a client."""
    problem = logistic("syn40", N, rows, D, 1e-3)
    dense_rows, labels, _ = problem.host
    dense = T.Logistic(np.split(dense_rows, N), np.split(labels, N), 1e-3)
    bases = [v.T for v in problem.prepare(DataSubspace()).vectors]
    return SimpleNamespace(problem=problem, p=dense, optimum=T.minimiser(dense), V=bases)


# ---- mechanisms: the library's, and the transcription given what makes a compressor with the library's draws ---------

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
    "dingo, θ = 1e-4": (50, 0.15, lambda s: dingo(), lambda s, x: T.dingo(s.p, x, ROUNDS)),
    "dingo, θ = 8": (50, 0.1, lambda s: dingo(theta=8.0), lambda s, x: T.dingo(s.p, x, ROUNDS, 8.0)),
    "dingo, authors": (
        50, 0.15, lambda s: dingo(quirks="authors"), lambda s, x: T.dingo(s.p, x, ROUNDS, authors=True)
    ),
    "giant": (50, 0.1, lambda s: giant(), lambda s, x: T.giant(s.p, x, ROUNDS)),
    "giant, farther": (50, 1.0, lambda s: giant(), lambda s, x: T.giant(s.p, x, ROUNDS)),
    "fib-ios": (50, 0.1, lambda s: fib_ios(), lambda s, x: T.fib_ios(s.p, x, ROUNDS)),
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
    for x, heard in played(s.problem, method(s), s.optimum + away):
        told = [parts["curvature"] for _, replies in heard for parts in replies.parts if "curvature" in parts]
        announced = {part for announcement, _ in heard for part in announcement.to_all}
        xs.append(x)
        rounds.append(SimpleNamespace(exchanges=len(heard), announced=announced, told=told))
    return np.stack(xs), rounds


def disagreement(name: str) -> float:
    """The largest |x^k - transcription's x^k| of a case."""
    rows, away, _, transcription = CASES[name]
    s = setting(rows)
    return float(np.abs(ours(name)[0] - np.stack(transcription(s, s.optimum + away))).max())


@pytest.mark.parametrize("name", CASES)
def test_a_preset_is_its_papers_box(name):
    assert disagreement(name) <= 1e-9


# ---- the settings above reach what they are for ----------------------------------------------------------------------

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


# ---- identities between presets --------------------------------------------------------------------------------------

C = TopK(9)

# name: (one, the other, largest difference relative to the largest iterate; 0 asks for the same bits)
IDENTITIES: dict[str, tuple[Callable[[], Method], Callable[[], Method], float]] = {
    "newton-3pc with EF21 is fednl that steps after": (
        lambda: newton_3pc(compressor=C), lambda: fednl(compressor=C, step_uses="after"), 0.0
    ),
    "bl1 in the symmetric basis, stepping after, is newton-3pc": (
        lambda: bl1(basis="symmetric", compressor=C, step_uses="after"),
        lambda: newton_3pc(basis="symmetric", compressor=C, step="project"),
        0.0,
    ),
    "CLAG with ζ = 0 is EF21": (lambda: newton_3pc(mechanism=CLAG(C, 0.0)), lambda: newton_3pc(compressor=C), 0.0),
    "CBAG with p = 1 is EF21": (lambda: newton_3pc(mechanism=CBAG(C, 1.0)), lambda: newton_3pc(compressor=C), 0.0),
    "AdaCGD with one level is CLAG": (
        lambda: newton_3pc(mechanism=AdaCGD((C,), 2.0)), lambda: newton_3pc(mechanism=CLAG(C, 2.0)), 0.0
    ),
    "LAG is CLAG with the identity": (
        lambda: newton_3pc(mechanism=LAG(0.5)),
        lambda: newton_3pc(mechanism=partial(CLAG, zeta=0.5), compressor=Identity()),
        0.0,
    ),
    "newton-3pc-bc-pp with everyone, whole models and ξ = 1 is newton-3pc": (
        lambda: newton_3pc_bc_pp(compressor=C, participation=Uniform(5), model="exact", gradient_p=1.0),
        lambda: newton_3pc(compressor=C),
        1e-11,
    ),
    "the rotation is the data basis": (
        lambda: newton_3pc(basis="rotation", compressor=C), lambda: newton_3pc(basis="data", compressor=C), 1e-10
    ),
    "the rotation is the data basis, projected": (
        lambda: bl1(basis="rotation", compressor=C), lambda: bl1(compressor=C), 1e-10
    ),
    "fednl-bc with whole models and gradients is fednl": (
        lambda: fednl_bc(compressor=C, model="exact", gradient_p=1.0), lambda: fednl(compressor=C, step="project"), 0.0
    ),
    "the clients' ridge is the server's": (
        lambda: newton_3pc(compressor=C, ridge="clients"), lambda: newton_3pc(compressor=C), 1e-11
    ),
    "EF21 with the identity is newton": (
        lambda: newton_3pc(compressor=Identity(), alpha=1.0, step="plain"), lambda: newton(), 0.0
    ),
}  # fmt: skip


def small(n: int = 5) -> GLM:
    """A problem with fewer rows a client than dimensions, so that data bases are small."""
    return dense_glm(n=n, dim=14)


@pytest.mark.parametrize("name", IDENTITIES)
def test_identity(name):
    one, other, within = IDENTITIES[name]
    a, b = (iterates(small(), made(), np.full(14, 0.3)) for made in (one, other))
    assert np.abs(a - b).max() <= within * np.abs(b).max()
    assert len(np.unique(a, axis=0)) > 5  # it moves


@pytest.mark.parametrize("uses, behind", [("after", 0), ("before", 1)])
def test_the_identity_compressor_gives_newton_perhaps_a_round_behind(uses, behind):
    s = setting(50)
    x = [s.optimum + 0.1]
    for k in range(ROUNDS):
        x.append(x[-1] - np.linalg.solve(s.p.total_hessian(x[max(k - behind, 0)]), s.p.total_gradient(x[-1])))
    for step in ("project", "plain"):
        ours = iterates(s.problem, newton_3pc(compressor=Identity(), alpha=1.0, step_uses=uses, step=step), x[0])
        assert np.abs(ours - np.stack(x[1:])).max() <= 1e-11


# ---- rounds without a Hessian ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, always",
    [({"step": "project"}, False), ({"l": "last"}, False), ({"l": "fresh"}, True)],
    ids=["project", "last l", "fresh l"],
)
def test_on_tails_hessians_are_computed_for_a_fresh_l_alone(settings, always):
    """CBAG, BAG: on tails nobody computes one, unless l is to be of this round; and the notes say so."""
    problem = small()
    heads = [coin("curvature coin", 0.5)(k) for k in range(ROUNDS)]
    assert set(heads[1:]) == {True, False}
    for mechanism in (CBAG(C, 0.5), BAG(0.5)):
        method = newton_3pc(mechanism=mechanism, **settings)
        counts = [problem.hessian_counts.copy() for _ in played(problem, method, np.full(14, 0.3))]
        for k in range(1, ROUNDS):
            assert (counts[k] - counts[k - 1] == (1 if always or heads[k] else 0)).all()
        assert any("fresh l" in note for note in method.resolved(problem).notes()) == always
    assert newton_3pc(compressor=C, **settings).resolved(problem).notes() == []


# ---- sockets combined at will ----------------------------------------------------------------------------------------

REFUSED: list[tuple[Callable[[], Method], type[Exception], str]] = [
    *(
        (partial(make, participation=Uniform(2), **settings), ValueError, "FedNL without l cannot take part partially")
        for make, settings in product(
            (fednl, newton_3pc), ({"step": "project"}, {"step": "plain"}, {"step": "cubic"}, {"line_search": 5})
        )
    ),
    (lambda: fednl(participation=Uniform(2)), ValueError, "step_uses=after"),
    (lambda: fednl(participation=Uniform(2), gradient=TopK(3)), ValueError, "gradient=exact"),
    (lambda: fednl(participation=Uniform(9)), ValueError, "at most 5"),
    (lambda: fednl(participation=Uniform(0)), ValueError, "at least 1"),
    (lambda: fednl(participation=Independent(0.0)), ValueError, r"probability in \(0, 1\]"),
    (lambda: fednl(participation=8), TypeError, "must be a Participation"),
    (lambda: fednl_pp(step="project"), TypeError, "fednl-pp has no setting 'step'"),
    (lambda: fednl_bc(participation=Uniform(2)), TypeError, "has no setting 'participation'"),
    (lambda: newton(compressor=C), TypeError, "newton has no setting 'compressor'"),
    (lambda: newton_3pc(mechanism=CLAG(C), compressor=C), ValueError, "holds its own compressor"),
    (lambda: newton_3pc(mechanism="clag"), TypeError, "must be a Mechanism"),
    (lambda: newton_3pc(mechanism=Marina(C)), ValueError, "must be unbiased"),
    (lambda: newton_3pc(mechanism=ThreePCv2(C, C)), ValueError, "must be unbiased"),
    (lambda: newton_3pc(mechanism=ThreePCv3(C, EF21(C, 0.5))), ValueError, "and alpha = 1"),
    (lambda: newton_3pc(mechanism=AdaptiveTopK(RankR(1))), ValueError, "must be a TopK"),
    (lambda: newton_3pc(mechanism=CBAG(C, 0.0)), ValueError, r"probability in \(0, 1\]"),
    (lambda: newton_3pc(mechanism=CLAG(C, -1.0)), ValueError, "zeta: given -1"),
    (lambda: newton_3pc(compressor=RandK(9), alpha=1.0), ValueError, "alpha=theory"),
    (lambda: newton_3pc(compressor=RandK(9), wire="natural"), ValueError, "wire=natural"),
    (lambda: newton_3pc_ls(gradient_p=0.5), ValueError, "line search needs gradient_p=1"),
    (lambda: newton_3pc(gradient_p=0.0), ValueError, "gradient_p"),
    (lambda: newton_3pc(gradient="lazy"), ValueError, "allowed are exact"),
    (lambda: newton_3pc(model=RankR(1)), ValueError, "these are vectors"),
    (lambda: newton_3pc(model=3), TypeError, "must be 'exact', a Compressor or a Mechanism"),
    (lambda: newton_3pc(basis="fourier"), ValueError, "allowed are auto, .*symmetric, symmetric-plain"),
    (lambda: newton_3pc(basis="support"), ValueError, "needs sparse rows"),
    (lambda: newton_3pc(basis="data", ridge="clients"), ValueError, "the ridge does not"),
    (lambda: newton_3pc(basis="data", init="zero-total"), ValueError, "the ridge does not"),
    (lambda: newton_3pc(step="jump"), ValueError, "shift, project, plain, cubic"),
    (lambda: newton_3pc(step="cubic", lipschitz=-1.0), ValueError, "lipschitz"),
    (lambda: newton_3pc(line_search=5, armijo=0.9), ValueError, "armijo"),
    (lambda: newton_star(), ValueError, "optimum"),
    (lambda: newton_star(optimum=np.zeros(3)), ValueError, "d = 14"),
]


@pytest.mark.parametrize("make, kind, words", REFUSED)
def test_what_does_not_go_together_is_refused_in_words(make, kind, words):
    with pytest.raises(kind, match=words):
        make().resolved(small())


def test_a_cubic_step_without_a_lipschitz_constant_is_refused():
    with pytest.raises(ValueError, match="lipschitz"):
        newton_3pc(step="cubic").resolved(functions_problem()[0])


SMALL = TopK(9)
GRID: dict[str, list[Any]] = {
    "rows": ["dense", "sparse"],
    "mechanism": [
        EF21(SMALL), EF21(RankR(1)), EF21(RandK(12)), EF21(Natural()), LAG(1.0), CLAG(SMALL), CBAG(SMALL, 0.7),
        BAG(0.7), ThreePCv1(SMALL), ThreePCv2(SMALL, RandK(14)), ThreePCv3(SMALL, CLAG(SMALL)),
        ThreePCv4(SMALL, RandK(12)), ThreePCv5(SMALL, 0.3),
        Marina(RandK(14), 0.3), AdaCGD((TopK(3), SMALL, TopK(28))), AdaptiveTopK(SMALL),
    ],
    "basis": ["auto", "symmetric", "symmetric-plain", "support", "data", "rotation", "psd"],
    "gradient": ["exact", EF21(TopK(4)), BAG(0.5)],
    "gradient_p": [1.0, 0.6],
    "model": ["exact", TopK(4), ThreePCv4(TopK(2), TopK(2))],
    "participation": [All(), Uniform(2), Independent(0.6)],
    "step": ["shift", "project", "cubic"],
    "shift_norm": ["frobenius", "spectral"],
    "l": ["fresh", "last"],
    "line_search": [0, 5],
    "init": ["hessian", "zero", "zero-total"],
    "step_uses": ["after", "before"],
    "ridge": ["server", "clients"],
    "wire": ["float64", "float32", "natural"],
}  # fmt: skip


def mixed() -> list[dict[str, Any]]:
    """Combinations of the grid such that every two of its values, of different keys, meet in one of them."""
    draw, places = np.random.default_rng(0), list(combinations(range(len(GRID)), 2))
    size = [len(values) for values in GRID.values()]
    open_ = {(a, i, b, j) for a, b in places for i in range(size[a]) for j in range(size[b])}
    found = []
    while open_:
        a, i, b, j = min(open_)
        tries = [[int(draw.integers(most)) for most in size] for _ in range(30)]
        for one in tries:
            one[a], one[b] = i, j
        meets = [open_ & {(a, one[a], b, one[b]) for a, b in places} for one in tries]
        best = max(range(len(tries)), key=lambda t: len(meets[t]))
        open_ -= meets[best]
        found.append({key: values[i] for (key, values), i in zip(GRID.items(), tries[best], strict=True)})
    return found


def mended(given: dict[str, Any]) -> dict[str, Any]:
    """The combination with what its parts need of each other."""
    made = dict(given)
    if made["participation"].partial:
        made |= {"step": "shift", "line_search": 0, "gradient": "exact", "step_uses": "after"}
    if made["gradient_p"] < 1:
        made |= {"line_search": 0}
    if made["participation"].partial and made["wire"] == "natural":
        made |= {"wire": "float32"}
    if made["basis"] == "data":
        made |= {"ridge": "server", "init": "hessian" if made["init"] == "zero-total" else made["init"]}
    if made["basis"] == "support":
        made |= {"rows": "sparse", "basis": "support" if made["mechanism"].acts_on == "vector" else "symmetric"}
    sends_whole = isinstance(made["mechanism"], ThreePCv1 | ThreePCv5)
    if sends_whole or not all(isinstance(c, TopK | Identity) for c in made["mechanism"].compressors()):
        made |= {"wire": "float32" if made["wire"] == "natural" else made["wire"]}
    return made


ROWS = {"dense": dense_glm, "sparse": sparse_glm}
MIXED = mixed()


def test_what_needs_no_mending_is_taken_and_all_else_refused_in_words():
    for given in MIXED:
        settings = dict(given)
        problem = ROWS[settings.pop("rows")]()
        if mended(given) == given:
            newton_3pc(**settings).resolved(problem)
            continue
        with pytest.raises(ValueError, match=r"\b(use|needs)\b"):
            newton_3pc(**settings).resolved(problem)


@pytest.mark.parametrize("which", range(len(MIXED)))
def test_a_combination_that_no_paper_has_converges(which):
    settings = mended(MIXED[which])
    result = solve(ROWS[settings.pop("rows")](n=3), newton_3pc(**settings), tol=1e-6, rounds=400)
    assert result.reason is Reason.CONVERGED, result.reason


@pytest.mark.parametrize("model", ["exact", TopK(4), ThreePCv2(TopK(4), RandK(5))], ids=["exact", "topk", "v2"])
def test_a_round_in_which_nobody_takes_part_changes_nothing(model):
    method = newton_3pc(participation=Independent(0.2), model=model)
    rounds = list(played(dense_glm(), method, np.zeros(7), 40))
    empty = [k for k, (_, heard) in enumerate(rounds) if not len(heard[0][1].clients)]
    assert len(empty) > 5
    for k in empty:
        np.testing.assert_array_equal(rounds[k][0], rounds[k - 1][0])
    assert not np.array_equal(rounds[-1][0], rounds[0][0])
