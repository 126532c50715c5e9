"""check_loss passes every loss of the library, and finds losses that break one promise each."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from cases import LOSSES
from scipy.special import expit

import newtonfl as nf
from newtonfl.checks import check_loss
from newtonfl.checks import loss as module
from newtonfl.objectives.differences import derivative, extended
from newtonfl.objectives.losses import Gamma, Huber, Logistic, Poisson, Squared


@pytest.mark.parametrize("loss", [loss for _, loss, _ in LOSSES] + [Huber(0.01)], ids=str)
def test_losses(loss):
    check_loss(loss)


@pytest.mark.parametrize("loss", [loss for _, loss, _ in LOSSES], ids=str)
def test_losses_where_no_extended_precision_is_known(loss, monkeypatch):
    """Differences are then float64's, and still find a slope that is off by 10⁻⁸."""
    monkeypatch.setattr(module, "extended", lambda *functions: np.float64)
    check_loss(loss)
    slope = type(loss).slope
    monkeypatch.setattr(type(loss), "slope", lambda self, t, y: slope(self, t, y) * (1 + 1e-8))
    with pytest.raises(AssertionError, match="slope must be the derivative"):
        check_loss(loss)


class LogCosh(nf.Loss):
    """φ = log cosh(t - y), sound; the classes below break one thing each."""

    formula = "log cosh(aᵀx - y)"
    curvature_bound = 1.0
    curvature_lipschitz = 4 / 27**0.5

    def value(self, t, y):
        r = abs(t - y)
        near = np.log1p(2 * np.sinh(np.minimum(r, 1.0) / 2) ** 2)
        return np.where(r < 1, near, r + np.log1p(np.exp(-2 * r)) - np.log(2.0))

    def slope(self, t, y):
        return np.tanh(t - y)

    def curvature(self, t, y):
        e = np.exp(-2 * abs(t - y))
        return 4 * e / (1 + e) ** 2


class CancelsNearZero(LogCosh):
    def value(self, t, y):
        r = abs(t - y)
        return r + np.log1p(np.exp(-2 * r)) - np.log(2.0)


class CancelsInTheTails(LogCosh):
    def curvature(self, t, y):
        return 1 - np.tanh(t - y) ** 2


class WrongSlope(LogCosh):
    def slope(self, t, y):
        return np.tanh(t - y) * (1 + 1e-10)


class WrongCurvature(LogCosh):
    def curvature(self, t, y):
        return super().curvature(t, y) * (1 - 1e-10)


class WrongOnOneSide(LogCosh):
    """Only where t > y + 1, by a little."""

    def slope(self, t, y):
        return np.tanh(t - y) + np.where(t - y > 1, 1e-6, 0.0)


class BoundTooSmall(LogCosh):
    curvature_bound = 0.999


class LipschitzTooSmall(LogCosh):
    curvature_lipschitz = 0.76


class Unbounded(LogCosh):
    curvature_lipschitz = -1.0


class NoBound(LogCosh):
    curvature_bound = None


class Nameless(LogCosh):
    formula = ""


class OverflowsOnTheWay(LogCosh):
    def curvature(self, t, y):
        return 1 / np.cosh(t - y) ** 2


class InvalidOnTheWay(LogCosh):
    def value(self, t, y):
        r = abs(t - y)
        near = np.log1p(2 * np.sinh(np.minimum(r, 1.0) / 2) ** 2)
        big = np.exp(np.minimum(r, 800.0))
        return np.where(r < 700, super().value(t, y), np.where(r < 700, big / big, r - np.log(2.0)) + 0 * near)


class NotANumber(LogCosh):
    def slope(self, t, y):
        e = np.exp(2 * (t - y))
        return (e - 1) / (e + 1)


class InfiniteLogistic(Logistic):
    def value(self, t, y):
        with np.errstate(over="ignore"):
            return np.log(1 + np.exp(-y * t))


class InfiniteCurvature(Squared):
    def curvature(self, t, y):
        return np.where(abs(t) > 1e5, np.inf, 1.0)


class Concave(Squared):
    curvature_bound = 1.0

    def value(self, t, y):
        return -super().value(t, y)

    def slope(self, t, y):
        return y - t

    def curvature(self, t, y):
        return -np.ones_like(t)


class LooksAtNeighbours(Squared):
    def value(self, t, y):
        return super().value(t, y) + (1e-12 * np.mean(t) if len(t) > 1 else 0.0)


class Overwrites(Squared):
    def slope(self, t, y):
        t -= y
        return t


class Narrow(Squared):
    def curvature(self, t, y):
        return np.ones(t.shape, np.float32)


