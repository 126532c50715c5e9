"""Mixed: what clients who have neighbours, and no server, come to know in a round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from newtonfl.core.backend import Array, namespace, to_device


@dataclass(frozen=True)
class Mixed:
    """What some clients sent in a round, and what all their neighbours' messages make together.

    Attributes
    ----------
    clients : numpy.ndarray of int64, shape (k,)
        They, increasing: those that have a neighbour in this round.
    sent : dict of str to array, shape (k, d)
        By part, what each sent, as its neighbours decode it.
    mixed : dict of str to array, shape (k, d)
        By part, Σ_j w_ij times what j sent, itself included, added in the order of j.
    """

    clients: Array
    sent: dict[str, Array]
    mixed: dict[str, Array]

    def of(self, clients: Array) -> Self:
        """The same of those among the `clients`."""
        chosen = np.flatnonzero(np.isin(self.clients, clients))
        if len(chosen) == len(self.clients):
            return self

        def rows(table: dict[str, Array]) -> dict[str, Array]:
            return {part: namespace(x).take(x, to_device(chosen, x), axis=0) for part, x in table.items()}

        return type(self)(self.clients[chosen], rows(self.sent), rows(self.mixed))
