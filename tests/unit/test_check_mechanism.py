"""check_mechanism passes every mechanism of the library, and fails those that break a promise, saying which."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from cases import COMPRESSORS, MECHANISMS
from mpi_programs.own_memory import Momentum

import newtonfl as nf
from newtonfl.checks import check_mechanism
from newtonfl.mechanisms import CBAG, CLAG, EF21, Marina, Mechanism, Memory


def pairs():
    """Every mechanism with a compressor that draws nothing and one that does, where they go together."""
    for name, make in MECHANISMS.items():
        for inner in ("topk", "randk"):
            try:
                made = make(COMPRESSORS[inner])
                made.for_dimension(4)
            except ValueError:
                continue
            yield pytest.param(made, id=f"{name}-{inner}")


@pytest.mark.parametrize("mechanism", list(pairs()))
def test_mechanisms(mechanism):
    check_mechanism(mechanism, dim=4, draws=30)


@pytest.mark.parametrize("inner", ["rank", "toplek", "powersgd", "threshold"])
def test_mechanisms_of_other_compressors(inner):
    check_mechanism(CLAG(COMPRESSORS[inner], 0.5), dim=4, draws=40)


@dataclass(frozen=True)
class Better(CLAG):
    """Constants a little better than the truth."""

    a: float = 1.0
    b: float = 1.0

    def constants(self, size):
        a, b = super().constants(size)
        return a * self.a, b * self.b


class BetterMarina(Marina):
    def constants(self, size):
        a, b = super().constants(size)
        return a, 0.8 * b


class LuckyCoin(CBAG):
    """Says heads with p, and keeps still on them."""

    def skips(self, coin):
        return coin


class CountsTogether(Momentum):
    """One average for all clients."""

    def init_own_memory(self, estimate):
        return np.zeros(1)

    def messages(self, points, encoder, coin):
        return encoder.compress(self.compressor, points.error)

    def update_own_memory(self, points, messages, encoder, coin):
        return points.own


class Mixes(Momentum):
    """An average that the neighbours move."""

    def average(self, points):
        own = super().average(points)
        return own.replaced(own.values + 1e-3 * points.target.values.mean())


class Aliases(Momentum):
    """Keeps h itself, which is overwritten."""

    def update_own_memory(self, points, messages, encoder, coin):
        return points.estimate


class InPlace(Momentum):
    def update_own_memory(self, points, messages, encoder, coin):
        points.own.values[:] = self.average(points).values
        return points.own


class ChangesForm(Momentum):
    def update_own_memory(self, points, messages, encoder, coin):
        return np.zeros((len(points.target), 3))


class Draws(Momentum):
    def average(self, points):
        own = super().average(points)
        return own.replaced(own.values + np.random.default_rng().random())


class PromisesWithMomentum(Momentum):
    """EF21's constants, which hold only where the average is the target."""

    def init_own_memory(self, estimate):
        return estimate.replaced(np.full_like(estimate.values, np.nan))

    def average(self, points):
        fresh = np.isnan(points.own.values)
        return points.own.replaced(np.where(fresh, points.target.values, super().average(points).values))

    def constants(self, size):
        return EF21(self.compressor).constants(size)


class SendsOther(EF21):
    """Its own end moves twice as far."""

    def send(self, memory, target, space, clients, key, coin=True):
        sent = super().send(memory, target, space, clients, key, coin)
        moved = space.add(sent.memory.estimate, sent.messages, self.memory_rates(space.sizes))
        return replace(sent, memory=replace(sent.memory, estimate=moved))


class WrongResidual(EF21):
    def send(self, memory, target, space, clients, key, coin=True):
        sent = super().send(memory, target, space, clients, key, coin)
        return replace(sent, left_out=lambda: sent.residual.replaced(sent.residual.values + 1e-3))


class WrongMean(EF21):
    """The server drops the last client's message, where there is more than one."""

    def receive(self, mean, messages, space, weights, clients=None):
        if len(messages) == 1:
            return super().receive(mean, messages, space, weights, clients)
        return super().receive(mean, messages[:-1], space, weights[:-1], np.arange(len(messages) - 1))


