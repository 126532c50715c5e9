"""A run's folder: run.toml, history.jsonl as it goes, x.npy, and result.json last."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from newtonfl.backend import Array
from newtonfl.history import Record

RESULT = "result.json"


class RunFolder:
    """Writes one run. result.json comes last and at once, so its presence proves that the run ended well.

    Parameters
    ----------
    path : Path
        Made where it is missing.
    force : bool
        Overwrite a result that is there.

    Raises
    ------
    ValueError
        If the folder holds a result and `force` is false.
    OSError
        If it cannot be written.
    """

    def __init__(self, path: Path, force: bool = False) -> None:
        self.path = path
        if (path / RESULT).exists() and not force:
            raise ValueError(f"--out {path}: holds a result already; give another folder, or --force")
        path.mkdir(parents=True, exist_ok=True)
        (path / RESULT).unlink(missing_ok=True)
        self._history = (path / "history.jsonl").open("w", encoding="utf-8")

    def settings(self, text: str) -> None:
        """Write run.toml."""
        (self.path / "run.toml").write_text(text, encoding="utf-8")

    def start(self, x0: Array) -> str:
        """Write x0.npy; returns how run.toml shall name it."""
        np.save(self.path / "x0.npy", x0)
        return "x0.npy"

    def record(self, record: Record) -> None:
        """Add a line to history.jsonl; a killed run keeps its lines."""
        self._history.write(record.to_json() + "\n")
        self._history.flush()

    def finish(self, x: Array, result: dict[str, Any]) -> None:
        """Write x.npy, and then result.json."""
        self._history.close()
        np.save(self.path / "x.npy", x)
        unfinished = self.path / f"{RESULT}.part"
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump(result, file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self.path / RESULT)


def to_toml(document: dict[str, Any]) -> str:
    """A two-level document as TOML: strings, numbers, booleans and lists of numbers; what is None is left out."""
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not isinstance(value, dict)]
    for section, table in document.items():
        if isinstance(table, dict):
            lines += ["", f"[{section}]"]
            lines += [f"{key} = {_value(value)}" for key, value in table.items() if value is not None]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, float) and np.isfinite(value):
        return repr(float(value))
    if isinstance(value, (bool, int, str)):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML bears no DEL
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    raise TypeError(f"{value!r} has no place in a settings file")
