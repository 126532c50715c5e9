"""Losses against their formulas in 500 decimal digits: derivatives by differences there, stable at any margin."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from cases import LOSSES
from hypothesis import given, settings
from hypothesis import strategies as st

from newtonfl.objectives.losses import Huber, Logistic, Loss, Poisson, SquaredHinge

STEP = Decimal("1e-40")
EPS = np.finfo(float).eps
EACH = pytest.mark.parametrize("name, loss", [(name, loss) for name, loss, _ in LOSSES], ids=[x[0] for x in LOSSES])

# Each loss's formula, as its docstring states it, on Decimals.
FORMULAS = {
    "logistic": lambda loss, t, y: (1 + (-y * t).exp()).ln(),
    "squared": lambda loss, t, y: (t - y) ** 2 / 2,
    "huber": lambda loss, t, y: _huber(abs(t - y), Decimal(loss.delta)),
    "squared-hinge": lambda loss, t, y: max(Decimal(0), 1 - y * t) ** 2,
    "poisson": lambda loss, t, y: t.exp() - y * t,
}


def _huber(r: Decimal, delta: Decimal) -> Decimal:
    return r**2 / 2 if r <= delta else delta * r - delta**2 / 2


def labels(loss: Loss, name: str) -> list[float]:
    return [-1.0, 1.0] if loss.classifies else [0.0, 1.0, 7.0] if name == "poisson" else [-1.5, 0.0, 2.25]


def exact(name: str, loss: Loss, t: float, y: float) -> tuple[float, float, float]:
    """φ, φ′ and φ″ at (t, y), the derivatives by central differences: off by STEP² relative, not by rounding."""
    with localcontext(prec=500):
        phi = [FORMULAS[name](loss, Decimal(t) + k * STEP, Decimal(y)) for k in (-1, 0, 1)]
        return float(phi[1]), float((phi[2] - phi[0]) / (2 * STEP)), float((phi[2] - 2 * phi[1] + phi[0]) / STEP**2)


def ours(loss: Loss, t: float, y: float) -> tuple[float, float, float]:
    at = np.array([t]), np.array([y])
    return tuple(float(f(*at)[0]) for f in (loss.value, loss.slope, loss.curvature))


def test_every_loss_has_its_formula_here():
    """A loss that cases.py lists is compared with something."""
    assert {name for name, _, _ in LOSSES} == FORMULAS.keys()


@EACH
@pytest.mark.parametrize("t", [-3.7, -0.6, -1e-3, 0.0, 1e-9, 0.4, 0.99, 2.2, 5.1, -30.0, 30.0])
def test_value_slope_and_curvature(name, loss, t):
    """To a few units in the last place of the largest term."""
    for y in labels(loss, name):
        scale = np.exp(t) + abs(y * t) if name == "poisson" else 0.0  # there two terms can cancel
        for mine, reference in zip(ours(loss, t, y), exact(name, loss, t, y), strict=True):
            assert abs(mine - reference) <= 6 * EPS * max(abs(reference), scale), (y, mine, reference)


@EACH
@pytest.mark.parametrize("t", [-1e4, -700.0, -40.0, 40.0, 700.0, 1e4])
def test_large_margins(name, loss, t):
    """Finite wherever the loss is, with relative precision down to the smallest numbers; else infinity itself."""
    for y in labels(loss, name):
        with np.errstate(over="ignore"):
            mine = ours(loss, t, y)
        reference = exact(name, loss, t, y)
        if name == "poisson" and t == 1e4:
            assert mine == reference == (np.inf,) * 3
            continue
        assert np.all(np.isfinite(mine))
        np.testing.assert_allclose(mine, reference, rtol=6 * EPS, atol=0)


def test_limits_of_the_logistic_loss():
    """log(1 + e¹⁰⁰⁰⁰) = 10000 in float64, its slope -y, and nothing at the other end."""
    for y in (-1.0, 1.0):
        assert ours(Logistic(), -1e4 * y, y) == (1e4, -y, 0.0)
        assert ours(Logistic(), 1e4 * y, y) == (0.0, 0.0, 0.0)


@EACH
@settings(deadline=None, derandomize=True)
@given(t=st.floats(-700, 700), u=st.floats(-700, 700), which=st.integers(0, 1))
def test_convex_with_a_curvature_below_its_bound(name, loss, t, u, which):
    """0 ≤ φ″ ≤ sup φ″, φ′ does not decrease, and φ lies above its tangents."""
    y = labels(loss, name)[which]
    (value, slope, curvature), (there, slope_there, _) = ours(loss, t, y), ours(loss, u, y)
    assert 0 <= curvature <= loss.curvature_bound
    assert (slope_there - slope) * (u - t) >= 0
    assert there - value - slope * (u - t) >= -8 * EPS * (abs(there) + abs(value) + abs(slope * (u - t)))


@EACH
def test_the_bound_of_the_curvature_is_its_supremum(name, loss):
    """Reached at the origin's side of every kink, or, for Poisson, exceeded by every number."""
    t = np.linspace(-5, 5, 1001)
    largest = max(loss.curvature(t, np.full(1001, y)).max() for y in labels(loss, name))
    assert largest == (loss.curvature_bound if name != "poisson" else np.exp(5))
    assert np.isfinite(loss.curvature_bound) == (name != "poisson")


