"""The game of problems/game.py, as boxes want a problem: its matrices, its equilibrium, and a linear operator's box."""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import newtonfl as nf

FILE = Path(__file__).parents[2] / "problems" / "game.py"


@dataclass
class Game:
    """F_i(z) = A_i(z - z*) + b_i."""

    matrices: np.ndarray
    tilts: np.ndarray
    solution: np.ndarray
    lam: float = 0.0

    @classmethod
    def of(cls, clients: int = 8) -> Game:
        return cls(*runpy.run_path(str(FILE))["parts"](clients))

    @property
    def n(self) -> int:
        return len(self.matrices)

    @property
    def d(self) -> int:
        return len(self.solution)

    @property
    def lipschitz(self) -> np.ndarray:
        """L_i."""
        return np.linalg.norm(self.matrices, 2, axis=(1, 2))

    def gradient(self, z: np.ndarray, i: int) -> np.ndarray:
        """F_i(z): by this name boxes ask for it."""
        return self.matrices[i] @ (z - self.solution) + self.tilts[i]


GAME = Game.of()


def problem(**settings) -> nf.FromOperators:
    """The game with other settings."""
    known = {"lipschitz": GAME.lipschitz, "strong_monotonicity": 0.5, **settings}
    return nf.FromOperators(GAME.n, GAME.d, lambda i, z: GAME.gradient(z, i), **known)


def rotation(**settings) -> nf.FromOperators:
    """(x, y) → (y, -x) with a constant: monotone, and no more."""
    return nf.FromOperators(2, 2, lambda i, z: np.array([z[1] - 1.0, 2.0 - z[0]]), lipschitz=1.0, **settings)
