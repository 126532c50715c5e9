"""MARINA, VR-MARINA and PP-MARINA."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from newtonfl.comm.coding import Precision
from newtonfl.components.gradient.oracle import Full, Oracle
from newtonfl.components.gradient.page import Page
from newtonfl.components.gradient.shared_gradient import SharedGradient, variance
from newtonfl.components.participation import All, Uniform
from newtonfl.components.step.stepsizes import StepContext, ThreePoint
from newtonfl.compressors import RandK
from newtonfl.core.backend import Array
from newtonfl.mechanisms.constants import a_compressor, omega
from newtonfl.methods.first_order.settings import FirstOrder
from newtonfl.methods.round import Descent
from newtonfl.methods.settings import (
    FIRST_ORDER,
    CompressorForm,
    ParticipationForm,
    Ridge,
)
from newtonfl.methods.typed import method
from newtonfl.methods.wire import rounded

_REST = "√((1-p)/p·((A - B)·mean(L_i²) + B·L_pm² + (A + 1/n)·N))"


@dataclass(frozen=True)
class MarinaRule(ThreePoint):
    """γ = 1/(L₋ + √((1-p)T/p)) with T = (A-B)L₊² + B·L_±² + (A + 1/n)N, which for independent draws is 3PC's.

    (A, B) are the compressor's :meth:`~newtonfl.compressors.Compressor.mean_constants`, (ω/n, 0) of independent draws,
    and (v, 0) where τ clients are drawn (:func:`newtonfl.components.gradient.shared_gradient.variance`);
    mean ‖∇f_i(x) - ∇f_i(y)‖² - ‖∇f(x) - ∇f(y)‖² ≤ L_±²‖x - y‖² (arXiv 2110.03300); N = mean N_i is the variance of
    minibatches' differences (:meth:`newtonfl.components.gradient.page.Page.variance`), 0 of whole gradients. 2T, and at
    most p/(2μ), serve the linear rate. The papers' formulas, 2110.03300's with N = 0 and 2102.07845's with B = 0, are
    from memory; the one that has both is derived here, as E‖mean Q(Δ_iB) - mean Δ_i‖² ≤ T‖x⁺ - x‖² for the changes
    Δ_i of ∇f_i and Δ_iB of its minibatch. For L_± stands :func:`hessian_variance`, which needs the L_i alone.
    """

    def named(self, at: StepContext, theory: str) -> str:
        if self._is_plain(at):
            return super().named(at, theory)
        rest = _REST if theory == "theory" else _REST.replace("(1-p)/p", "2(1-p)/p")
        return f"min{{1/(L + {rest}), p/(2μ)}}" if theory == "theory-pl" else f"1/(L + {rest})"

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        if self._is_plain(at):
            return super().largest(at, theory)
        gradient, constants = at.gradient, at.constants
        assert isinstance(gradient, SharedGradient)
        if theory == "theory-convex" and not gradient.exact:
            raise ValueError("the theorem of theory-convex has clients that compute ∇f_i itself, as marina's do")
        p, n = gradient.p, constants.n_clients
        if at.share < 1.0:
            a, b = variance(omega(gradient.compressor, constants.dim), n, at.share), 0.0
        else:
            a, b = gradient.compressor.mean_constants(constants.dim, n)
        plus = float(np.mean(at.client_smoothness**2))
        apart = hessian_variance(constants.client_smoothness(), constants.convex) if b else 0.0
        noise = float(np.mean(gradient.oracle.variance(constants))) if isinstance(gradient.oracle, Page) else 0.0
        lost = (a - b) * plus + b * apart**2 + (a + 1.0 / n) * noise
        twice = 1.0 if theory == "theory" else 2.0
        gamma = 1.0 / (at.smoothness + math.sqrt(twice * (1.0 - p) / p * lost))
        known = {"L": at.smoothness, "p": p, "A": a, "B": b, "L_plus": math.sqrt(plus), "L_pm": apart, "N": noise}
        if theory == "theory-pl" and at.convexity > 0:
            gamma, known["mu"] = min(gamma, p / (2.0 * at.convexity)), at.convexity
        return gamma, known

    def _is_plain(self, at: StepContext) -> bool:
        """Whether draws are independent and gradients whole."""
        assert isinstance(at.gradient, SharedGradient)
        return at.gradient.exact and not at.gradient.compressor.correlated


class MinibatchMarinaRule(MarinaRule):
    """The same where N is needed."""

    needs_row_smoothness = True


def hessian_variance(smoothness: Array, convex: bool) -> float:
    """A bound on L_± by the L_i less the ridge, which all clients have in common: min_c √mean max{c, L_i - c}².

    Derived here: for every c, mean ‖(H_i - H̄)v‖² ≤ mean ‖(H_i - cI)v‖², and 0 ⪯ H_i ⪯ L_i I where f_i is convex. It
    lies between L₊/2 and L₊: half where all L_i are alike. Where f_i need not be convex c is 0, and it is L₊.
    """
    falling = np.sort(smoothness)[::-1]
    # Convex in c, with a kink at each L_i/2; between them it is least where c is the sum of the L_i above 2c, over n.
    candidates = np.concatenate([falling / 2, np.cumsum(falling) / len(falling)]) if convex else np.zeros(1)
    norms = np.maximum(candidates[:, None], falling[None, :] - candidates[:, None])
    return float(np.sqrt(np.min(np.mean(norms**2, axis=1))))


def shared_gradient(common: FirstOrder, p: float, oracle: Oracle[Any] | None = None, **robust: Any) -> SharedGradient:
    """One estimate for all, sent whole on heads; `robust` holds the rules and the clipping."""
    a_compressor("compressor", common.compressor)
    participation = common.participation
    if not isinstance(participation, All | Uniform):
        raise ValueError(
            f"participation: given {participation!r}, and {common.name} draws a fixed number of clients: use uniform:8"
        )
    if common.compressor.correlated and not isinstance(participation, All):
        raise ValueError(f"compressor: given {common.compressor}, whose clients draw together: use marina, with all")
    return SharedGradient(rounded(common.compressor, common.wire), p, common.whole, oracle or Full(), **robust)


@method("marina", FIRST_ORDER)
def marina(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    p: float = 0.1,
) -> Descent:
    """MARINA (Gorbunov, Burlachenko, Li, Richtárik, arXiv 2102.07845): Q unbiased.

    With probability p, one coin for all, g = ∇f(x⁺); else g ← g + mean Q(∇f_i(x⁺) - ∇f_i(x)). The mean obeys the
    three-point inequality with (A, B) = (p, (1-p)ω/n), hence E‖∇f‖² ≤ 2(f(x⁰) - f*)/(γT) for γ ≤ 1/(L₋ + L₊√(B/A)).
    On a float32 wire the gradient norm stops near 1e-9: whole gradients are sent, not differences.

    Parameters
    ----------
    p : float
        p in (0, 1], how likely whole gradients are sent.
    """
    common = FirstOrder.of("marina", locals())
    return common.descent(shared_gradient(common, p), rule=MarinaRule())


@method("vr-marina", FIRST_ORDER)
def vr_marina(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    p: float = 0.1,
    batch: int = 16,
) -> Descent:
    """VR-MARINA (Gorbunov et al., arXiv 2102.07845): on tails Q sends how a minibatch's gradient changed.

    g ← ∇f(x⁺) with probability p, one coin for all; else g ← g + mean Q(∇f_iB(x⁺) - ∇f_iB(x)), B the same rows of
    client i twice. The step is that of :class:`newtonfl.methods.first_order.marina.MarinaRule`. The paper takes p =
    min{ζ/d, b/(m + b)} with ζ the numbers that Q sends and m the rows of a client (from memory): then heads cost no
    more than tails, in bits and in gradients.

    Parameters
    ----------
    p : float
        p in (0, 1], how likely whole gradients are computed and sent.
    batch : int
        b, how many rows B has; a client with no more is exact.
    """
    common = FirstOrder.of("vr-marina", locals())
    gradient = shared_gradient(common, p, Page(batch, p=None))
    return common.descent(gradient, rule=MinibatchMarinaRule())


@method("pp-marina", FIRST_ORDER)
def pp_marina(
    *,
    stepsize: float | str = "theory",
    ridge: Ridge = "server",
    wire: Precision = "float64",
    compressor: CompressorForm = RandK("0.1d"),
    p: float = 0.1,
    participation: ParticipationForm = Uniform(0.5),
) -> Descent:
    """PP-MARINA (Gorbunov et al., arXiv 2102.07845): on tails τ clients send, and the mean is over them.

    All clients receive x in every round. The τ are drawn without replacement, whose variance v = (ω + (n-τ)/(n-1))/τ is
    at most the paper's (1+ω)/τ; (A, B) = (p, (1-p)v).

    Parameters
    ----------
    p : float
        p in (0, 1], how likely all clients send whole gradients.
    """
    common = FirstOrder.of("pp-marina", locals())
    return common.descent(shared_gradient(common, p))
