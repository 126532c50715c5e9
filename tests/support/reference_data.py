"""Real data for tests: problems from the files that NEWTONFL_DATA holds, and the recorded trajectories beside this."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import newtonfl as nf
from newtonfl.datasets.sources import read
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Logistic


def need(name: str) -> Path:
    """The data file `name`, or a skip that names what is missing."""
    folder = os.environ.get("NEWTONFL_DATA")
    if folder is None or not (Path(folder) / name).is_file():
        pytest.skip(f"needs the data file {name} in the folder that NEWTONFL_DATA names")
    return Path(folder) / name


def logistic(name: str, n: int, m: int, dim: int, l2: float) -> GLM:
    """Logistic regression on the first n·m rows of a LIBSVM file in contiguous equal blocks, as in the papers."""
    need(name)
    table = read(f"libsvm:{name}", features=dim)
    labels = np.where(table.labels[: n * m] > 0, 1.0, -1.0)
    return GLM(
        table.rows[: n * m], labels, [m] * n, Logistic(), n * m, n_clients=n, ridge=l2, objective=f"{name}, λ = {l2:g}"
    )


def recorded(dataset: str) -> dict:
    """One problem of the recorded trajectories."""
    problems = json.loads((Path(__file__).parent / "recorded" / "trajectories.json").read_text(encoding="utf-8"))
    return next(problem for problem in problems["problems"] if problem["dataset"] == dataset)


__all__ = ["logistic", "need", "nf", "recorded"]
