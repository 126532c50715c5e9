"""When the kernels' numba forms are used: once a process has solved for as long as loading them takes.

numba is never needed. Its forms give the same bytes, so that they can take over in the middle of a solve; importing
newtonfl never imports it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Literal

_LOADING, _COMPILING = 0.4, 6.0
"""CPU seconds to load the forms from numba's cache on disk, and to compile them first."""

_log = logging.getLogger("newtonfl")
_loaded: ModuleType | None = None
_wanted = True
"""Not where loading has failed, nor while one form is forced."""
_worked = 0.0
"""CPU seconds that all solves have worked."""


def available() -> bool:
    """Whether numba is installed."""
    return importlib.util.find_spec("numba") is not None


def loaded() -> bool:
    """Whether the kernels use their numba forms."""
    return _loaded is not None


def forms() -> ModuleType | None:
    """The numba forms, where the kernels use them."""
    return _loaded


def load(note: Callable[[str], object] | None = None) -> bool:
    """Use the numba forms from now on.

    Parameters
    ----------
    note : callable or None
        Called with a sentence where they have to be compiled first, or cannot be had; None means a line at INFO of the
        logger ``newtonfl``.

    Returns
    -------
    bool
        Whether they are in use; False where numba is not there or does not work here, and then nothing changes.
    """
    global _loaded, _wanted
    if _loaded is None and _wanted:
        inform = _log.info if note is None else note
        if not available():
            _wanted = False
            return False
        if not _cached():
            inform(
                f"compiling the kernels with numba, which takes about {_COMPILING:.0f} s and is kept for the next time"
            )
        try:
            _loaded = _imported()
        except Exception as error:  # numba, LLVM and NumPy have to fit each other: what may go wrong is theirs
            _wanted = False
            inform(f"the kernels stay NumPy's: numba does not work here ({type(error).__name__}: {error})")
    return loaded()


def spent(seconds: float, note: Callable[[str], object] | None = None) -> None:
    """Hear that a solve has worked, and load the forms once all have worked for as long as loading takes.

    So at most twice the time is spent that the better choice would have taken, whether much is to come or not.

    Parameters
    ----------
    seconds : float
        CPU seconds since it was last heard of.
    note : callable or None
        As in :func:`load`.
    """
    global _worked
    _worked += seconds
    if _wanted and _loaded is None and _worked > _LOADING and (_worked > _COMPILING or _cached()):
        load(note)


@contextmanager
def forced(form: Literal["numpy", "numba"]) -> Iterator[None]:
    """Use one form, whatever has been loaded; for tests.

    Parameters
    ----------
    form : {"numpy", "numba"}

    Raises
    ------
    ImportError
        If numba is asked for and not there.
    """
    global _loaded, _wanted
    before = _loaded, _wanted
    _loaded, _wanted = _imported() if form == "numba" else None, False
    try:
        yield
    finally:
        _loaded, _wanted = before


def _imported() -> ModuleType:
    module = importlib.import_module("newtonfl.kernels.numba_forms")
    if not hasattr(module.sums, "signatures"):
        raise ImportError("NUMBA_DISABLE_JIT is set")
    return module


def _cached() -> bool:
    """Whether numba has kept the forms as they are now beside them, where it keeps them if it can write there."""
    source, python = Path(__file__).with_name("numba_forms.py"), f"py{sys.version_info[0]}{sys.version_info[1]}"
    kept = source.with_name("__pycache__").glob(f"numba_forms.*.{python}.nbi")
    return any(index.stat().st_mtime > source.stat().st_mtime for index in kept)
