"""The problems that come with the library, and how a name or a path becomes a problem's file."""

from __future__ import annotations

import difflib
from pathlib import Path


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
        If there is neither; the message names the nearest of the catalogue.
    ValueError
        If it is a file that does not end in .toml or .py.
    """
    path = Path(name_or_path)
    if path.is_file() and path.suffix in (".toml", ".py"):
        return path
    known = catalogue()
    stem = path.stem if path.suffix in (".toml", ".py") else path.name
    bare = path.parent in (Path("."), Path("problems"))
    if bare and stem in known and path.suffix in ("", known[stem].suffix):
        return known[stem]
    if path.is_file():
        raise ValueError(f"{path}: given a file that ends in {path.suffix or 'nothing'!r}, must be .toml or .py")
    near = difflib.get_close_matches(stem, known, 1)
    raise FileNotFoundError(
        f"{path}: no such file and no such problem"
        + (f"; did you mean {near[0]}?" if near else "")
        + " (`newtonfl problems` lists them)"
    )
