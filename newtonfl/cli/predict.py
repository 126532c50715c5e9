"""newtonfl predict: what a run's model says of the rows of a table."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from newtonfl.datasets.sources import parse_source
from newtonfl.prediction.fitted_model import FittedModel
from newtonfl.prediction.model_rows import read_rows, source_of
from newtonfl.prediction.predictions import Predictions
from newtonfl.results.run_folder import MODEL, RESULT


def predict_command(args: argparse.Namespace) -> None:
    """Do ``newtonfl predict``: write the predictions as CSV to --out, or to stdout.

    Parameters
    ----------
    args : argparse.Namespace
        Its `run`, `file` and `out`.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no model, or the table does not suit it.
    """
    model = FittedModel.read(model_file(args.run))
    if args.out is not None and _is_same(args.out, Path(parse_source(source_of(args.file))[1])):
        raise ValueError(f"--out {args.out}: given the table itself, which would be lost; give another file")
    found = read_rows(model, args.file)
    predictions = Predictions.of(model, found.rows, found.offset)
    if not model.converged:
        print(f"newtonfl: the model is of a solve that had not converged: {model.reason}", file=sys.stderr)
    if found.passed_over:
        names = ", ".join(found.passed_over[:8]) + (", …" if len(found.passed_over) > 8 else "")
        print(f"newtonfl: columns that the model does not have, passed over: {names}", file=sys.stderr)
    if args.out is None:
        predictions.write(sys.stdout)
        return
    unfinished = args.out.with_name(f"{args.out.name}.part")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        predictions.write(file)
    os.replace(unfinished, args.out)
    print(f"{len(predictions)} predictions written to {args.out}")


def model_file(run: Path) -> Path:
    """The model.json of a run's folder, or the file itself.

    Raises
    ------
    FileNotFoundError
        If there is none; where a run is there without a model, the message says why.
    """
    if not run.is_dir():
        return run
    if not (run / MODEL).is_file() and (run / RESULT).is_file():
        raise FileNotFoundError(
            f"{run}: holds a run without {MODEL}: its problem is not of rows, or some of its columns are personal, and "
            "each client's own coefficients are with it; or its numbers were not finite, or an older version wrote it"
        )
    return run / MODEL


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
