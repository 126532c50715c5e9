"""Run folders → picture files, PNG and SVG. The same histories give the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from newtonfl.results import curves, plots
from newtonfl.results.costs import Measure
from newtonfl.results.history import History
from newtonfl.results.network import Network
from newtonfl.results.run_folder import HISTORY, PICTURE, Run

COMPARISON = ("comparison.csv", "comparison.txt")
"""A comparison's tables, as numbers and to read."""


def remove_comparison(folder: Path) -> None:
    """Take away the tables and pictures of a comparison in `folder`, not its runs."""
    for name in [*COMPARISON, *(f"{over}.{kind}" for over in curves.OVER for kind in ("png", "svg"))]:
        (folder / name).unlink(missing_ok=True)


def compared(
    histories: Mapping[str, History], folder: Path, measure: Measure, title: str, network: Network | None = None
) -> list[Path]:
    """Write a comparison's pictures into `folder`: one over each of :data:`newtonfl.results.curves.OVER`."""
    paths = []
    for over in curves.OVER:
        figure = plots.draw(histories, over, measure=measure, network=network, title=title)
        paths += plots.save(figure, folder / over)
    return paths


def redraw(paths: Sequence[Path], out: Path | None = None, network: Network | None = None) -> list[Path]:
    """Draw one run as gap.png and gap.svg, several as a comparison; returns the files.

    Where f* is not known in every history the gradient norm stands for the gap.

    Parameters
    ----------
    paths : sequence of Path
        Runs' folders, or a folder of such folders. Files are passed over where there are folders too.
    out : Path or None
        Where to write; None is the one run's folder, or the folder that holds all runs.
    network : Network or None
        What the seconds shall contain.

    Raises
    ------
    FileNotFoundError
        If a folder holds no run.
    ValueError
        If a run cannot be read, or the runs are of several objectives.
    RuntimeError
        If matplotlib is not installed.
    """
    runs = [Run.read(folder) for folder in _folders(paths)]
    known = all(record.gap is not None for run in runs for record in run.history)
    measure: Measure = "gap" if known else "gradient_norm"
    if len(runs) == 1:
        run = runs[0]
        title = f"{run.method} on {run.title}" if run.title else run.method
        return plots.save(plots.panels(run.history, measure, title, network), _made(out or run.path) / PICTURE)
    objectives = {run.result["objective"]: run for run in runs if run.result}
    if len(objectives) > 1:
        several = " and ".join(f"{run.path} ({objective})" for objective, run in list(objectives.items())[:2])
        raise ValueError(f"plot: runs of different objectives cannot share a picture: {several}")
    parents = {run.path.resolve().parent for run in runs}
    if out is None and len(parents) > 1:
        raise ValueError("plot: the runs lie in different folders; give --out DIR, where the pictures go")
    runs.sort(key=lambda run: (run.entry is None, run.entry))  # as they were compared
    title = next((run.title for run in runs if run.title), "")
    return compared(_labelled(runs), _made(out or runs[0].path.resolve().parent), measure, title, network)


def _folders(paths: Sequence[Path]) -> list[Path]:
    """The runs' folders among the `paths`."""
    folders = [path for path in paths if path.is_dir()] or list(paths)
    found: list[Path] = []
    for folder in folders:
        inside = sorted(path.parent for path in folder.glob(f"*/{HISTORY}"))
        found += inside if inside and not (folder / HISTORY).exists() else [folder]
    return list(dict.fromkeys(found))


def _labelled(runs: Sequence[Run]) -> dict[str, History]:
    """By label; where two runs share one, by their paths."""
    shared = Counter(run.label for run in runs)
    return {run.label if shared[run.label] == 1 else str(run.path): run.history for run in runs}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
