"""Files of one's own: run once a text, and all of their parts have names afterwards, or none has."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType

from newtonfl.core.raised import own_line
from newtonfl.registry.lookup import give_back, taken_names

_FILES: dict[str, tuple[str, ModuleType]] = {}
"""The text and the module of every file that was run, by the module's name."""


def load_file(path: str | Path) -> ModuleType:
    """Run a Python file whose parts then have their names, as ``--load FILE.py`` does.

    Parameters
    ----------
    path : str or Path
        The file. Loading the same text again does nothing.

    Returns
    -------
    module
        With what the file defines.

    Raises
    ------
    ValueError
        If the file is no Python, or what it does fails; the message names file, line and reason. None of its parts has
        a name then, and those of a text of this file that was loaded before keep theirs.
    OSError
        If it cannot be read.
    """
    found = Path(path).resolve()
    source = _source(path)
    name = f"newtonfl_parts_{found.stem}_{hashlib.blake2b(str(found).encode(), digest_size=6).hexdigest()}"
    if name in _FILES and _FILES[name][0] == source:
        return _FILES[name][1]
    module = ModuleType(name)
    module.__file__ = str(found)
    before = taken_names()
    sys.modules[name] = module  # dataclasses look their annotations up there
    try:
        # The text just read, and no compiled copy of an earlier one; nothing is written beside a user's file.
        exec(compile(source, str(found), "exec"), vars(module))
    except BaseException as error:
        give_back(str(found), before)
        del sys.modules[name]
        if name in _FILES:
            sys.modules[name] = _FILES[name][1]
        if isinstance(error, SystemExit):
            raise ValueError(f"{path}: it ended the program (sys.exit) when it was loaded") from error
        if isinstance(error, Exception):
            raise ValueError(f"{own_line(error) or path}: {type(error).__name__}: {error}") from error
        raise
    _FILES[name] = (source, module)
    return module


def text_digest(path: str | Path) -> str:
    """A digest of a file's text, by which ranks find out whether theirs are the same.

    Parameters
    ----------
    path : str or Path
        As :func:`load_file` takes it.

    Returns
    -------
    str
        In hexadecimal digits; of the text as it was loaded, where it was.

    Raises
    ------
    ValueError, OSError
        If it is no text in UTF-8, or cannot be read.
    """
    found = str(Path(path).resolve())
    texts = [source for source, module in _FILES.values() if module.__file__ == found]
    return hashlib.blake2b((texts or [_source(path)])[0].encode(), digest_size=16).hexdigest()


def _source(path: str | Path) -> str:
    try:
        return Path(path).resolve().read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: must be a Python file in UTF-8") from None
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except OSError as error:
        raise OSError(f"{path}: {(error.strerror or str(error)).lower()}") from None
