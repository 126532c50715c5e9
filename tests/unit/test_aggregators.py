"""The rules of aggregation: against their definitions, and what each bears of vectors that may be anything."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import strict_device

import newtonfl as nf
from newtonfl.components.aggregation import Aggregator
from newtonfl.core.backend import to_host

KEY = nf.Key(3, 5)
RULES: dict[str, Aggregator] = {
    text: nf.registry.from_spec("aggregator", text)
    for text in ("mean", "median", "trimmed:2", "geometric-median:300", "krum:2", "centred-clip:0.7:3")
}
ROBUST = {name: rule for name, rule in RULES.items() if name != "mean"}
BUCKETED = {f"bucketed:2/{name}": nf.Bucketed(rule, 2) for name, rule in RULES.items()}


def vectors(k: int = 9, d: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((k, d)) + 3.0


# ---- the definitions, entry by entry ---------------------------------------------------------------------------------


def median(v: Any) -> Any:
    return [sorted(column)[len(column) // 2] for column in zip(*v, strict=True)]  # of an odd number


def trimmed(v: Any, t: int) -> Any:
    return [np.mean(sorted(column)[t : len(column) - t]) for column in zip(*v, strict=True)]


def krum(v: Any, f: int) -> Any:
    def score(i: int) -> float:
        away = sorted(float(np.sum((v[i] - v[j]) ** 2)) for j in range(len(v)) if j != i)
        return sum(away[: len(v) - f - 2])

    return v[min(range(len(v)), key=score)]


def centred_clip(v: Any, tau: float, times: int) -> Any:
    centre = np.array(median(v))
    for _ in range(times):
        centre = centre + np.mean([(x - centre) * min(1.0, tau / np.linalg.norm(x - centre)) for x in v], axis=0)
    return centre


DEFINED = {
    "mean": lambda v: np.mean(v, axis=0),
    "median": median,
    "trimmed:2": lambda v: trimmed(v, 2),
    "krum:2": lambda v: krum(v, 2),
    "centred-clip:0.7:3": lambda v: centred_clip(v, 0.7, 3),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", DEFINED)
def test_a_rule_is_its_definition(name, seed):
    v = vectors(seed=seed)
    assert np.abs(RULES[name].of(v, KEY) - DEFINED[name](v)).max() <= 1e-13


@pytest.mark.parametrize("seed", range(5))
def test_the_geometric_median_has_the_least_sum_of_distances(seed):
    """At the minimum the unit vectors to all vectors cancel."""
    v = vectors(seed=seed)
    away = v - RULES["geometric-median:300"].of(v, KEY)
    assert np.linalg.norm(np.sum(away / np.linalg.norm(away, axis=1, keepdims=True), axis=0)) <= 1e-5


def test_the_geometric_median_does_not_stop_at_a_vector():
    """The origin is the coordinate median and one of the vectors, and the sum of distances is less elsewhere."""
    v = np.array([[0.0, 0.0], [1.0, 15.0], [-1.0, 15.0], [5.0, -1.0], [-5.0, -1.0]])
    z = RULES["geometric-median:300"].of(v, KEY)
    total = [np.linalg.norm(v - at, axis=1).sum() for at in (np.zeros(2), z)]
    grid = min(np.linalg.norm(v - at, axis=1).sum() for at in itertools.product([0.0], np.linspace(-3, 16, 1901)))
    assert total[1] <= min(total[0] - 0.1, grid + 1e-4)


def test_buckets_are_means_of_a_random_order():
    v, order = vectors(k=9), KEY.to("buckets").generator().permutation(9)
    means = [np.mean(v[order[i : i + 2]], axis=0) for i in range(0, 9, 2)]
    assert len(means) == 5 and np.abs(nf.Bucketed("median").of(v, KEY) - median(means)).max() <= 1e-14
    assert not np.array_equal(nf.Bucketed("median").of(v, KEY), nf.Bucketed("median").of(v, KEY.at(6)))
    one = nf.Bucketed(nf.Krum(2), 1)  # buckets of one: the rule itself
    assert np.array_equal(one.of(v, KEY), nf.Krum(2).of(v, KEY))


# ---- properties ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_the_order_of_clients_does_not_matter(name):
    v = vectors()
    for order in map(np.random.default_rng(1).permutation, [9] * 4):
        assert np.abs(RULES[name].of(v[order], KEY) - RULES[name].of(v, KEY)).max() <= 1e-12


@pytest.mark.parametrize("k", [7, 8, 13])
@pytest.mark.parametrize("name", [*RULES, *BUCKETED])
def test_equal_vectors_have_that_vector(name, k):
    rule, v = (RULES | BUCKETED)[name], np.array([0.1, 1e-300, -7e200, 0.0])
    if k >= rule.least:
        found = rule.of(np.tile(v, (k, 1)), KEY)
        assert np.abs(found - v).max() <= (1e-15 * 7e200 if name.endswith("mean") else 0.0)


@pytest.mark.parametrize("name", [*RULES, *BUCKETED])
def test_a_rule_moves_with_its_vectors(name):
    """Agg{v_i + u} = Agg{v_i} + u; and but for the length of clipping, Agg{3v_i} = 3Agg{v_i}."""
    rule, v, u = (RULES | BUCKETED)[name], vectors(k=15), np.arange(5.0)
    assert np.abs(rule.of(v + u, KEY) - rule.of(v, KEY) - u).max() <= 1e-10
    if "clip" not in name:
        assert np.abs(rule.of(3.0 * v, KEY) - 3.0 * rule.of(v, KEY)).max() <= 1e-10


SENT = {
    "a constant": lambda v: np.full_like(v, 1e3),
    "beyond squares": lambda v: np.full_like(v, -1e200),
    "the largest, either way": lambda v: 1.7e308 * (-1.0) ** np.arange(len(v))[:, None] * np.ones_like(v),
    "infinite": lambda v: np.full_like(v, np.inf),
    "no number": lambda v: np.full_like(v, np.nan),
    "mirrored": lambda v: -1e6 * v,
}  # fmt: skip


@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("name", ROBUST)
def test_two_of_nine_move_the_aggregate_boundedly(name, sent):
    """It stays within the honest vectors' spread: three times their diameter is more than every rule here lets by."""
    v = vectors()
    honest = v[2:]
    v[:2] = SENT[sent](v[:2])
    diameter = max(np.linalg.norm(a - b) for a, b in itertools.combinations(honest, 2))
    found = ROBUST[name].of(v, KEY)
    assert np.linalg.norm(found - honest.mean(axis=0)) <= 3.0 * diameter
    if sent != "the largest, either way":  # which cancel
        assert np.abs(RULES["mean"].of(v, KEY) - honest.mean(axis=0)).max() > 3.0 * diameter


