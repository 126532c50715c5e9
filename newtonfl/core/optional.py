"""Libraries that are not needed: imported where they are asked for, and missed in words."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def pandas() -> Any:
    """The module pandas, which has no types.

    Raises
    ------
    RuntimeError
        If it is not installed.
    """
    try:
        return import_module("pandas")
    except ImportError:
        raise RuntimeError("to_pandas needs pandas, which is not installed: pip install pandas") from None
