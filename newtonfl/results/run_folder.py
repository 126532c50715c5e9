"""A run's folder: run.toml, history.jsonl as it goes, x.npy and more, and result.json last. Written, and read again."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.quoting import excerpt
from newtonfl.results.folder_lock import FolderLock
from newtonfl.results.history import History
from newtonfl.results.record import Record

RESULT, HISTORY, PICTURE = "result.json", "history.jsonl", "gap"
RUN_FILE, INITIAL_POINT = "run.toml", "x0.npy"
LEDGER, MODEL, REPORT = "ledger.csv", "model.json", "report.html"
_SOLUTION, _PART = "x.npy", ".part"
_SENT = ("client", "direction", "phase", "part", "messages", "numbers", "bytes")
_DRAWN = (f"{PICTURE}.png", f"{PICTURE}.svg", REPORT)
_FILES = (RESULT, HISTORY, RUN_FILE, INITIAL_POINT, _SOLUTION, LEDGER, MODEL, *_DRAWN)
"""All that is ever written of a run, but for what is behind the name while it is not whole."""


class RunFolder:
    """Writes one run. An old result stays as it is until the new one is whole.

    Where there is none the lines are written as they come, and a killed run keeps them; beside an old result everything
    has .part behind its name, which it loses at the end. result.json comes last and at once, so its presence proves
    that the run ended well. No other job may write here before this is closed.

    Parameters
    ----------
    path : Path
        Made where it is missing.
    force : bool
        Take the place of a result that is there, or of the lines of a run that did not end.

    Raises
    ------
    ValueError
        If the folder holds a result or lines and `force` is false, if one of a run's files is none, such as a link, or
        if another job writes into it.
    OSError
        If it cannot be written.
    """

    def __init__(self, path: Path, force: bool = False) -> None:
        self.path = path
        self._lock = FolderLock(path)
        try:
            keep(path, force)
        except ValueError:
            self._lock.release()
            raise
        self._beside = _PART if (path / RESULT).exists() else ""
        self._run = ""
        self._x0: Array | None = None
        self._history: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write_run_file(self, toml: str) -> None:
        """Write run.toml."""
        self._run = toml
        if self._history is not None:
            self._write_what_is_run()

    def write_initial_point(self, x0: Array) -> str:
        """Write x0.npy with the run file; returns how run.toml shall name it."""
        self._x0 = x0
        return INITIAL_POINT

    def record(self, record: Record) -> None:
        """Add a line to history.jsonl; a killed run keeps its lines. The first takes those of an older one away.

        Raises
        ------
        OSError
            If the disk does not take it; the file then ends with the line before.
        """
        if self._history is None:
            for name in _FILES:
                self._at(name).unlink(missing_ok=True)
                (self.path / f"{name}{_PART}").unlink(missing_ok=True)
            self._write_what_is_run()
            self._history = self._at(HISTORY).open("w", encoding="utf-8")
        with _whole(self._at(HISTORY), os.fstat(self._history.fileno()).st_size):
            try:
                self._history.write(record.to_json() + "\n")
                self._history.flush()
            except OSError:
                with contextlib.suppress(OSError):  # it tries once more
                    self._history.close()
                raise

    def finish(self, x: Array, result: dict[str, Any], texts: Mapping[str, str] | None = None) -> None:
        """Write x.npy and the `texts`, of ledger.csv and model.json, and then result.json.

        What stood beside an old result takes its place.
        """
        with _whole(self._at(_SOLUTION)), self._at(_SOLUTION).open("wb") as file:
            np.save(file, x)
        for name, content in (texts or {}).items():
            with _whole(self._at(name)):
                self._at(name).write_text(_sound(content), encoding="utf-8")
        unfinished = self.path / f"{RESULT}{_PART}"
        with _whole(unfinished), unfinished.open("w", encoding="utf-8") as file:
            file.write(_sound(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.close_history()
        if self._beside:
            for name in (RESULT, *_DRAWN):  # a result without its lines would be a false one
                (self.path / name).unlink(missing_ok=True)
            for name in (INITIAL_POINT, HISTORY, RUN_FILE, _SOLUTION, LEDGER, MODEL):
                if self._at(name).exists():
                    os.replace(self._at(name), self.path / name)
                else:
                    (self.path / name).unlink(missing_ok=True)
        os.replace(unfinished, self.path / RESULT)
        self.close()

    @property
    def has_result(self) -> bool:
        """Whether the folder holds a run that ended."""
        return (self.path / RESULT).exists()

    def holds_this_run(self) -> bool:
        """Whether the run that is there has the run file and the initial point that this one was given."""
        run, x0 = self.path / RUN_FILE, self.path / INITIAL_POINT
        if not run.is_file() or run.read_text(encoding="utf-8") != self._run or x0.is_file() != (self._x0 is not None):
            return False
        return self._x0 is None or bool(np.array_equal(np.load(x0), self._x0))

    def close_history(self) -> None:
        """No more lines will come."""
        if self._history is not None:
            self._history.close()

    def close(self) -> None:
        """End the history, finished or not, and let other jobs in."""
        self.close_history()
        self._lock.release()

    def _at(self, name: str) -> Path:
        return self.path / f"{name}{self._beside}"

    def _write_what_is_run(self) -> None:
        with _whole(self._at(RUN_FILE)):
            self._at(RUN_FILE).write_text(self._run, encoding="utf-8")
        if self._x0 is not None:
            with _whole(self._at(INITIAL_POINT)), self._at(INITIAL_POINT).open("wb") as file:
                np.save(file, self._x0)


@contextlib.contextmanager
def _whole(path: Path, size: int = 0) -> Iterator[None]:
    """Name the file that a disk did not take, and leave its first `size` bytes alone of it; of 0 no file."""
    try:
        yield
    except OSError as error:
        with contextlib.suppress(OSError):
            if size:
                os.truncate(path, size)
            else:
                path.unlink()
        raise OSError(f"{path}: {error.strerror or error}") from None


def keep(path: Path, force: bool) -> None:
    """Refuse to take the place of a result, or of a run's lines, unless by force; and what is no plain file."""
    for name in _FILES:
        for file in (path / name, path / f"{name}{_PART}"):
            if file.is_symlink() or (file.exists() and not file.is_file()):
                raise ValueError(f"--out {path}: {file.name} is no plain file; give another folder")
    if force:
        return
    if (path / RESULT).exists():
        raise ValueError(f"--out {path}: holds a result already; give another folder, or --force")
    if (path / HISTORY).exists() and (path / HISTORY).stat().st_size:
        raise ValueError(f"--out {path}: holds the lines of a run that did not end; give another folder, or --force")


