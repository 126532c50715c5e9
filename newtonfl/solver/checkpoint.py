"""Checkpoints: a solve that is cut off goes on where it was, in the same bits, on any number of ranks.

A folder holds the last two as npz files without pickle: checkpoint.npz and, in case that one is damaged,
checkpoint.previous.npz. One is written beside, forced to the disk, and renamed, so that a kill at any time leaves a
whole one.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from newtonfl.core.backend import Array

NEWEST, PREVIOUS, _UNFINISHED = "checkpoint.npz", "checkpoint.previous.npz", "checkpoint.npz.part"
FORMAT = 1


class Damaged(ValueError):
    """A checkpoint's file that cannot be read."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a solve keeps its state: ``nf.solve(…, checkpoint=nf.Checkpoint("runs/long", every=10))``.

    A solve with a folder that holds a checkpoint of the same solve goes on from there: same problem, method, seed and
    x⁰. `rounds` and `tol` may be others.

    Parameters
    ----------
    folder : str or Path
        Made where it is missing.
    every : int
        After how many rounds it is written anew; and once more at the end.

    Raises
    ------
    ValueError
        If `every` is no whole number of at least 1.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.Checkpoint("runs/long", every=10).every
    10
    """

    folder: str | Path
    every: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.every, int) or isinstance(self.every, bool) or self.every < 1:
            raise ValueError(f"every: given {self.every!r}, must be a whole number of at least 1")

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.folder)

    @property
    def exists(self) -> bool:
        """Whether the folder holds a checkpoint, whole or not."""
        return any((self.path / name).is_file() for name in (NEWEST, PREVIOUS))

    def remove(self) -> None:
        """Take away what the folder holds of checkpoints."""
        for name in (NEWEST, PREVIOUS, _UNFINISHED):
            (self.path / name).unlink(missing_ok=True)

    def write(self, arrays: dict[str, Array], values: dict[str, Any]) -> None:
        """Write one; the last one becomes the one before.

        Parameters
        ----------
        arrays : dict of str to numpy.ndarray
            Of numbers alone.
        values : dict
            What JSON can hold.

        Raises
        ------
        OSError
            If the disk does not take it; the last ones then stay.
        """
        path, unfinished = self.path / NEWEST, self.path / _UNFINISHED
        try:
            with unfinished.open("wb") as file:
                head = np.frombuffer(json.dumps({"format": FORMAT, **values}).encode(), np.uint8)
                np.savez(file, values=head, **arrays)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                os.replace(path, self.path / PREVIOUS)
            os.replace(unfinished, path)
            self._force_names()
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise OSError(f"{path}: {error.strerror or error}") from None

    def read(self) -> tuple[dict[str, Array], dict[str, Any], str]:
        """The newest one that is whole: its arrays, its values, and what is to be said of one that is not.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If none is whole.
        """
        if not self.exists:
            raise FileNotFoundError(f"{self.path}: holds no {NEWEST}; `newtonfl solve … --checkpoint DIR` writes one")
        faults = []
        for name in (NEWEST, PREVIOUS):
            try:
                arrays, values = _read(self.path / name)
            except (Damaged, FileNotFoundError) as error:
                faults.append(str(error))
            else:
                return arrays, values, "; ".join(faults)
        raise ValueError("; ".join(faults))

    def _force_names(self) -> None:
        """Force the renaming itself to the disk, where the system can."""
        with contextlib.suppress(OSError):
            folder = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _read(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing")
    if not path.is_file():
        raise Damaged(f"{path}: no file")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        values = json.loads(arrays.pop("values").tobytes())
        if values["format"] != FORMAT:
            raise ValueError(f"of format {values['format']}, must be {FORMAT}")
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError, OverflowError,
        NotImplementedError, RecursionError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise Damaged(f"{path}: damaged, or no checkpoint ({error})") from None
    return arrays, dict(values)
