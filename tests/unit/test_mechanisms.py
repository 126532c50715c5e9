"""Mechanisms: two ends that only share messages hold the same bits, and settle where theory says."""

from __future__ import annotations

import numpy as np
import pytest
from cases import BASES, COMPRESSORS, DIM, MECHANISMS, carried, dense_glm, sparse_glm, vectors, wired

from newtonfl.bases import Coordinates, Symmetric
from newtonfl.comm.messages import Dense, Nothing
from newtonfl.compressors import Contracted, Identity, RandK, RankR, Rounded, TopK
from newtonfl.core.ragged import Blocks
from newtonfl.core.random import Key
from newtonfl.mechanisms import (
    BAG,
    CBAG,
    CLAG,
    EF21,
    EFBV,
    LAG,
    AdaCGD,
    AdaptiveTopK,
    Dasha,
    Diana,
    EControl,
    Frozen,
    Marina,
    Mechanism,
    Memory,
    SendResult,
    ThreePCv1,
    ThreePCv2,
    ThreePCv3,
    ThreePCv4,
    ThreePCv5,
)
from newtonfl.mechanisms.constants import omega

SPACES = ["vector", *BASES]
ROUNDS = 5


def space_of(name: str, n: int = 1) -> Coordinates:
    """Coordinates of n clients: plain vectors, or a basis on a problem that has it."""
    return Coordinates(np.full(n, DIM)) if name == "vector" else BASES[name].of(sparse_glm(n=n, seed=3))


def combinations() -> list[tuple[str, str, str, str]]:
    """(space, mechanism, compressor, precision): in every space every mechanism, in one EF21 with every compressor."""
    found = [("symmetric", "ef21", name, precision) for name, precision in wired()]
    for space in SPACES:
        whole = space in ("symmetric", "symmetric-plain")
        found += [(space, mechanism, "topk", "float64") for mechanism in MECHANISMS if mechanism != "marina"]
        found += [(space, name, "randk", "float32") for name in MECHANISMS if name not in ("frozen", "adaptive-topk")]
        found += [(space, name, "rank", "float32") for name in ("clag", "v2", "v4", "adacgd") if whole]
    return found


def made(mechanism: str, compressor: str, precision: str) -> Mechanism:
    """The mechanism, with every compressor in it at a precision."""
    whole = MECHANISMS[mechanism](COMPRESSORS[compressor])
    return whole.on_wire(lambda inner: Rounded(inner, precision)).for_dimension(DIM)


def a_round(
    vector_mechanism: Mechanism, memory: Memory, target: Blocks, space: Coordinates, clients, k: int
) -> SendResult | None:
    """What is sent in round k; the coin shows heads in even rounds. None where the mechanism rests."""
    coin = vector_mechanism.coin is None or k % 2 == 0
    return (
        None if vector_mechanism.skips(coin) else vector_mechanism.send(memory, target, space, clients, Key(0, k), coin)
    )


def in_use(vector_mechanism: Mechanism, before: Blocks, after: Blocks) -> Blocks:
    """The clients' estimates in use: h after, h before, or as far along from the one to the other as gain/rate says."""
    memory_rates, estimate_rates = (
        vector_mechanism.memory_rates(after.sizes),
        vector_mechanism.estimate_rates(after.sizes),
    )
    if np.array_equal(memory_rates, estimate_rates):
        return after
    along = np.repeat(estimate_rates / np.where(memory_rates > 0, memory_rates, 1.0), after.sizes)
    return after.replaced(before.values + along * (after.values - before.values))


def one_estimate(vector_mechanism: Mechanism, sizes: np.ndarray) -> bool:
    """Whether the estimate in use is h itself, of before or after the message."""
    estimate_rates = vector_mechanism.estimate_rates(sizes)
    return not estimate_rates.any() or np.array_equal(estimate_rates, vector_mechanism.memory_rates(sizes))


