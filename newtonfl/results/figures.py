"""Run folders → picture files, PNG and SVG. The same histories give the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from newtonfl.results import curves, plots
from newtonfl.results.costs import SYMBOLS
from newtonfl.results.history import History
from newtonfl.results.network import Network
from newtonfl.results.run_folder import HISTORY, PICTURE, Run

COMPARISON = ("comparison.csv", "comparison.txt")
"""A comparison's tables, as numbers and to read."""


def remove_comparison(folder: Path, columns: Sequence[str] = ()) -> None:
    """Take away the tables and pictures of a comparison in `folder`, those of `columns` among them, not its runs."""
    pictures = [f"{over}.{kind}" for over in curves.OVER for kind in ("png", "svg")]
    for name in [*COMPARISON, *pictures, *(f"{column}-{name}" for column in columns for name in pictures)]:
        (folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Look:
    """How a comparison is drawn.

    Attributes
    ----------
    measure : str
        From below to above: "gap", "gradient_norm", or another column of the histories.
    network : Network or None
        What the seconds shall contain.
    setup : bool
        Whether bytes and bits contain the set-up.
    scale : {"auto", "log", "linear"}
        Of the axis from left to right.
    """

    measure: str = "gap"
    network: Network | None = None
    setup: bool = True
    scale: plots.Scale = "auto"


def compared(problems: Mapping[str, Mapping[str, Sequence[History]]], folder: Path, look: Look) -> list[Path]:
    """Write the pictures of comparisons, by title, side by side: one over each of :data:`newtonfl.results.curves.OVER`.

    Each comparison has by label the histories of one run, repeated with several seeds. Pictures of another column than
    the gap or the gradient norm bear its name before theirs.
    """
    paths, prefix = [], "" if look.measure in SYMBOLS else f"{look.measure}-"
    histories = [history for runs in problems.values() for repeated in runs.values() for history in repeated]
    counted = any(history[0].gradients is not None for history in histories)  # older versions did not count them
    for over in [over for over in curves.OVER if counted or over != "gradients"]:
        paths += plots.save(plots.side_by_side(problems, over, **vars(look)), folder / f"{prefix}{over}")
    return paths


def redraw(paths: Sequence[Path], out: Path | None = None, look: Look | None = None) -> list[Path]:
    """Draw one run as gap.png and gap.svg, several as a comparison; returns the files.

    Where f* is not known in every history the gradient norm stands for the gap. Of another column the files of one run
    bear its name. Runs of one label and several seeds are repetitions.

    Parameters
    ----------
    paths : sequence of Path
        Runs' folders, or a folder of such folders. Files are passed over where there are folders too.
    out : Path or None
        Where to write; None is the one run's folder, or the folder that holds all runs.
    look : Look or None
        None is the usual one.

    Raises
    ------
    FileNotFoundError
        If a folder holds no run.
    ValueError
        If a run cannot be read or has no such column, or the runs are of several objectives.
    RuntimeError
        If matplotlib is not installed.
    """
    runs = [Run.read(folder) for folder in run_folders(paths)]
    known = all(record.gap is not None for run in runs for record in run.history)
    look = look or Look()
    if look.measure == "gap" and not known:
        look = replace(look, measure="gradient_norm")
    if len(runs) == 1:
        run = runs[0]
        title = f"{run.method} on {run.title}" if run.title else run.method
        drawn = plots.panels(run.history, look.measure, title, look.network)
        stem = PICTURE if look.measure in SYMBOLS else look.measure
        return plots.save(drawn, _made(out or run.path) / stem)
    objectives = {run.result["objective"]: run for run in runs if run.result}
    if len(objectives) > 1:
        several = " and ".join(f"{run.path} ({objective})" for objective, run in list(objectives.items())[:2])
        raise ValueError(f"plot: runs of different objectives cannot share a picture: {several}")
    parents = {run.path.resolve().parent for run in runs}
    if out is None and len(parents) > 1:
        raise ValueError("plot: the runs lie in different folders; give --out DIR, where the pictures go")
    runs.sort(key=lambda run: (run.entry is None, run.entry))  # as they were compared
    title = next((run.title for run in runs if run.title), "")
    return compared({title: _labelled(runs)}, _made(out or runs[0].path.resolve().parent), look)


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """The runs' folders among the `paths`; of a folder of runs, those in it."""
    folders = [path for path in paths if path.is_dir()] or list(paths)
    found: list[Path] = []
    for folder in folders:
        inside = sorted(path.parent for path in folder.glob(f"*/{HISTORY}"))
        found += inside if inside and not (folder / HISTORY).exists() else [folder]
    return list(dict.fromkeys(found))


def _labelled(runs: Sequence[Run]) -> dict[str, list[History]]:
    """By label, of several seeds together; where two runs share label and seed, by their paths."""
    shared = Counter((run.label, run.seed) for run in runs)
    found: dict[str, list[History]] = {}
    for run in runs:
        label = run.label if shared[run.label, run.seed] == 1 else str(run.path)
        found.setdefault(label, []).append(run.history)
    return found


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
