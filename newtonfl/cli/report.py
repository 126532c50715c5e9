"""newtonfl report: one HTML page of a run's folder, or of several."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from newtonfl.cli.streams import warnings_as_lines
from newtonfl.results.figures import run_folders
from newtonfl.results.report import report
from newtonfl.results.run_folder import REPORT, Run


def report_command(args: argparse.Namespace) -> None:
    """Do ``newtonfl report``: write the page, and say where it is.

    Parameters
    ----------
    args : argparse.Namespace
        Its `runs` and `out`.

    Raises
    ------
    FileNotFoundError, ValueError
        If a folder holds no run, or a file in it is not what a run writes.
    """
    with warnings_as_lines():
        runs = [Run.read(folder) for folder in run_folders(args.runs)]
        content = report(runs)
    out = _place(runs) if args.out is None else args.out
    unfinished = out.with_name(f"{out.name}.part")
    unfinished.write_text(content, encoding="utf-8", errors="replace")
    os.replace(unfinished, out)
    print(out)


def _place(runs: list[Run]) -> Path:
    """Where a page goes of itself: into the run's folder, or that of all runs."""
    if len(runs) == 1:
        return runs[0].path / REPORT
    parents = {run.path.resolve().parent for run in runs}
    if len(parents) > 1:
        raise ValueError("report: the runs lie in different folders; give --out FILE.html, where the page goes")
    return parents.pop() / REPORT
