"""A folder held by one job at a time."""

from __future__ import annotations

import contextlib
import os
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self

LOCK = ".newtonfl.lock"


class FolderLock:
    """Holds a folder against other jobs until :meth:`release`; the system lets go of what a killed job held.

    Parameters
    ----------
    folder : Path
        Made where it is missing; :meth:`release` takes one that was made and stayed empty away again.
    option : str
        What asked for it, for a refusal.

    Raises
    ------
    ValueError
        If another job holds it.
    OSError
        If it cannot be written.
    """

    def __init__(self, folder: Path, option: str = "--out") -> None:
        self.folder = folder
        self._made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        while (file := _held(folder, option)) is None:
            pass
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let go, and remove the lock's file."""
        if self._file.closed:
            return
        with contextlib.suppress(OSError):
            (self.folder / LOCK).unlink()
        self._file.close()
        if self._made:
            with contextlib.suppress(OSError):  # not empty
                self.folder.rmdir()


def _held(folder: Path, option: str) -> IO[str] | None:
    """The lock's file, open and locked; None where its last holder removed it in the meantime."""
    file = (folder / LOCK).open("a", encoding="utf-8")
    if find_spec("fcntl") is None:  # Windows
        return file
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ValueError(f"{option} {folder}: another job is writing into it; give another folder, or wait") from None
    except OSError:  # a file system without locks
        return file
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(file.fileno()), (folder / LOCK).stat()):
            return file
    file.close()
    return None
