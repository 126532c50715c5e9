"""The game of problems/game.py, as boxes want a problem: its matrices, its equilibrium, and a linear operator's box."""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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

    def gradient(self, z: np.ndarray, i: int) -> np.ndarray:
        """F_i(z): by this name boxes ask for it."""
        return self.matrices[i] @ (z - self.solution) + self.tilts[i]