@pytest.mark.parametrize("space, mechanism, compressor, precision", combinations())
def test_both_ends_hold_the_same_bits(space, mechanism, compressor, precision):
    """One client of weight 1: its h and the server's mean agree in every bit, round after round, over real packets."""
    coordinates, vector_mechanism = space_of(space), made(mechanism, compressor, precision)
    vector_mechanism.check(coordinates)
    draw, size = np.random.default_rng(0), int(coordinates.sizes[0])
    memory, weights, clients = vector_mechanism.init_memory(vectors(coordinates, draw)), np.ones(1), np.array([0])
    start = memory.estimate.values.copy()
    total = coordinates.accumulate(np.zeros(coordinates.total_size), [Dense(start)], weights)
    exact = space not in ("data", "rotation")  # there the server's coordinates are others
    for k in range(ROUNDS):
        target, before = vectors(coordinates, draw), memory.estimate.replaced(memory.estimate.values.copy())
        sent = a_round(vector_mechanism, memory, target, coordinates, clients, k)
        if sent is None:
            continue
        memory = sent.memory
        arrived = [carried(message, size) for message in sent.messages]
        total, estimate = vector_mechanism.receive(total, arrived, coordinates, weights)
        used = in_use(vector_mechanism, before, memory.estimate).values
        single = one_estimate(vector_mechanism, coordinates.sizes)
        for server, client, same in ((total, memory.estimate.values, exact), (estimate, used, exact and single)):
            told = coordinates.accumulate(np.zeros(coordinates.total_size), [Dense(client)], weights)
            np.testing.assert_allclose(server, told, rtol=0, atol=0 if same else 1e-13)
        np.testing.assert_allclose(sent.residual.values, target.values - used, rtol=0, atol=1e-13)
    assert np.array_equal(memory.estimate.values, start) == (mechanism == "frozen")


@pytest.mark.parametrize("space, mechanism, compressor, precision", [c for c in combinations() if c[3] == "float32"])
def test_the_server_holds_the_weighted_mean(space, mechanism, compressor, precision):
    """Three clients of unequal weight: the server's sum is that of the clients' states, up to rounding."""
    coordinates, weights, clients = space_of(space, 3), np.array([0.5, 0.3, 0.2]), np.array([2, 5, 6])
    vector_mechanism = made(mechanism, compressor, precision)
    draw = np.random.default_rng(1)
    memory = vector_mechanism.init_memory(vectors(coordinates, draw))

    def summed(blocks):
        return coordinates.accumulate(np.zeros(coordinates.total_size), [Dense(b) for b in blocks], weights)

    mean = summed(memory.estimate)
    for k in range(ROUNDS):
        before = memory.estimate.replaced(memory.estimate.values.copy())
        sent = a_round(vector_mechanism, memory, vectors(coordinates, draw), coordinates, clients, k)
        if sent is None:
            continue
        memory = sent.memory
        arrived = [carried(m, int(size)) for m, size in zip(sent.messages, coordinates.sizes, strict=True)]
        mean, estimate = vector_mechanism.receive(mean, arrived, coordinates, weights)
        np.testing.assert_allclose(mean, summed(memory.estimate), rtol=0, atol=1e-13)
        used = summed(in_use(vector_mechanism, before, memory.estimate))
        np.testing.assert_allclose(estimate, used, rtol=0, atol=1e-13)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_hearing_some_of_the_clients(space, mechanism):
    """Clients 3 and 1 alone speak, in that order: each moves the mean by its own weight, rate and coordinates."""
    coordinates, draw = space_of(space, 4), np.random.default_rng(4)
    vector_mechanism = MECHANISMS[mechanism](COMPRESSORS["randk" if mechanism == "marina" else "topk"]).for_dimension(
        DIM
    )
    told, target = vectors(coordinates, draw), vectors(coordinates, draw)
    start = told.values.copy()
    sent = a_round(vector_mechanism, vector_mechanism.init_memory(told), target, coordinates, np.arange(4), 0)
    if sent is None:
        assert mechanism == "frozen"
        return
    speakers, weights = np.array([3, 1]), np.array([0.7, 0.3])
    moves = [Dense(sent.memory.estimate[i] - told.replaced(start)[i]) for i in speakers]
    begin = draw.standard_normal(coordinates.total_size)
    moved = coordinates.accumulate(begin.copy(), moves, weights, speakers)
    heard = [sent.messages[i] for i in speakers]
    mean, estimate = vector_mechanism.receive(begin.copy(), heard, coordinates, weights, speakers)
    np.testing.assert_allclose(mean, moved, rtol=0, atol=1e-13)
    if one_estimate(vector_mechanism, coordinates.sizes):
        assert np.array_equal(estimate, mean if vector_mechanism.estimate_rates(coordinates.sizes).any() else begin)
        return
    used = in_use(vector_mechanism, told.replaced(start), sent.memory.estimate)
    ahead = [Dense(used[i] - told.replaced(start)[i]) for i in speakers]
    for sampling_scale in (1.0, 2.5):  # where they stand for all, their news counts more
        _, estimate = vector_mechanism.receive(begin.copy(), heard, coordinates, weights, speakers, sampling_scale)
        told_of = coordinates.accumulate(begin.copy(), ahead, sampling_scale * weights, speakers)
        np.testing.assert_allclose(estimate, told_of, rtol=0, atol=1e-12)


