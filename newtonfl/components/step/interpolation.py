"""The least of f along a direction, from values at a few steps that one exchange asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from newtonfl.components.step.backtracking import LAST_TRIAL, check_trials
from newtonfl.components.step.base import NoStep
from newtonfl.components.step.trials import slack
from newtonfl.core.backend import Array

_TELLING = 1e3
"""Values tell steps apart where f falls by so many times what rounding may change of it."""


@dataclass(frozen=True)
class Interpolation:
    """The vertex of the parabola through the best of the steps 1/γ, 1, γ, … and its two neighbours, 0 included.

    Where f is convex it is no higher there than at 0: the vertex lies between the midpoints of the three, and beyond
    the best on the side of the lower neighbour. Where 1/γ is the best it is taken. Where nothing but rounding is left
    of the fall of f, the step is 1, and nothing is asked.

    Parameters
    ----------
    gamma : float
        γ in (0, 1).
    trials : int
        How many steps an exchange asks for; where none makes f fall, the next as many smaller ones.
    """

    gamma: float
    trials: int

    def __post_init__(self) -> None:
        check_trials(self.gamma, self.trials)

    def steps(self, first: int) -> Array:
        """0, then the steps γˢ from s = `first` - 1 on."""
        return np.concatenate(([0.0], self.gamma ** np.arange(first - 1, first - 1 + self.trials, dtype=float)))

    def search(self, slope: float, ask: Callable[[int], Array]) -> float:
        """The step.

        Parameters
        ----------
        slope : float
            ⟨∇f(w), d⟩ < 0.
        ask : callable
            s → f at each of :meth:`steps` of s times the direction: an exchange.

        Raises
        ------
        NoStep
            If f falls nowhere.
        """
        steps, values, first = np.zeros(1), np.zeros(1), 0
        while self.gamma**first > np.finfo(float).tiny and first < LAST_TRIAL:
            block, found = self.steps(first), ask(first)
            # In rising order, 0 first: the steps of a later exchange are smaller.
            steps = np.concatenate([block[:1], block[:0:-1], steps[1:]])
            values = np.concatenate([found[:1], found[:0:-1], values[1:]])
            if -slope < _TELLING * slack(float(values[0])):
                return 1.0
            if (best := int(np.argmin(values))) > 0:
                return _vertex(steps, values, best)
            first += self.trials
        raise NoStep("no trial step along the direction is good enough")


def _vertex(steps: Array, values: Array, best: int) -> float:
    """Of the parabola through the best step and its neighbours; the best itself where it has none above it."""
    if best == len(steps) - 1:
        return float(steps[best])
    a, b, c = steps[best - 1 : best + 2]
    with np.errstate(over="ignore"):
        down, up = np.diff(values[best - 1 : best + 2]) / (b - a, c - b)
        turn = -down / (up - down) if up > down else 0.5
    return float((a + b) / 2.0 + turn * (c - a) / 2.0)
