"""newtonfl solve --checkpoint, and resume: the folder of checkpoints holds run.toml, which says what is solved."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.results.history import Record
from newtonfl.solver.checkpoint import Checkpoint

_RUN, _START = "run.toml", "x0.npy"


class CheckpointFolder:
    """A folder that ``newtonfl resume`` goes on from.

    Parameters
    ----------
    path : Path
        Made where it is missing.
    every : int
        After how many rounds a checkpoint is written.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path = path
        self.checkpoint = Checkpoint(path, every)

    def prepare(self, force: bool) -> None:
        """Make the folder for a new run; ValueError where it holds a checkpoint already and `force` is false."""
        if self.checkpoint.exists and not force:
            raise ValueError(
                f"--checkpoint {self.path}: holds a checkpoint; `newtonfl resume {self.path}` goes on from it, and "
                "--force begins anew"
            )
        self.checkpoint.remove()
        self.path.mkdir(parents=True, exist_ok=True)

    def write_run_file(self, toml: str) -> None:
        """Write run.toml."""
        (self.path / _RUN).write_text(toml, encoding="utf-8")

    def write_initial_point(self, x0: Array) -> str:
        """Write x0.npy; returns how run.toml shall name it."""
        np.save(self.path / _START, x0)
        return _START

    def records(self) -> list[Record]:
        """The history so far."""
        if not self.checkpoint.exists:
            return []
        return [Record.from_json(line) for line in self.checkpoint.read()[1]["history"]]


def solve_words(args: argparse.Namespace, reads: bool) -> argparse.Namespace:
    """What ``newtonfl solve`` would have to be given to do what ``newtonfl resume`` is asked for.

    The rank that `reads` refuses a folder of no run.
    """
    folder: Path = args.folder
    if reads and not (folder / _RUN).is_file():
        raise FileNotFoundError(
            f"{folder}: holds no {_RUN}; `newtonfl solve … --checkpoint {folder}` writes one, and nf.solve goes on "
            "from a checkpoint of its own when it is given the same again"
        )
    own = {
        "problem": str(folder / _RUN), "checkpoint": folder, "resume": True, "method": None, "set": [], "rtol": None,
        "l2": None, "nonconvex": None, "clients": None, "x0": None, "seed": None, "device": None,
    }  # fmt: skip
    return argparse.Namespace(**{**vars(args), **own})