@pytest.mark.parametrize("space", SPACES)
def test_ef21_with_the_identity_arrives(space):
    """In one round at the target, wherever it starts; there the next difference is nothing but rounding."""
    coordinates, draw = space_of(space, 3), np.random.default_rng(2)
    state, target = vectors(coordinates, draw), vectors(coordinates, draw)
    clients = np.arange(3)
    sent = EF21(Identity()).send(Memory(state), target, coordinates, clients, Key(0))
    np.testing.assert_allclose(sent.memory.estimate.values, target.values, rtol=0, atol=1e-15)
    np.testing.assert_allclose(sent.residual.values, 0, rtol=0, atol=1e-15)
    with_rounding = EF21(Rounded(Identity(), "float32"))
    memory = Memory(target.replaced(np.zeros_like(target.values)))
    for k in range(4):  # each round gains float32's 24 bits
        memory = with_rounding.send(memory, target, coordinates, clients, Key(0, k)).memory
    np.testing.assert_array_equal(memory.estimate.values, target.values)


@pytest.mark.parametrize("name", ["topk", "rank"])
@pytest.mark.parametrize("alpha", ["auto", "theory", 0.5])
def test_ef21_settles_at_its_rate(name, alpha):
    """To a fixed target: ‖h⁺ - X‖² ≤ (1 - δ)‖h - X‖² at α = 1, and ‖h⁺ - X‖ ≤ (1 - α + α√(1-δ))‖h - X‖ at any α."""
    coordinates = Symmetric().of(dense_glm(n=1))
    vector_mechanism = EF21(COMPRESSORS[name], alpha)
    draw = np.random.default_rng(3)
    state, target = vectors(coordinates, draw), vectors(coordinates, draw)
    rate = vector_mechanism.memory_rates(coordinates.sizes)[0]
    left = np.sqrt(1 - COMPRESSORS[name].contract(int(coordinates.sizes[0])).delta)
    distance = np.linalg.norm((target - state).values)
    for k in range(20):
        state = vector_mechanism.send(Memory(state), target, coordinates, np.array([0]), Key(0, k)).memory.estimate
        now = np.linalg.norm((target - state).values)
        assert now <= (1 - rate + rate * left) * distance * (1 + 1e-12)
        distance = now