class OneNumber(Squared):
    def curvature(self, t, y):
        return 1.0


class Raises(Squared):
    def slope(self, t, y):
        raise KeyError("no such thing")


class NotFinite(Squared):
    def value(self, t, y):
        return np.where(t > 3, np.inf, super().value(t, y))


class DividesByZero(Squared):
    def value(self, t, y):
        return super().value(t, y) * np.where(t == 0, 1.0, t / t)


class LargeCounts(Poisson):
    least_label = 1000.0


class FlatFar(Huber):
    """The slope falls back to 0 far away."""

    def slope(self, t, y):
        return np.where(abs(t) > 1e5, 0.0, super().slope(t, y))


class ObservedInformation(Gamma):
    """The curvature itself, though the margin is no canonical parameter."""

    name = "observed-gamma"

    def information(self, t, y):
        return self.curvature(t, y)


class InformationOfAll(LogCosh):
    def information(self, t, y):
        return np.full_like(t, np.mean(self.curvature(t, y)))


@pytest.mark.parametrize(
    "loss, words",
    [
        (ObservedInformation(), "information must be the mean of its curvature under the model"),
        (InformationOfAll(), "information: an element's result must not depend on the others"),
        (CancelsNearZero(), "value loses digits at t = .*terms cancel"),
        (CancelsInTheTails(), "curvature loses digits at t = .*terms cancel"),
        (WrongSlope(), "slope must be the derivative of its value: at t = "),
        (WrongCurvature(), "curvature must be the derivative of its slope: at t = "),
        (WrongOnOneSide(), "must be the derivative"),
        (BoundTooSmall(), "curvature_bound = 0.999, and the curvature is up to 1; above"),
        (LipschitzTooSmall(), r"curvature_lipschitz = 0.76, and at t = .* the curvature changes by 0.769\d* times"),
        (Unbounded(), "curvature_lipschitz: -1.0, must be a number of at least 0"),
        (NoBound(), "curvature_bound: None, must be a number of at least 0, math.inf where there is none"),
        (Nameless(), "formula: '', must be φ as text"),
        (OverflowsOnTheWay(), "curvature at t = .*an overflow on the way, of which NumPy warns"),
        (InvalidOnTheWay(), "value at t = .*on the way"),
        (NotANumber(), "slope at t = .*: not a number"),
        (InfiniteLogistic(), "value at t = .*: infinite, must be a finite number"),
        (InfiniteCurvature(), "curvature at t = .*: infinite, must be a finite number"),
        (Concave(), "curvature -1"),
        (LooksAtNeighbours(), "value: an element's result must not depend on the others"),
        (Overwrites(), "slope must leave margins and labels as they were"),
        (Narrow(), "curvature: of float64 arrays .* type float32"),
        (OneNumber(), "curvature: of float64 arrays .* made float of shape"),
        (Raises(), "must take arrays of margins: KeyError"),
        (NotFinite(), "value: not finite at t = "),
        (DividesByZero(), "value at t = 0.0, y = -1.5: invalid value on the way"),
        (FlatFar(1.0), "convex, and its slope falls at t = "),
        (Squared, "must be a Loss"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nf.Loss) else "",
)
def test_broken_losses(loss, words):
    with pytest.raises(AssertionError, match=f"(?s){words}"):
        check_loss(loss)


class ScipyLogistic(Logistic):
    def slope(self, t, y):
        return -y * expit(-y * t)


@dataclass(frozen=True)
class Wide(Logistic):
    """Bounds that are true and far from sharp."""

    curvature_bound = 1.0
    curvature_lipschitz = math.inf


@pytest.mark.parametrize(
    "loss", [LogCosh(), ScipyLogistic(), Wide(), LargeCounts()], ids=lambda loss: type(loss).__name__
)
def test_what_was_broken_above_passes_when_whole(loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_loss(loss)


def test_differences_know_their_error():
    """Of eᵗ, and of a function with a kink beside the point."""
    t = np.array([-1.0, 0.0, 3.0])
    slope, error = derivative(np.exp, t)
    assert (abs(slope - np.exp(t)) <= error).all() and (error < 1e-9 * np.exp(t)).all()
    slope, _ = derivative(abs, np.array([1e-4, -1e-4]))
    np.testing.assert_allclose(slope, [1.0, -1.0], rtol=1e-8)


def test_extended_precision_is_asked_of_the_functions():
    assert extended(lambda t, y: t * y) is (
        np.longdouble if np.finfo(np.longdouble).eps < np.finfo(float).eps else np.float64
    )
    assert extended(lambda t, y: np.float64(1.0) * t.astype(np.float64)) is np.float64
