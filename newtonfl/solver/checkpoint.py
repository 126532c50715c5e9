"""Checkpoints: a solve that is cut off goes on where it was, in the same bits, on any number of ranks.

A folder holds the last two as npz files without pickle: checkpoint.npz and, in case that one is damaged,
checkpoint.previous.npz, each with a hash of all that it holds. One is written beside, forced to the disk, and renamed,
so that a kill at any time leaves a whole one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.npy import read_npy
from newtonfl.core.quoting import excerpt

NEWEST, PREVIOUS, _UNFINISHED = "checkpoint.npz", "checkpoint.previous.npz", "checkpoint.npz.part"
FORMAT = 4


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
                content = {"values": head, **arrays}
                np.savez(file, digest=_digest(content), **content)
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
        arrays: dict[str, Array] = {}
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as stream:
                    arrays[entry.filename.removesuffix(".npy")] = read_npy(stream, entry.file_size)
        if not np.array_equal(arrays.pop("digest"), _digest(arrays)):
            raise ValueError("its content is not what was written")
        values = json.loads(arrays.pop("values").tobytes())
        if values["format"] != FORMAT:
            raise ValueError(f"of format {values['format']}, must be {FORMAT}")
    except Exception as error:  # a damaged zip makes zipfile raise nearly anything
        raise Damaged(f"{path}: damaged, or no checkpoint ({excerpt(error)})") from None
    return arrays, dict(values)


def _digest(arrays: dict[str, Array]) -> Array:
    """A hash of all names, shapes and numbers: a zip archive has no checksum of what it lost, or of its headers."""
    state = hashlib.blake2b(digest_size=32)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        state.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        state.update(array.reshape(-1).view(np.uint8).data)
    return np.frombuffer(state.digest(), np.uint8)