def test_fednls_form_uses_the_old_estimate():
    """gain 0 (arXiv 2106.02969, Algorithm 1): the step sees the mean from before the messages; the mean moves by α."""
    vector_mechanism = EF21(TopK(2), alpha=0.5, step_uses="before")
    space = Coordinates(np.full(2, 4))
    state = Blocks.of([np.zeros(4), np.ones(4)])
    target = Blocks.of([np.array([4.0, -2.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0, 3.0])])
    sent = vector_mechanism.send(Memory(state), target, space, np.arange(2), Key(0))
    np.testing.assert_array_equal(sent.residual.values, target.values - [0, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(sent.memory.estimate.values, [2, -1, 0, 0, 1, 1, 1, 2])
    old = np.array([0.5, 0.5, 0.5, 0.5])
    mean, estimate = vector_mechanism.receive(old.copy(), sent.messages, space, np.array([0.5, 0.5]))
    np.testing.assert_array_equal(estimate, old)
    np.testing.assert_array_equal(mean, [1.5, 0, 0.5, 1])
    assert vector_mechanism.estimate_rates(space.sizes).tolist() == [0, 0] and vector_mechanism.memory_rates(
        space.sizes
    ).tolist() == [0.5, 0.5]


def test_frozen_never_sends():
    """It always rests: nobody computes a target for it, and nothing moves."""
    space = Coordinates(np.array([2, 2]))
    assert Frozen().skips(True) and Frozen().skips(False) and Frozen().coin is None
    assert Frozen().memory_rates(space.sizes).tolist() == Frozen().estimate_rates(space.sizes).tolist() == [0, 0]
    with pytest.raises(ValueError, match="frozen never approaches its target"):
        Frozen().constants(5)


# --- the other mechanisms, by their definitions

H, Y, X = np.random.default_rng(8).standard_normal((3, 9))
ONE, KEY = Coordinates(np.array([9])), Key(5)


def result(vector_mechanism: Mechanism, h=H, y=Y, x=X, coin: bool = True, key: Key = KEY) -> np.ndarray:
    """C_{h,y}(x), one client of number 0."""
    blocks = [Blocks.of([v.copy()]) for v in (h, y, x)]
    sent = vector_mechanism.send(Memory(blocks[0], blocks[1]), blocks[2], ONE, np.array([0]), key, coin)
    return sent.memory.estimate.values


def c(compressor, v: np.ndarray, key: Key = KEY) -> np.ndarray:
    """C(v), with the stream that client 0 has."""
    whole = np.zeros(len(v))
    indices, values = compressor.compress(v, key.of(0)).coordinates()
    whole[... if indices is None else indices] = values
    return whole


def near(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)


C2, C4, Q = TopK(2), TopK(4), RandK(3)


def test_v1_starts_afresh_from_the_last_target():
    """y + C(x - y) (arXiv 2202.00998, 3PCv1); all of it is told."""
    near(result(ThreePCv1(C2)), Y + c(C2, X - Y))
    sent = ThreePCv1(C2).send(Memory(Blocks.of([H + 0]), Blocks.of([Y])), Blocks.of([X]), ONE, np.array([0]), Key(5))
    assert isinstance(sent.messages[0], Dense) and sent.messages[0].formula_bits == 32 * 9


def test_v2_is_an_unbiased_step_and_a_correction():
    """b + C(x - b) with b = h + Q(x - y)."""
    b = H + c(Q, X - Y, Key(5).to("first"))
    near(result(ThreePCv2(C2, Q)), b + c(C2, X - b))
    with pytest.raises(ValueError, match="3pc-v2: its first compressor must be unbiased, such as randk, given topk:4"):
        ThreePCv2(C2, C4).for_dimension(DIM)
    assert ThreePCv2(RandK(2), Q).for_dimension(DIM).compressor == Contracted(RandK(2))


@pytest.mark.parametrize(
    "inner", [CLAG(C4, 0.5), ThreePCv1(C4), ThreePCv5(C4, 0.5), CBAG(C4, 0.5)], ids=lambda m: str(m)
)
@pytest.mark.parametrize("coin", [True, False])
def test_v3_corrects_another_mechanism(inner, coin):
    """b + C(x - b) with b = C¹_{h,y}(x), whichever way the coin falls for C¹."""
    b = H if inner.skips(coin) else result(inner, coin=coin, key=Key(5).to("inner"))
    near(result(ThreePCv3(C2, inner), coin=coin), b + c(C2, X - b))
    assert ThreePCv3(C2, inner).coin == inner.coin and not ThreePCv3(C2, inner).skips(coin)


def test_v3_needs_a_mechanism_that_moves_in_full():
    with pytest.raises(ValueError, match="3pc-v3: ef21 moves by less than its message says"):
        ThreePCv3(C2, EF21(C4, 0.5)).check(ONE)
    ThreePCv3(C2, EF21(C4)).check(ONE)
    with pytest.raises(TypeError, match=r"inner: given .*, must be a Mechanism"):
        ThreePCv3(C2, C4)


def test_v4_compresses_twice():
    """b + C₁(x - b) with b = h + C₂(x - h)."""
    b = H + c(C4, X - H)
    near(result(ThreePCv4(C2, C4)), b + c(C2, X - b))
    near(result(ThreePCv4(C2, Identity())), X)
    drawn = Contracted(Q)  # the two draw apart
    b = H + c(drawn, X - H, Key(5).to("first"))
    near(result(ThreePCv4(drawn, drawn)), b + c(drawn, X - b))


@pytest.mark.parametrize("kind, compressor", [(ThreePCv5, C2), (Marina, Q)])
def test_v5_and_marina_tell_the_change_and_now_and_then_the_whole(kind, compressor):
    """x on heads, else h + C(x - y)."""
    vector_mechanism = kind(compressor, 0.3)
    near(result(vector_mechanism, coin=True), X)
    near(result(vector_mechanism, coin=False), H + c(compressor, X - Y))
    assert vector_mechanism.coin == 0.3 and not vector_mechanism.skips(True) and not vector_mechanism.skips(False)


def test_cbag_and_bag_rest_on_tails():
    """h + C(x - h) on heads; on tails nobody needs a target."""
    for vector_mechanism, on_heads in ((CBAG(C2, 0.6), H + c(C2, X - H)), (BAG(0.6), X)):
        near(result(vector_mechanism), on_heads)
        assert vector_mechanism.coin == 0.6 and vector_mechanism.skips(False) and not vector_mechanism.skips(True)


@pytest.mark.parametrize("share, participants", [(0.99, False), (1.0, False), (1.01, True)])
def test_lag_and_clag_speak_where_the_error_has_grown(share, participants):
    """‖x - h‖² > ζ‖x - y‖², strictly; else h, and a word of nothing. Beside a client that speaks, too."""
    y, x = np.zeros(9), np.eye(9)[0] * 2
    h = x + np.sqrt(share) * np.eye(9)[1]  # ‖x - h‖² = share, ‖x - y‖² = 4
    for vector_mechanism, participates in ((CLAG(C2, 0.25), h + c(C2, x - h)), (LAG(0.25), x)):
        if share == 1.0:
            h = x + np.eye(9)[1]
        near(result(vector_mechanism, h, y, x), participates if participants else h)
        told = Memory(Blocks.of([h + 0, 9 * x]), Blocks.of([y, y]))
        pair = Coordinates(np.array([9, 9]))
        sent = vector_mechanism.send(told, Blocks.of([x, x]), pair, np.arange(2), Key(5))
        assert [isinstance(message, Nothing) for message in sent.messages] == [not participants, False]


def test_adacgd_climbs_its_ladder():
    """h, then h + C_j(x - h): the first whose error is at most ζ‖x - y‖², else the last (arXiv 2211.00188)."""
    levels = (TopK(1), TopK(2), TopK(3))
    x, h = np.zeros(9), np.zeros(9)
    x[:4] = 4.0, 3.0, 2.0, 1.0  # what is left after 0, 1, 2, 3 entries: 30, 14, 5, 1
    visited = []
    for allowed in (30.0, 29.9, 14.0, 13.9, 5.0, 4.9, 1.0, 0.9):
        y = x + np.sqrt(allowed / 2) * np.eye(9)[8]
        told = result(AdaCGD(levels, 2.0 * (1 + 1e-12)), h, y, x)
        visited.append(int(np.count_nonzero(told)))
        near(told, c(TopK(max(visited[-1], 1)), x) if visited[-1] else h)
    assert visited == [0, 1, 1, 2, 2, 3, 3, 3]
    near(result(AdaCGD(levels, 0.0)), H + c(levels[-1], X - H))
    one = [result(kind, H, X + 0.9 * (Y - X), X) for kind in (AdaCGD((C2,), 0.5), CLAG(C2, 0.5))]
    near(*one)


@pytest.mark.parametrize("ratio, k", [(0.0, 0), (0.1, 1), (0.12, 2), (0.34, 4), (0.44, 4), (2.0, 4)])
def test_adaptive_topk_tells_as_many_as_the_target_moved(ratio, k):
    """K' = min{⌈D‖y - h‖²/‖x - h‖²⌉, K} with D = 9, K = 4; nothing where x = h."""
    h, x = np.zeros(9), X
    y = h + np.sqrt(ratio) * np.linalg.norm(X) * np.eye(9)[2]
    near(result(AdaptiveTopK(C4), h, y, x), c(TopK(k), x) if k else h)
    near(result(AdaptiveTopK(C4), X, Y, X), X)
    near(result(AdaptiveTopK(Rounded(C4, "float32")), h, X * 0, x), h)
    with pytest.raises(ValueError, match=r"adaptive-topk: given the compressor .*, must be a TopK"):
        AdaptiveTopK(RandK(3))


@pytest.mark.parametrize(
    "vector_mechanism, a, b",
    [
        (EF21(TopK(15)), 0.5, 0.5),  # δ = 3/4, √(1-δ) = 1/2
        (EF21(TopK(15), 0.5), 0.25, 2.25),
        (CLAG(TopK(15), 0.1), 0.5, 0.5),
        (CLAG(TopK(15), 2.0), 0.5, 2.0),
        (LAG(3.0), 1.0, 3.0),
        (CBAG(TopK(15), 1.0), 0.5, 0.5),
        (BAG(0.75), 0.5, 0.5),
        (ThreePCv1(TopK(15)), 1.0, 0.25),
        (ThreePCv2(TopK(15), RandK(5)), 0.75, 0.75),
        (ThreePCv3(TopK(10), CLAG(TopK(15), 2.0)), 0.75, 1.0),
        (ThreePCv4(TopK(10), TopK(10)), 0.5, 0.5),
        (ThreePCv5(TopK(15), 0.75), 0.5, 0.125),
        (Marina(RandK(5), 0.25), 0.25, 2.25),
        (Dasha(RandK(5)), 1 / 7, 6.0),
        (Dasha(RandK(5), 0.2), 0.12, 6.0),
        (AdaCGD((TopK(15), Identity()), 0.1), 0.5, 0.5),
        (AdaCGD((TopK(15), Identity()), 2.0), 0.5, 2.0),
        (AdaptiveTopK(TopK(5)), 0.125, 5.25),
        (AdaptiveTopK(TopK(15)), 0.375, 3.0),
    ],
    ids=lambda value: str(value) if isinstance(value, Mechanism) else "",
)
def test_constants(vector_mechanism, a, b):
    """(A, B) on 20 coordinates, by the papers' table."""
    assert vector_mechanism.constants(20) == pytest.approx((a, b), rel=1e-14)


# --- α


@pytest.mark.parametrize(
    "compressor, alpha, sizes, memory_rates",
    [
        (TopK(5), "auto", [20, 4], [1, 1]),
        (TopK(5), "theory", [20, 5, 4], [1 - np.sqrt(0.75), 1, 1]),
        (TopK(5), 0.3, [20, 4], [0.3, 0.3]),
        (RankR(2), "theory", [28], [1 - np.sqrt(5 / 7)]),
        (RandK(5), "auto", [20, 10, 4], [0.25, 0.5, 1]),  # 1/(ω + 1) = K/N
        (RandK(5), "theory", [20, 10, 4], [0.25, 0.5, 1]),
        (RandK(5), 0.25, [20, 10], [0.25, 0.25]),
        (RandK(5), 1.0, [5, 4], [1, 1]),  # everything is sent: ω = 0
        (Rounded(RandK(5), "float32"), "auto", [20], [0.25]),
        (Identity(), "theory", [20], [1]),
    ],
    ids=str,
)
def test_the_learning_rate(compressor, alpha, sizes, memory_rates):
    """theory: 1 - √(1-δ) or 1/(ω+1), for each client; auto: 1 where contractive (ALGORITHMS.md, 3.1, step rules)."""
    found = EF21(compressor, alpha).memory_rates(np.array(sizes))
    np.testing.assert_allclose(found, memory_rates, rtol=1e-14)
    assert EF21(compressor, alpha, step_uses="before").estimate_rates(np.array(sizes)).tolist() == [0] * len(sizes)
    assert EF21(compressor, alpha, step_uses="after").estimate_rates(np.array(sizes)).tolist() == found.tolist()


@pytest.mark.parametrize("alpha", [1.0, 0.26])
def test_a_rate_above_one_over_omega_plus_one_is_refused(alpha):
    """With an unbiased compressor it need not converge: refused when the method is checked, and whenever it is used."""
    space = Coordinates(np.array([20, 4]))
    vector_mechanism = EF21(RandK(5), alpha)
    words = (
        rf"alpha: given {alpha}, randk:5 is unbiased with ω = 3 and allows at most 1/\(ω\+1\) = 0.25: use alpha=theory"
    )
    for act in (lambda: vector_mechanism.check(space), lambda: vector_mechanism.memory_rates(space.sizes)):
        with pytest.raises(ValueError, match=words):
            act()
    EF21(TopK(5), 1.0).check(space)


def test_mechanisms_refuse_coordinates_that_their_compressor_cannot_serve():
    """Matrices on vectors or on a support; Frozen serves all."""
    for space in ("vector", "support"):
        with pytest.raises(ValueError, match="rank:1 compresses"):
            EF21(RankR(1)).check(space_of(space))
        Frozen().check(space_of(space))


def test_settings_in_multiples_of_the_dimension_become_numbers():
    """Through the mechanism to its compressor."""
    assert EF21(TopK("2d")).for_dimension(7).compressor == TopK(14)
    assert EF21(RankR(1)).acts_on == "symmetric" and EF21(TopK(1)).acts_on == "vector"
    told = {"mechanism": "ef21", "compressor": "topk:2d", "alpha": "theory", "step_uses": "before"}
    assert EF21(TopK("2d"), "theory", step_uses="before").preset_settings() == told


@pytest.mark.parametrize(
    "make",
    [
        EF21, CLAG, CBAG, ThreePCv1, AdaptiveTopK, ThreePCv5, Marina, EFBV, Diana, EControl, Dasha,
        lambda wrong: ThreePCv2(wrong, Q), lambda wrong: ThreePCv2(C2, wrong), lambda wrong: ThreePCv3(wrong, LAG(2.0)),
        lambda wrong: ThreePCv4(wrong, C2), lambda wrong: ThreePCv4(C2, wrong), lambda wrong: AdaCGD((C2, wrong)),
    ],
)  # fmt: skip
def test_what_is_no_compressor_is_refused(make):
    with pytest.raises((TypeError, ValueError), match=r"must be a Compressor|must be a TopK"):
        make(3)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: CLAG(C2, np.inf), "zeta: given inf"),
        (lambda: AdaCGD((C2,), -1.0), "zeta: given -1.0"),
        (lambda: EF21(C2, "half"), "alpha: given 'half', allowed are auto, theory"),
        (lambda: EF21(C2, 0.0), "alpha: given 0.0"),
        (lambda: ThreePCv2(C2, C4).constants(9), "topk:4 is not unbiased, and 3pc-v2 needs"),
        (lambda: Marina(C2).constants(9), "topk:2 is not unbiased, and marina needs"),
        (lambda: ThreePCv3(RankR(1), LAG(2.0)).check(ONE), "rank:1 compresses matrices"),
        (lambda: ThreePCv3(C2, EF21(C4, "theory")).check(Coordinates(np.array([4, 9]))), "ef21 moves by less"),
    ],
)  # fmt: skip
def test_what_mechanisms_cannot_be_made_of_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_an_unbiased_compressor_contracts_by_one_over_omega_plus_one():
    """δ = 1/(ω + 1), which Contracted says itself; and the identity's ω is 0."""
    for make in (CLAG, CBAG, ThreePCv1, lambda inner: AdaCGD((inner,))):
        assert make(RandK(5)).constants(20) == make(Contracted(RandK(5))).constants(20)
    assert omega(Identity(), 20) == 0.0 and omega(RandK(5), 20) == 3.0