def _sound(words: str) -> str:
    """`words` as UTF-8 can hold them: in another locale Python reads a path's bytes as what no text contains."""
    return words.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclass(frozen=True)
class Run:
    """A run that was read from its folder.

    Attributes
    ----------
    path : Path
    history : History
        Of at least one record.
    result : dict
        The content of result.json; empty while the run is not finished.
    """

    path: Path
    history: History
    result: dict[str, Any]

    @classmethod
    def read(cls, folder: str | Path) -> Run:
        """Read a run.

        Raises
        ------
        FileNotFoundError
            If the folder holds no history.
        ValueError
            If it cannot be read, or has no record.
        """
        path = Path(folder)
        source = path / HISTORY
        if not source.is_file():
            raise FileNotFoundError(f"{path}: holds no {HISTORY}; `newtonfl solve … --out {path}` writes one")
        history = History.read(source)
        if not len(history):
            raise ValueError(f"{source}: no round was recorded")
        return cls(path, history, _result(path / RESULT))

    def sent(self) -> list[dict[str, str]]:
        """The rows of ledger.csv: what each client sent and received, by part; none where there is no such file.

        Raises
        ------
        ValueError
            If the file is not what a run writes.
        """
        source = self.path / LEDGER
        if not source.is_file():
            return []
        with source.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            if set(row) != set(_SENT) or not all(str(row[name]).isdecimal() for name in _SENT[4:]):
                raise ValueError(f"{source}: not what a run sent (its columns are {', '.join(_SENT)})")
        return rows

    @property
    def title(self) -> str:
        """What was minimised: the problem's title, else its name."""
        return str(self.result.get("title") or self.result.get("problem", ""))

    @property
    def method(self) -> str:
        """The method's name, or the folder's for a run that is not finished."""
        return str(self.result["method"]) if self.result else f"{self.path.resolve().name} (unfinished)"

    @property
    def label(self) -> str:
        """What a comparison called it; else its folder's name."""
        return str(self._compared.get("label", self.path.resolve().name))

    @property
    def entry(self) -> int | None:
        """Its place in the comparison that ran it."""
        entry = self._compared.get("entry")
        return entry if isinstance(entry, int) else None

    @property
    def seed(self) -> int | None:
        """Its seed in the comparison that ran it, where that had several."""
        seed = self._compared.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def goal(self) -> Any:
        """The most rounds and the accuracy that the comparison that ran it was to end at."""
        return self._compared.get("goal")

    @property
    def ending(self) -> str:
        """Why it ended, by the name of a :class:`newtonfl.Reason`, where a comparison ran it."""
        return str(self._compared.get("ending", ""))

    def solution(self) -> Array:
        """The last iterate, shape (d,)."""
        x: Array = np.load(self.path / _SOLUTION)
        return x

    @property
    def _compared(self) -> dict[str, Any]:
        comparison = self.result.get("comparison")
        return comparison if isinstance(comparison, dict) else {}


def _result(source: Path) -> dict[str, Any]:
    if not source.is_file():
        return {}
    try:
        result = json.loads(source.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: not the result of a run ({excerpt(error)})") from None
    missing = {"method", "problem", "objective"} - set(result) if isinstance(result, dict) else {"a table of values"}
    if missing:
        raise ValueError(f"{source}: not the result of a run (it lacks {', '.join(sorted(missing))})")
    return dict(result)


def to_toml(document: dict[str, Any]) -> str:
    """A two-level document as TOML: strings, numbers, booleans, lists and tables of these; what is None is left out."""
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not isinstance(value, dict)]
    for section, table in document.items():
        if isinstance(table, dict):
            lines += ["", f"[{section}]"]
            lines += [f"{key} = {_value(value)}" for key, value in table.items() if value is not None]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, float) and np.isfinite(value):
        return repr(float(value))
    if isinstance(value, str):
        return json.dumps(_sound(value), ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML bears no DEL
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_value(str(key))} = {_value(entry)}" for key, entry in value.items()) + "}"
    raise TypeError(f"{value!r} has no place in a settings file")
