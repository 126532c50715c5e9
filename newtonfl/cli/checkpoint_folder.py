"""newtonfl solve --checkpoint, and resume: the folder of checkpoints holds run.toml, which says what is solved."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.results.folder_lock import FolderLock
from newtonfl.results.record import Record
from newtonfl.results.run_folder import INITIAL_POINT, RUN_FILE
from newtonfl.solver.checkpoint import Checkpoint


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

    def prepare(self, force: bool, write: Callable[[CheckpointFolder], None]) -> None:
        """Make the folder for a new run, whose files `write` writes, while no other job is in it.

        ValueError where it holds a checkpoint already and `force` is false, or another job works there.
        """
        with FolderLock(self.path, "--checkpoint"):
            if self.checkpoint.exists and not force:
                raise ValueError(
                    f"--checkpoint {self.path}: holds a checkpoint; `newtonfl resume {self.path}` goes on from it, and "
                    "--force begins anew"
                )
            self.checkpoint.remove()
            write(self)

    def write_run_file(self, toml: str) -> None:
        """Write run.toml."""
        (self.path / RUN_FILE).write_text(toml, encoding="utf-8")

    def write_initial_point(self, x0: Array) -> str:
        """Write x0.npy; returns how run.toml shall name it."""
        np.save(self.path / INITIAL_POINT, x0)
        return INITIAL_POINT

    def records(self) -> list[Record]:
        """The history so far."""
        if not self.checkpoint.exists:
            return []
        return [Record.from_json(line) for line in self.checkpoint.read()[1]["history"]]


def solve_arguments(args: argparse.Namespace, reads: bool) -> argparse.Namespace:
    """What ``newtonfl solve`` would have to be given to do what ``newtonfl resume`` is asked for.

    The rank that `reads` refuses a folder of no run.
    """
    folder: Path = args.folder
    if reads and not (folder / RUN_FILE).is_file():
        raise FileNotFoundError(
            f"{folder}: holds no {RUN_FILE}; `newtonfl solve … --checkpoint {folder}` writes one, and nf.solve goes on "
            "from a checkpoint of its own when it is given the same again"
        )
    own = {
        "problem": str(folder / RUN_FILE), "checkpoint": folder, "resume": True, "method": None, "set": [],
        "rtol": None, "l2": None, "nonconvex": None, "clients": None, "x0": None, "seed": None, "device": None,
        "availability": None, "on_missing": None, "monitor": None,
    }  # fmt: skip
    return argparse.Namespace(**{**vars(args), **own})