def test_adaptive_topk_sends_at_the_wires_precision():
    rounded = AdaptiveTopK(Rounded(C4, "float32"))
    sent = rounded.send(Memory(Blocks.of([H + 0])), Blocks.of([X]), ONE, np.array([0]), KEY)
    assert [message.precision for message in sent.messages] == ["float32"]


def test_ef_bv_steps_from_the_estimate_before_where_it_is_asked_to():
    assert EFBV(RandK(5), step_uses="before").estimate_rates(np.array([20, 4])).tolist() == [0, 0]


def test_a_ladder_goes_no_further_than_it_must():
    """‖x - h‖² ≤ ζ‖x - y‖² is enough where both are 0, and the last level is not tried after an exact one."""
    at_rest = AdaCGD((C2,), 2.0).send(
        Memory(Blocks.of([X + 0]), Blocks.of([X])), Blocks.of([X]), ONE, np.array([0]), KEY
    )
    assert [message.level for message in at_rest.messages] == [0]
    exact = AdaCGD((Identity(), C2), 0.0).send(Memory(Blocks.of([0 * X])), Blocks.of([X]), ONE, np.array([0]), KEY)
    assert [message.level for message in exact.messages] == [1]
    assert AdaCGD([C2, C4]) == AdaCGD((C2, C4)) and hash(AdaCGD([C2, C4]))


