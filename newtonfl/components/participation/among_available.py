"""A participation among those clients who are there at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newtonfl.components.participation.base import Participation
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


@dataclass(frozen=True)
class AmongAvailable(Participation):
    """Those of `drawn_by`'s clients who are there: who is away neither hears nor answers.

    Parameters
    ----------
    drawn_by : Participation
        S^k as the method draws it.
    availability : Participation
        Who is there.
    """

    drawn_by: Participation
    availability: Participation
    reachable = False

    @property
    def setting(self) -> str:
        return f"availability={self.availability} with on_missing=skip"

    def unwrapped(self) -> Participation:
        return self.drawn_by

    def check(self, n_clients: int) -> None:
        self.drawn_by.check_prompt(self.setting)
        self.drawn_by.check(n_clients)

    def draw(self, n_clients: int, key: Key) -> Array | None:
        drawn = self.drawn_by.drawn(n_clients, key)
        there = self.availability.drawn(n_clients, availability_key(key))
        return there if drawn is None else drawn if there is None else np.intersect1d(drawn, there)

    def share(self, n_clients: int) -> float:
        return self.drawn_by.share(n_clients) * self.availability.share(n_clients)

    def rarest(self, n_clients: int) -> float:
        return self.drawn_by.rarest(n_clients) * self.availability.rarest(n_clients)


def availability_key(participation: Key) -> Key:
    """The stream that decides who is there, from the one that draws who takes part."""
    return participation.to("availability")
