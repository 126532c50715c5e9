"""The command line called in this process, and a small problem for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from newtonfl.cli.main import main

SMALL = """
title = "Small"
[data]
source = "csv:small.csv"
label = "y"
[objective]
loss = "logistic"
l2 = 1e-2
[clients]
count = 4
split = "blocks"
"""


def caller(capsys, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """What runs a command's words and returns its status, stdout and stderr."""
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)

    def call(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


def small_problem(folder: Path) -> Path:
    """A problem of 40 rows and 3 features beside its data."""
    draw = np.random.Generator(np.random.Philox(5))
    rows = draw.standard_normal((40, 3))
    labels = (rows.sum(axis=1) + draw.standard_normal(40) > 0).astype(int)
    lines = [
        ",".join([*(f"{value:.6f}" for value in row), str(label)]) for row, label in zip(rows, labels, strict=True)
    ]
    (folder / "small.csv").write_text("\n".join(["a,b,c,y", *lines]) + "\n")
    (folder / "small.toml").write_text(SMALL)
    return folder / "small.toml"
