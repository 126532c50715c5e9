"""check_aggregator passes the library's, and finds rules that break one promise each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import newtonfl as nf
from newtonfl.checks import check_aggregator

RULES = [
    "mean", "median", "trimmed:0", "trimmed:3", "geometric-median", "krum:0", "krum:2", "centred-clip:0.5:4",
    "bucketed:2/median", "bucketed:3/krum:1",
]  # fmt: skip


@pytest.mark.parametrize("text", RULES)
def test_aggregators(text):
    check_aggregator(nf.registry.from_spec("aggregator", text))


@dataclass(frozen=True)
class Plain(nf.Aggregator):
    """The mean; the classes below break one thing each."""

    def combine(self, vectors, key):
        return vectors.mean(axis=0)


class Draws(Plain):
    def combine(self, vectors, key):
        return vectors.mean(axis=0) + np.random.default_rng().standard_normal(vectors.shape[1])


class Shrinks(Plain):
    def combine(self, vectors, key):
        return 0.99 * vectors.mean(axis=0)


class Shortens(Plain):
    """Equal vectors are left alone; a mean of others is not where it should be."""

    def combine(self, vectors, key):
        mean = vectors.mean(axis=0)
        return mean if np.allclose(vectors, mean) else np.minimum(mean, 0.5)


class Flat(Plain):
    def combine(self, vectors, key):
        return vectors.mean(axis=0)[None, :]


class Squares(Plain):
    def combine(self, vectors, key):
        with np.errstate(all="ignore"):
            weights = 1.0 / np.sum(vectors**2, axis=1)
            return weights @ vectors / weights.sum()


class NeedsMore(Plain):
    def combine(self, vectors, key):
        return vectors[3]


class Says(Plain):
    @property
    def least(self):
        return 2.5


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Draws(), "the same key must give the same"),
        (Shrinks(), "equal vectors have that vector"),
        (Shortens(), r"Agg\{v_i \+ u\} = Agg\{v_i\} \+ u"),
        (Flat(), r"shape \(1, 7\), must be \(7,\)"),
        (Squares(), r"Agg\{v_i \+ u\}|finite"),
        (NeedsMore(), "it must aggregate 1 vectors: IndexError"),
        (Says(), "least: 2.5, must be a whole number"),
        (nf.TopK(3), "must be an Aggregator"),
    ],
)
def test_a_broken_promise_is_found(rule, words):
    with pytest.raises(AssertionError, match=words):
        check_aggregator(rule)