@pytest.mark.parametrize("name", ["median", "geometric-median:300", "trimmed:4"])
def test_all_but_half_may_be_byzantine(name):
    """(k - 1)/2 of them: the breakdown point; one more and they have it."""
    rule: Aggregator = nf.registry.from_spec("aggregator", name)
    v = vectors(k=9)
    v[:4] = 1e6
    assert np.abs(rule.of(v, KEY)).max() < 20.0
    v[:5] = 1e6
    assert np.abs(rule.of(v, KEY)).min() > 1e5


def test_buckets_of_two_bear_two_of_ten():
    v = np.ones((10, 3))
    v[[1, 6]] = 1e9
    assert (nf.Bucketed("median").of(v, KEY) == 1.0).all() and (nf.Bucketed("krum:1").of(v, KEY) == 1.0).all()


@pytest.mark.parametrize("name", [*RULES, *BUCKETED])
def test_on_a_device_it_is_the_same(name, monkeypatch):
    """Where nothing may come to the host on its way."""
    strict_device.install(monkeypatch)
    rule, v = (RULES | BUCKETED)[name], vectors(k=15)
    found = rule.of(strict_device.xp.asarray(v, device=strict_device.DEVICE), KEY)
    assert np.abs(to_host(found) - rule.of(v, KEY)).max() <= 1e-12


@pytest.mark.parametrize(
    ("rule", "least"),
    [
        (nf.Mean(), 0), (nf.Median(), 1), (nf.Trimmed(2), 5), (nf.Krum(2), 7), (nf.Bucketed(nf.Trimmed(1), 3), 7),
        (nf.Bucketed(nf.Mean()), 1),
    ],
    ids=str,
)  # fmt: skip
def test_a_rule_says_how_many_vectors_it_needs(rule, least):
    """With so many it works, with one less it refuses; ⌈k/s⌉ buckets are enough for a rule of buckets."""
    assert rule.least == least
    if least:
        assert np.isfinite(rule.of(vectors(k=least), KEY)).all()
        with pytest.raises(ValueError, match=rf"{rule}: given {least - 1} vectors, must be at least {least}"):
            rule.of(vectors(k=least - 1), KEY)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nf.Trimmed(-1), ValueError, "trimmed: t: given -1, must be a whole number of at least 0"),
        (lambda: nf.Krum(True), ValueError, "krum: f: given True"),
        (lambda: nf.CentredClip(0.0), ValueError, "centred-clip: tau: given 0.0, must be a finite number above 0"),
        (lambda: nf.CentredClip(1.0, 0), ValueError, "centred-clip: iterations: given 0"),
        (lambda: nf.GeometricMedian(1.5), ValueError, "geometric-median: iterations: given 1.5"),
        (lambda: nf.Bucketed(nf.Median(), 0), ValueError, "bucketed: s: given 0, must be a whole number of at least 1"),
        (lambda: nf.Bucketed(nf.TopK(3)), TypeError, "must be an Aggregator such as"),
    ],
)
def test_settings_that_are_none_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("far", [1e30, 1e200])
def test_a_vector_that_is_far_away_hides_no_distance(far):
    """Next to its square the others' distances are nothing, and any of them would be as near as any other."""
    given = np.array([[1000.0], [1.0], [1.1], [0.9], [1.05], [0.95], [far]])
    assert 0.9 <= float(to_host(nf.Krum(2).of(given, KEY))[0]) <= 1.1


def test_vectors_of_the_smallest_numbers_have_a_geometric_median():
    given = np.array([[0.0], [5e-324], [1e-320]])
    found = to_host(RULES["geometric-median:300"].of(given, KEY))
    assert np.isfinite(found).all() and 0.0 <= found[0] <= 1e-320
