"""Backtracking: the first of 1, γ, γ², … at which f falls enough, asked of the clients several at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from newtonfl.components.step.base import NoStep
from newtonfl.components.step.trials import slack
from newtonfl.core.arguments import is_number
from newtonfl.core.backend import Array

MOST_TRIALS = 1000
"""Of one exchange; γˢ has long vanished by then."""

LAST_TRIAL = 2 * MOST_TRIALS
"""Of all exchanges: where γ is near 1 they would go on for days."""


@dataclass(frozen=True)
class Backtracking:
    """Armijo's rule along a direction d: f(w + γˢd) ≤ f(w) + cγˢ⟨∇f(w), d⟩.

    A few ulps of f are forgiven, for near the solution rounding alone decides.

    Parameters
    ----------
    c : float
        c in (0, ½].
    gamma : float
        γ in (0, 1).
    trials : int
        How many trial steps an exchange asks for.
    """

    c: float
    gamma: float
    trials: int

    def __post_init__(self) -> None:
        if not is_number(self.c) or not 0 < self.c <= 0.5:
            raise ValueError(f"armijo: given {self.c}, must be in (0, 0.5]")
        check_trials(self.gamma, self.trials)

    def parameters(self) -> dict[str, str | float]:
        """As the methods that search name them."""
        return {"line_search": self.trials, "armijo": self.c, "backtrack": self.gamma}

    def steps(self, first: int) -> Array:
        """0, then the trial steps from the exponent `first` on."""
        return np.concatenate(([0.0], self.gamma ** np.arange(first, first + self.trials, dtype=float)))

    def search(self, slope: float, ask: Callable[[int], Array]) -> float:
        """The step γˢ.

        Parameters
        ----------
        slope : float
            ⟨∇f(w), d⟩.
        ask : callable
            s → f at each of :meth:`steps` of s times the direction: an exchange.

        Raises
        ------
        NoStep
            If no trial will do.
        """
        first = 0
        while self.gamma**first > np.finfo(float).tiny and first < LAST_TRIAL:
            steps, values = self.steps(first), ask(first)
            good = np.flatnonzero(values[1:] <= values[0] + self.c * steps[1:] * slope + slack(float(values[0])))
            if len(good):
                return float(steps[1 + good[0]])
            first += self.trials
        raise NoStep("no trial step along the direction is good enough")


def check_trials(gamma: float, trials: int) -> None:
    """Refuse trial steps that are none; ValueError."""
    if not is_number(gamma) or not 0 < gamma < 1:
        raise ValueError(f"backtrack: given {gamma}, must lie between 0 and 1")
    if isinstance(trials, bool) or not isinstance(trials, int | np.integer) or not 1 <= trials <= MOST_TRIALS:
        raise ValueError(f"line_search: given {trials!r}, must be a whole number from 1 to {MOST_TRIALS}")
