"""Where an error arose in code that is a user's own: the file and line that a message names."""

from __future__ import annotations

import os
import sysconfig
import traceback
from pathlib import Path

_PACKAGE = str(Path(__file__).parents[1])
_CATALOGUE = os.path.join(_PACKAGE, "problems")
_OTHERS = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))


def own_line(error: BaseException) -> str:
    """The innermost line of an error's traceback that is neither this library's, nor Python's, nor a package's.

    Parameters
    ----------
    error : BaseException
        Caught; what it was raised from counts first.

    Returns
    -------
    str
        ``"mine.py, line 6"``, the path from the working folder where it lies below that; empty where there is none.
    """
    if error.__cause__ is not None and (deeper := own_line(error.__cause__)):
        return deeper
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_own(frame.filename):
            return f"{shown(frame.filename)}, line {frame.lineno}"
    return ""


def _is_own(file: str) -> bool:
    if _below(file, _PACKAGE) and not _below(file, _CATALOGUE):
        return False
    return not file.startswith(("<frozen ", "<string>")) and not any(_below(file, folder) for folder in _OTHERS)


def _below(file: str, folder: str) -> bool:
    return file.startswith(folder + os.sep)


def shown(file: str | os.PathLike[str]) -> str:
    """A path as messages have it: from the working folder where it lies below that, else as it is."""
    file = os.fspath(file)
    return os.path.relpath(file) if _below(os.path.abspath(file), os.getcwd()) else file
