"""Where a run begins, as the command line or a file has it: zeros, optimum+C or FILE.npy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from newtonfl.cli.checkpoint_folder import CheckpointFolder
from newtonfl.core.backend import Array
from newtonfl.core.npy import read_npy
from newtonfl.core.quoting import quoted
from newtonfl.experiments.run_methods import Solution
from newtonfl.objectives.base import Problem
from newtonfl.results.run_folder import RunFolder


@dataclass(frozen=True)
class Start:
    """A start that was read.

    Attributes
    ----------
    words : str
        As it was given.
    offset : float or None
        C of ``optimum+C``.
    values : array, shape (d,), or None
        A file's content, on the rank that read it.
    """

    words: str
    offset: float | None = None
    values: Array | None = None

    @classmethod
    def read(cls, words: str, folder: Path, dim: int, reads: bool) -> Start:
        """Check the `words`; a file lies in `folder`, and is read where `reads` says so.

        Raises
        ------
        ValueError
            If it is none of the three, or the file holds no vector of `dim` finite numbers.
        FileNotFoundError
            If there is no such file.
        """
        offset = _offset(words)
        in_a_file = offset is None and words != "zeros"
        return cls(words, offset, _from_file(words, folder, dim) if in_a_file and reads else None)

    def at(self, problem: Problem, solution: Solution) -> Array:
        """x⁰. Every rank calls this: beside the optimum, x* is found."""
        if self.offset is not None:
            return solution.x + self.offset
        return np.zeros(problem.dim) if self.values is None else self.values

    def kept(self, folder: RunFolder | CheckpointFolder) -> str:
        """How run.toml shall name it; a file's content is kept beside that."""
        return self.words if self.values is None else folder.write_initial_point(self.values)


def _offset(origin: str) -> float | None:
    """C of ``optimum+C``; None where `start` says something else."""
    if not origin.startswith("optimum"):
        return None
    try:
        offset = float(origin.removeprefix("optimum") or "0")
    except ValueError:
        offset = math.nan
    if not math.isfinite(offset):
        raise ValueError(f"--x0: given {quoted(origin)}, must be zeros, optimum+C with a number C, or FILE.npy")
    return offset


def _from_file(origin: str, folder: Path, dim: int) -> Array:
    """The start in a .npy file: one named on the command line lies where it says, one in a problem file beside that."""
    if not origin.endswith(".npy"):
        raise ValueError(f"--x0: given {quoted(origin)}, must be zeros, optimum+C with a number C, or FILE.npy")
    path = folder / origin
    if not path.is_file():
        raise FileNotFoundError(f"--x0 {path}: no such file")
    try:
        with path.open("rb") as file:
            x0 = read_npy(file, path.stat().st_size)
    except (ValueError, TypeError) as error:
        raise ValueError(f"--x0 {path}: cannot be read as one array of numbers: {error}") from None
    if x0.dtype.kind not in "fiu":
        raise ValueError(f"--x0 {path}: must hold one array of real numbers")
    if x0.shape != (dim,) or not np.isfinite(x0).all():
        raise ValueError(f"--x0 {path}: holds shape {x0.shape}, must be ({dim},) and finite")
    return x0.astype(np.float64)