def test_a_mechanism_needs_whole_matrices_where_one_of_its_compressors_does():
    assert ThreePCv4(C2, RankR(1)).acts_on == ThreePCv4(RankR(1), C2).acts_on == "symmetric"


def test_a_ladder_inside_v3_is_a_sum_that_the_wire_carries():
    """A sum has no level."""
    mechanism = ThreePCv3(C2, AdaCGD((C2, C4), 0.0))
    sent = mechanism.send(Memory(Blocks.of([H + 0]), Blocks.of([Y])), Blocks.of([X]), ONE, np.array([0]), KEY)
    arrived = [carried(message, 9) for message in sent.messages]
    near(mechanism.receive(H + 0, arrived, ONE, np.ones(1))[0], sent.memory.estimate.values)


def test_a_preset_says_a_compressor_where_the_mechanism_has_one_of_its_own():
    for mechanism in (LAG(2.0), BAG(0.5), Frozen()):
        assert "compressor" not in mechanism.preset_settings()


def test_the_coin_shows_heads_where_nobody_threw_one():
    for mechanism in (ThreePCv5(C2, 0.3), Marina(Q, 0.3)):
        started = [Memory(Blocks.of([H + 0]), Blocks.of([Y])) for _ in range(2)]
        near(mechanism.send(started[0], Blocks.of([X]), ONE, np.array([0]), KEY).memory.estimate.values, X)
        near(mechanism.send_and_measure(started[1], Blocks.of([X]), ONE, np.array([0]), KEY)[2], 0.0)


def test_a_sample_stands_for_all_where_both_rates_are_one():
    mean, estimate = EFBV(Identity(), 1.0, 1.0).receive(np.zeros(9), [Dense(X)], ONE, np.ones(1), None, 2.0)
    near(mean, X)
    near(estimate, 2 * X)
