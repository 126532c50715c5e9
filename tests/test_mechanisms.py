"""Mechanisms: two ends that only share messages hold the same bits, and settle where theory says."""

from __future__ import annotations

import numpy as np
import pytest
from cases import BASES, COMPRESSORS, DIM, MECHANISMS, carried, dense_glm, on_wire, sparse_glm, vectors, wired

from newtonfl.bases import Coordinates, Symmetric
from newtonfl.blocks import Blocks
from newtonfl.compressors import Identity, RandK, RankR, Rounded, TopK
from newtonfl.keys import Key
from newtonfl.mechanisms import EF21, Frozen
from newtonfl.messages import Nothing

SPACES = ["vector", *BASES]
ROUNDS = 5


def space_of(name: str, n: int = 1) -> Coordinates:
    """Coordinates of n clients: plain vectors, or a basis on a problem that has it."""
    return Coordinates(np.full(n, DIM)) if name == "vector" else BASES[name].of(sparse_glm(n=n, seed=3))


def combinations() -> list[tuple[str, str, str, str]]:
    """Every (space, mechanism, compressor, precision) that goes together."""
    found = []
    for space in SPACES:
        for name, precision in wired():
            whole = space in ("symmetric", "symmetric-plain")
            if COMPRESSORS[name].acts_on == "vector" or whole:
                found += [(space, mechanism, name, precision) for mechanism in MECHANISMS]
    return found


@pytest.mark.parametrize("space, mechanism, compressor, precision", combinations())
def test_both_ends_hold_the_same_bits(space, mechanism, compressor, precision):
    """One client of weight 1: its h and the server's mean agree in every bit, round after round, over real packets."""
    coordinates = space_of(space)
    tells = MECHANISMS[mechanism](on_wire(compressor, precision)).for_dimension(DIM)
    tells.check(coordinates)
    draw, size = np.random.default_rng(0), int(coordinates.sizes[0])
    state, weights, clients = vectors(coordinates, draw), np.ones(1), np.array([0])
    start = state.values.copy()
    mean = np.zeros(coordinates.total_size)
    place = coordinates.place(0, np.arange(size))
    mean[place] = start
    for k in range(ROUNDS):
        target = vectors(coordinates, draw)
        before = state.values.copy()
        sent = tells.send(state, target, coordinates, clients, Key(0, k))
        state = sent.state
        arrived = [carried(message, size) for message in sent.messages]
        mean, estimate = tells.receive(mean, arrived, coordinates, weights)
        assert np.array_equal(mean[place], state.values)
        used = state.values if tells.gains(coordinates.sizes).any() else before
        assert np.array_equal(estimate[place], used)
        np.testing.assert_allclose(sent.residual.values, target.values - used, rtol=0, atol=1e-14)
    assert np.array_equal(state.values, start) == (mechanism == "frozen")
    assert not np.delete(mean, place).any()


@pytest.mark.parametrize("space, mechanism, compressor, precision", combinations())
def test_the_server_holds_the_weighted_mean(space, mechanism, compressor, precision):
    """Three clients of unequal weight: the server's sum is that of the clients' states, up to rounding."""
    coordinates, weights, clients = space_of(space, 3), np.array([0.5, 0.3, 0.2]), np.array([2, 5, 6])
    tells = MECHANISMS[mechanism](on_wire(compressor, precision)).for_dimension(DIM)
    draw = np.random.default_rng(1)
    state = vectors(coordinates, draw)

    def summed(blocks):
        total = np.zeros(coordinates.total_size)
        for i, vector in enumerate(blocks):
            total[coordinates.place(i, np.arange(len(vector)))] += weights[i] * vector
        return total

    mean = summed(state)
    for k in range(ROUNDS):
        before = summed(state)
        sent = tells.send(state, vectors(coordinates, draw), coordinates, clients, Key(0, k))
        state = sent.state
        arrived = [carried(m, int(size)) for m, size in zip(sent.messages, coordinates.sizes, strict=True)]
        mean, estimate = tells.receive(mean, arrived, coordinates, weights)
        np.testing.assert_allclose(mean, summed(state), rtol=0, atol=1e-13)
        used = summed(state) if tells.gains(coordinates.sizes).any() else before
        np.testing.assert_allclose(estimate, used, rtol=0, atol=1e-13)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_hearing_some_of_the_clients(space, mechanism):
    """Clients 3 and 1 alone speak, in that order: each moves the mean by its own weight, rate and coordinates."""
    coordinates, draw = space_of(space, 4), np.random.default_rng(4)
    tells = MECHANISMS[mechanism](COMPRESSORS["topk"])
    state, target = vectors(coordinates, draw), vectors(coordinates, draw)
    sent = tells.send(state.replaced(state.values.copy()), target, coordinates, np.arange(4), Key(0))
    speakers, weights = np.array([3, 1]), np.array([0.7, 0.3])
    start = draw.standard_normal(coordinates.total_size)
    moved = start.copy()
    for i, weight in zip(speakers, weights, strict=True):
        moved[coordinates.place(i, np.arange(len(state[i])))] += weight * (sent.state[i] - state[i])
    heard = [sent.messages[i] for i in speakers]
    mean, estimate = tells.receive(start.copy(), heard, coordinates, weights, speakers)
    np.testing.assert_allclose(mean, moved, rtol=0, atol=1e-14)
    used = mean if tells.gains(coordinates.sizes).any() else start
    assert np.array_equal(estimate, used)


