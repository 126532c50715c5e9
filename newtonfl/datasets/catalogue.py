"""The problems that come with the library, and how a name or a path becomes a problem's file."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any


def catalogue() -> dict[str, Path]:
    """The problems that come with the library: name to its .toml or .py file."""
    package = Path(__file__).parent.parent
    shipped = package / "problems"  # in the wheel; in a checkout they lie beside the package
    folder = shipped if shipped.is_dir() else package.parent / "problems"
    found = [path for path in folder.glob("*") if path.suffix in (".toml", ".py") and path.stem.isidentifier()]
    return {path.stem: path for path in sorted(found) if not path.stem.startswith("_")}


def find(name_or_path: str | Path) -> Path:
    """The file of a problem: a path to one that exists, else a name of the catalogue (with or without its ending).

    Raises
    ------
    FileNotFoundError
        If there is neither; the message names the folder where it looked, and the nearest name.
    ValueError
        If it is a folder, data without a problem, or a file that does not end in .toml or .py; the message says what
        to give instead.
    TypeError
        If it is no text and no path.
    """
    path = _path(name_or_path)
    if path.is_file() and path.suffix in (".toml", ".py"):
        return path
    known = catalogue()
    stem = path.stem if path.suffix in (".toml", ".py") else path.name
    bare = path.parent in (Path("."), Path("problems"))
    if bare and stem in known and path.suffix in ("", known[stem].suffix):
        return known[stem]
    if path.is_dir():
        raise ValueError(_folder(path))
    source = _source(str(name_or_path), path)
    if source:
        raise ValueError(_needs_a_file(str(name_or_path), source, known))
    if path.is_file():
        raise ValueError(
            f"{path}: given a file that ends in {path.suffix or 'nothing'!r}, a problem file must be .toml or .py; "
            "data stand in one, under [data] source"
        )
    raise FileNotFoundError(_missing(path, known))


def _path(words: Any) -> Path:
    if isinstance(words, str | Path):
        return Path(words)
    raise TypeError(
        f"problem: given {type(words).__name__}, must be the path of a problem file, or a name of the catalogue such "
        "as 'breast_cancer'; rows in memory become a problem by nf.from_arrays"
    )


def _folder(path: Path) -> str:
    """What is said of a folder: the problem files in it, those of runs first."""
    runs = [*sorted(path.glob("run.toml")), *sorted(path.glob("*/run.toml"))]
    found = [*runs, *sorted(path.glob("*.toml"))]
    hint = f"; did you mean {found[0]}?" if found else ""
    again = f" `newtonfl solve {runs[0]}` does that run again" if runs else ""
    return f"{path}: given a folder, must be a problem file (.toml or .py) or a name of the catalogue{hint}{again}"


def _source(words: str, path: Path) -> str:
    """The data source that words are, or a file is by its ending; empty where it is none."""
    from newtonfl.datasets.sources import KINDS

    if words.partition(":")[0] in KINDS and ":" in words:
        return words
    kinds = {".csv": "csv", ".npz": "npz", ".svm": "libsvm", ".libsvm": "libsvm", ".scale": "libsvm", ".t": "libsvm"}
    return f"{kinds[path.suffix]}:{words}" if path.suffix in kinds and path.is_file() else ""


def _needs_a_file(words: str, source: str, known: dict[str, Path]) -> str:
    """What is said of data: that a problem says more, in a file that can be copied."""
    from newtonfl.datasets.sources import is_glob

    kind, _, what = source.partition(":")
    named = what if what in known and kind in ("libsvm", "sklearn") else ""
    there = f" {named} is a problem of the catalogue: `newtonfl solve {named}`." if named else ""
    label = '\n    label = "y"  # the column of labels, by its name or number' if kind == "csv" else ""
    clients = 'split = "files"  # one file a client' if is_glob(source) else "count = 4"
    return f"""{words}: given data, must be a problem: its rows, what to minimise, and who holds which rows.{there}
Say so in a file, such as mine.toml in this folder, and give that:

    [data]
    source = "{source}"{label}

    [objective]
    loss = "logistic"  # for labels of two classes; "squared" for numbers
    l2 = 1e-3

    [clients]
    {clients}
"""


def _missing(path: Path, known: dict[str, Path]) -> str:
    """What is said where there is nothing: the folder, and the nearest file of it or name of the catalogue."""
    folder = path.parent.absolute()
    is_name = path.name == str(path) and not path.suffix
    if not folder.is_dir():
        return f"{path}: no such file: there is no folder {folder}"
    files = {file.name: str(path.parent / file.name) for ending in ("*.toml", "*.py") for file in folder.glob(ending)}
    near = difflib.get_close_matches(path.name, files, 1, 0.7)
    named = difflib.get_close_matches(path.stem, known, 1, 0.6 if is_name else 0.75)
    meant = files[near[0]] if near else named[0] if named else ""
    return (
        f"{path}: no such file in {folder}"
        + (", and no such problem of the catalogue" if path.parent == Path(".") else "")
        + (f"; did you mean {meant}?" if meant else "")
        + " (`newtonfl problems` lists the catalogue)"
    )
