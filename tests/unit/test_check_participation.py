"""check_participation passes the library's, and finds participations that break one promise each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import newtonfl as nf
from newtonfl.checks import check_participation
from newtonfl.components.participation import Participation


@pytest.mark.parametrize("participation", [nf.All(), nf.Uniform(3), nf.Uniform(0.4), nf.Independent(0.3)], ids=str)
def test_participations(participation):
    check_participation(participation, draws=500)


@dataclass(frozen=True)
class Turns(Participation):
    """A window of `width` clients that moves on each round; the classes below break one thing each."""

    width: int = 3

    def check(self, n_clients):
        if self.width > n_clients:
            raise ValueError(f"given {self.width}, must be at most {n_clients}")

    def draw(self, n_clients, key):
        return np.sort((key.round + np.arange(self.width)) % n_clients)

    def share(self, n_clients):
        return self.width / n_clients


class PromisesMore(Turns):
    def share(self, n_clients):
        return min(1.0, 1.1 * self.width / n_clients)


class Coins(Turns):
    """Each client with probability 0.3, and the promise of 0.32."""

    def draw(self, n_clients, key):
        return np.flatnonzero(key.generator().random(n_clients) < 0.3)

    def share(self, n_clients):
        return 0.32


class OutOfOrder(Turns):
    def draw(self, n_clients, key):
        return super().draw(n_clients, key)[::-1]


class OneTooFar(Turns):
    def draw(self, n_clients, key):
        return np.arange(self.width) + n_clients - self.width + 1


class OwnRandomness(Turns):
    def draw(self, n_clients, key):
        return np.sort(np.random.default_rng().choice(n_clients, self.width, replace=False))


class SaysAll(Turns):
    partial = False


class MoreThanAll(Turns):
    def share(self, n_clients):
        return 1.5


class ForFew(Turns):
    def check(self, n_clients):
        raise ValueError("no")


@pytest.mark.parametrize(
    "participation, words",
    [
        (PromisesMore(), r"share\(12\): 0.275 promises 3.3 of 12 clients a round, and the mean of 4000 rounds is 3 "),
        (Coins(), r"share\(12\): 0.32 promises 3.84"),
        (OutOfOrder(), "must be client numbers, increasing"),
        (OneTooFar(), "must be client numbers, increasing, from 0 to below 12"),
        (OwnRandomness(), "the same key must draw the same clients"),
        (SaysAll(), "partial is False, and round 1 is without 9 of 12 clients"),
        (MoreThanAll(), r"share\(12\): 1.5, must be in \(0, 1\]"),
        (ForFew(), "it serves none of these numbers of clients; 12 clients: no"),
        ("all", "must be a Participation"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Participation) else "",
)
def test_broken_participations(participation, words):
    with pytest.raises(AssertionError, match=words):
        check_participation(participation)


def test_what_was_broken_above_passes_when_whole():
    check_participation(Turns(), draws=300)


def test_a_text_that_reads_as_another_is_found():
    @dataclass(frozen=True)
    class Named(Turns):
        name = "turns-of-the-test"
        shorthand = ()

        def __eq__(self, other):
            return False

    with pytest.raises(AssertionError, match=r"its text 'turns-of-the-test.*' must read as the same"):
        check_participation(Named(), draws=10)