class Forgets(CLAG):
    def send(self, memory, target, space, clients, key, coin=True):
        sent = super().send(memory, target, space, clients, key, coin)
        return replace(sent, memory=Memory(sent.memory.estimate, memory.target))


class Hoards(EF21):
    def send(self, memory, target, space, clients, key, coin=True):
        sent = super().send(memory, target, space, clients, key, coin)
        return replace(sent, memory=Memory(sent.memory.estimate, target))


class Peeks(CLAG):
    """Looks at the last target and does not say so."""

    needs_previous = False


class NoBeginning(CLAG):
    """Takes 0 for the last target where there was none."""

    def send(self, memory, target, space, clients, key, coin=True):
        if memory.target is None:
            memory = Memory(memory.estimate, target.replaced(0 * target.values))
        return super().send(memory, target, space, clients, key, coin)


class ChangesTargets(EF21):
    def send(self, memory, target, space, clients, key, coin=True):
        sent = super().send(memory, target, space, clients, key, coin)
        target.values[:] = 0
        return sent


class Crowded(EF21):
    """A client tells half where it is alone."""

    def messages(self, seen, encoder, coin):
        half = 0.5 if len(encoder.clients) == 1 else 1.0
        return [message.scaled(half) for message in super().messages(seen, encoder, coin)]


class Boasts(EF21):
    def constants(self, size):
        return 1.5, 0.0


K5 = nf.TopK(5)


@pytest.mark.parametrize(
    "mechanism, words",
    [
        (Better(K5, 0.5, b=0.98), r"\(A, B\) = .*h - y = -[\d.]+\(x - y\), all entries"),
        (Better(K5, 0.5, a=1.05), r"\(A, B\) = .*h - y = -[\d.]+\(x - y\), all entries"),
        (Better(nf.Identity(), 4.0, b=0.98), r"\(A, B\) = \(1, 3.92\)"),
        (
            Better(nf.RandK(5), 0.0, b=0.8),
            r"promise E‖C\(x\) - x‖².* at most [\d.]+, seen [\d.]+ ± [\d.e-]+ \(\d+ draws\)",
        ),
        (LuckyCoin(K5, 0.9), "promise E"),
        (BetterMarina(nf.RandK(5), 0.3), "promise"),
        (CountsTogether(K5), r"its own memory has shape \(1,\), must have the 3 clients' axis first"),
        (Mixes(K5), "own memory: a client's part must not depend on who shares its process"),
        (Aliases(K5), "own memory is a view of h"),
        (InPlace(K5), "own memory must be left as it was handed in"),
        (ChangesForm(K5), "own memory must keep its form"),
        (Draws(K5), "own memory: the same call must give the same"),
        (PromisesWithMomentum(K5), "its own memory having served other points, at most"),
        (SendsOther(K5), "both ends must hold the same bits of h"),
        (WrongResidual(K5), "residual must be x less the estimate"),
        (WrongMean(K5), "the server's mean is"),
        (Forgets(K5), "must remember the present one"),
        (Hoards(K5), "must not keep it"),
        (Peeks(K5), "says that it needs no last target, and looks at it"),
        (NoBeginning(K5), "y = x must hold"),
        (ChangesTargets(K5), "both ends|residual|the target must stay as it was"),
        (Crowded(K5), "must not depend on who shares its process"),
        (Boasts(K5), "A = 1.5, B = 0.0, must be"),
        ("ef21", "must be a Mechanism"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Mechanism) else "",
)
def test_broken_mechanisms(mechanism, words):
    with pytest.raises(AssertionError, match=f"(?s){words}"):
        check_mechanism(mechanism, dim=4, draws=100)


def test_marinas_mean_is_checked_apart():
    """Draws that all clients share gain nothing together, though each of them keeps (p, (1-p)ω)."""

    class OneDraw(Marina):
        def messages(self, seen, encoder, coin):
            # Five clients stand together in the check of the mean: they share what they draw.
            shared = replace(encoder, clients=encoder.clients // 5)
            return super().messages(seen, shared, coin)

    with pytest.raises(AssertionError, match="with n = 5 clients"):
        check_mechanism(OneDraw(nf.RandK(2), 0.1), dim=4, draws=40)