@pytest.mark.parametrize("space", SPACES)
def test_ef21_with_the_identity_arrives(space):
    """In one round at the target, wherever it starts; there the next difference is nothing but rounding."""
    coordinates, draw = space_of(space, 3), np.random.default_rng(2)
    state, target = vectors(coordinates, draw), vectors(coordinates, draw)
    clients = np.arange(3)
    sent = EF21(Identity()).send(state, target, coordinates, clients, Key(0))
    np.testing.assert_allclose(sent.state.values, target.values, rtol=0, atol=1e-15)
    np.testing.assert_allclose(sent.residual.values, 0, rtol=0, atol=1e-15)
    with_rounding = EF21(Rounded(Identity(), "float32"))
    state = sent.state.replaced(np.zeros_like(target.values))
    for k in range(4):  # each round gains float32's 24 bits
        state = with_rounding.send(state, target, coordinates, clients, Key(0, k)).state
    np.testing.assert_array_equal(state.values, target.values)


@pytest.mark.parametrize("name", ["topk", "rank"])
@pytest.mark.parametrize("alpha", ["auto", "theory", 0.5])
def test_ef21_settles_at_its_rate(name, alpha):
    """To a fixed target: ‖h⁺ - X‖² ≤ (1 - δ)‖h - X‖² at α = 1, and ‖h⁺ - X‖ ≤ (1 - α + α√(1-δ))‖h - X‖ at any α."""
    coordinates = Symmetric().of(dense_glm(n=1))
    tells = EF21(COMPRESSORS[name], alpha)
    draw = np.random.default_rng(3)
    state, target = vectors(coordinates, draw), vectors(coordinates, draw)
    rate = tells.rates(coordinates.sizes)[0]
    left = np.sqrt(1 - COMPRESSORS[name].contract(int(coordinates.sizes[0])).delta)
    distance = np.linalg.norm((target - state).values)
    for k in range(20):
        state = tells.send(state, target, coordinates, np.array([0]), Key(0, k)).state
        now = np.linalg.norm((target - state).values)
        assert now <= (1 - rate + rate * left) * distance * (1 + 1e-12)
        distance = now


def test_fednls_form_uses_the_old_estimate():
    """gain 0 (arXiv 2106.02969, Algorithm 1): the step sees the mean from before the messages; the mean moves by α."""
    tells = EF21(TopK(2), alpha=0.5, step_uses="before")
    space = Coordinates(np.full(2, 4))
    state = Blocks.of([np.zeros(4), np.ones(4)])
    target = Blocks.of([np.array([4.0, -2.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0, 3.0])])
    sent = tells.send(state, target, space, np.arange(2), Key(0))
    np.testing.assert_array_equal(sent.residual.values, target.values - [0, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(sent.state.values, [2, -1, 0, 0, 1, 1, 1, 2])
    old = np.array([0.5, 0.5, 0.5, 0.5])
    mean, estimate = tells.receive(old.copy(), sent.messages, space, np.array([0.5, 0.5]))
    np.testing.assert_array_equal(estimate, old)
    np.testing.assert_array_equal(mean, [1.5, 0, 0.5, 1])
    assert tells.gains(space.sizes).tolist() == [0, 0] and tells.rates(space.sizes).tolist() == [0.5, 0.5]


def test_frozen_never_sends():
    """Nothing goes out, nothing moves, and the residual is the whole difference."""
    space = Coordinates(np.array([2, 2]))
    state, target = Blocks.of([np.ones(2), np.zeros(2)]), Blocks.of([np.zeros(2), np.ones(2)])
    sent = Frozen().send(state, target, space, np.arange(2), Key(0))
    assert all(isinstance(message, Nothing) for message in sent.messages)
    assert sent.state.values.tolist() == [1, 1, 0, 0] and sent.residual.values.tolist() == [-1, -1, 1, 1]
    mean, estimate = Frozen().receive(np.full(2, 0.5), sent.messages, space, np.full(2, 0.5))
    assert mean.tolist() == estimate.tolist() == [0.5, 0.5]
    assert Frozen().rates(space.sizes).tolist() == Frozen().gains(space.sizes).tolist() == [0, 0]


# --- α


@pytest.mark.parametrize(
    "compressor, alpha, sizes, rates",
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
def test_the_learning_rate(compressor, alpha, sizes, rates):
    """theory: 1 - √(1-δ) or 1/(ω+1), for each client; auto: 1 where contractive (ALGORITHMS.md, 3.1, step rules)."""
    found = EF21(compressor, alpha).rates(np.array(sizes))
    np.testing.assert_allclose(found, rates, rtol=1e-14)
    assert EF21(compressor, alpha, "before").gains(np.array(sizes)).tolist() == [0] * len(sizes)
    assert EF21(compressor, alpha, "after").gains(np.array(sizes)).tolist() == found.tolist()


@pytest.mark.parametrize("alpha", [1.0, 0.26])
def test_a_rate_above_one_over_omega_plus_one_is_refused(alpha):
    """With an unbiased compressor it need not converge: refused when the method is checked, and whenever it is used."""
    space = Coordinates(np.array([20, 4]))
    tells = EF21(RandK(5), alpha)
    words = (
        rf"alpha: given {alpha}, randk:5 is unbiased with ω = 3 and allows at most 1/\(ω\+1\) = 0.25: use alpha=theory"
    )
    for act in (lambda: tells.check(space), lambda: tells.rates(space.sizes)):
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
    told = {"compressor": "topk:2d", "alpha": "theory", "step_uses": "before"}
    assert EF21(TopK("2d"), "theory", "before").settings() == told
