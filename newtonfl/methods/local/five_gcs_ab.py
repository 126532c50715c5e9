"""5GCS-AB: 5GCS whose clients are asked the more often the less smooth their functions are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from newtonfl.components.protocol import ProblemConstants, silent_rounds
from newtonfl.components.step.stepsizes import StepContext, StepSizeRule
from newtonfl.core.backend import Array
from newtonfl.core.random import SERVER, Key
from newtonfl.mechanisms.constants import a_probability
from newtonfl.methods.local.five_gcs import FiveGCS
from newtonfl.methods.settings import LOCAL
from newtonfl.methods.typed import method


def probabilities(smoothness: Array, share: float) -> Array:
    """p_m, shape (n,), of the mean `share`: by √L_m to one half, alike to the other; who is certain leaves the rest."""
    roots, n = np.sqrt(smoothness), len(smoothness)
    p = share * n * 0.5 * (roots / roots.sum() + 1.0 / n)
    while (certain := p >= 1.0).sum() < n and (p > 1.0).any():
        p = np.where(certain, 1.0, p * ((share * n - certain.sum()) / p[~certain].sum()))
    return np.minimum(p, 1.0)


@dataclass(frozen=True)
class FiveGCSABRule(StepSizeRule):
    """γ = (3/16) min_m p_m√(n/(C L_m μ)) with C = Σp_m: 5GCS's where all L_m are alike.

    Parameters
    ----------
    share : float
    """

    share: float
    needs_smoothness = False
    formulas: ClassVar[dict[str, str]] = {"theory": "(3/16) min p_m√(n/(C L_m μ))"}

    def largest(self, at: StepContext, theory: str) -> tuple[float, dict[str, float]]:
        p = probabilities(at.total, self.share)
        n, expected = len(p), float(p.sum())
        least = float(np.min(p / np.sqrt(at.total))) * math.sqrt(n / (expected * at.convexity))
        return 0.1875 * least, {"L_max": at.most, "mu": at.convexity, "C": expected}


@dataclass(frozen=True)
class FiveGCSAB(FiveGCS):
    """See :func:`five_gcs_ab`."""

    share: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        a_probability("share", self.share)

    def rule(self) -> FiveGCSABRule:  # type: ignore[override]
        return FiveGCSABRule(self.share)

    def expected_silent_rounds(self, n_clients: int) -> float:
        return silent_rounds(0.5 * self.share)

    def probabilities(self, constants: ProblemConstants) -> Array:
        return probabilities(self.context(constants).total, self.share)

    def drawn(self, constants: ProblemConstants, key: Key) -> Array | None:
        if key.round == 0:
            return None
        coins = key.of(SERVER).to("participation").generator().random(constants.n_clients)
        return np.flatnonzero(coins < self.probabilities(constants))

    def sampling_scales(self, constants: ProblemConstants, clients: Array) -> Array:
        return 1.0 / self.probabilities(constants)[clients]

    def client_constants(self, server: Any) -> Array:
        at, p = self.context(server.constants), self.probabilities(server.constants)
        tau, smooth = p / (2.0 * server.step_size.stepsize * (p.sum() + 1.0 - p)), (at.total - at.convexity) / len(p)
        count = self.local_steps(float((smooth / tau).max()))
        return np.column_stack([1.0 / (smooth + tau), tau, np.full(len(p), at.convexity), np.full(len(p), count)])


@method("5gcs-ab", LOCAL)
def five_gcs_ab(
    *, stepsize: float | str = "theory", steps: int | Literal["theory"] = "theory", share: float = 0.5
) -> FiveGCSAB:
    """5GCS-AB: 5GCS with importance sampling (Grudzień, Malinovsky and Richtárik, arXiv 2306.03240).

    Client m is asked with probability p_m, independently of the others, and has a τ_m of its own; in the server's step
    x⁺ = x̂ - γΣ_S(u_m⁺ - u_m)/p_m. All else is :func:`newtonfl.five_gcs`'s. p_m = min{1, c(√L_m/Σ√L_i + 1/n)}, whose c
    makes Σp_m = share·n: a client whose function is less smooth is asked more often, and none less than half as often
    as on average.

    The paper's method takes any sampling under an inequality with two constants A and B; from its abstract we know no
    more, and worked out independent coins: with 1/τ_m = 2γ((C + 1)/p_m - 1), C = Σp_m, L_{F,m} = (L_m - μ)/n and exact
    local minimisers, E(1/γ ‖x - x*‖² + Σ(1/τ_m + 2/L_{F,m})/p_m ‖u_m - u_m*‖²) falls by the factor 1 - min{2γμ/(1 +
    2γμ), min p_mτ_m/(τ_m + L_{F,m}/2)} a round at any γ; docs/algorithms/local-steps.md has the proof. "theory" is γ of
    :class:`newtonfl.methods.local.five_gcs_ab.FiveGCSABRule`.

    What is sent: x̂ down, the change of u_m up; τ_m, L_{F,m} and μ down, once.

    Parameters
    ----------
    steps : int or "theory"
        K; "theory" is that of 5gcs, the largest of the clients'.
    share : float
        How many of the clients a round asks on average, as a share in (0, 1].
    """
    return FiveGCSAB(stepsize, name="5gcs-ab", steps=steps, share=share)