@EACH
def test_elementwise_on_arrays(name, loss):
    """An array's results are those of its elements, in the same bits."""
    draw = np.random.default_rng(0)
    t, y = draw.normal(0, 3, 50), draw.choice(labels(loss, name), 50)
    together = [f(t, y) for f in (loss.value, loss.slope, loss.curvature)]
    assert np.array_equal(np.array(together).T, [ours(loss, a, b) for a, b in zip(t, y, strict=True)])


@EACH
def test_the_curvatures_lipschitz_constant_is_the_largest_slope(name, loss):
    """sup abs(φ‴), met by central differences on a fine grid; infinite where φ″ jumps or grows without end."""
    h, t = 1e-4, np.linspace(-8.0, 8.0, 200_001)
    y = np.ones_like(t)
    slopes = np.abs(loss.curvature(t + h, y) - loss.curvature(t - h, y)) / (2 * h)
    if np.isfinite(loss.curvature_lipschitz):
        assert slopes.max() == pytest.approx(loss.curvature_lipschitz, rel=1e-6, abs=1e-12)
    else:
        assert slopes.max() > 1e3


def test_kinks():
    """Where φ″ jumps, value and slope are those of both sides; the squared hinge takes 0 there."""
    for y in (-1.0, 1.0):
        assert ours(SquaredHinge(), y, y) == (0.0, 0.0, 0.0)
    huber = Huber(0.75)
    for sign in (-1.0, 1.0):
        assert ours(huber, sign * 0.75 + 2, 2.0) == (0.75**2 / 2, sign * 0.75, 1.0)
        assert ours(huber, sign * 1.75 + 2, 2.0) == (0.75 * 1.75 - 0.75**2 / 2, sign * 0.75, 0.0)


def test_which_losses_classify():
    """Those of labels ±1 see y·t alone: φ(t, y) = φ(-t, -y)."""
    assert [name for name, loss, _ in LOSSES if loss.classifies] == ["logistic", "squared-hinge"]
    for _, loss, _ in LOSSES:
        if loss.classifies:
            a, b = ours(loss, 0.7, -1.0), ours(loss, -0.7, 1.0)
            assert a == (b[0], -b[1], b[2])


@pytest.mark.parametrize("delta", [0.0, -1.0, np.inf, np.nan])
def test_huber_needs_a_positive_delta(delta):
    """Anything else is refused by the name that a problem file gives it."""
    with pytest.raises(ValueError, match="huber_delta: given"):
        Huber(delta)


def test_formulas_name_their_settings():
    """The text of φ tells δ, and no two losses have one text."""
    assert "0.75" in Huber(0.75).formula
    assert len({loss.formula for _, loss, _ in LOSSES}) == len(LOSSES)
    assert Poisson().formula == "exp(aᵀx) - y aᵀx"
