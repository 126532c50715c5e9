"""Estimators over ranks: the same model as one process fits, and refusals that every rank hears."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mpi_launch import launch

pytestmark = [pytest.mark.mpi, pytest.mark.slow]

PROGRAM = Path(__file__).parents[1] / "support" / "mpi_programs" / "estimators.py"


@pytest.fixture(scope="module")
def found():
    """What one process fits, and what three ranks fit, by case."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    alone = subprocess.run([sys.executable, PROGRAM], env=env, capture_output=True, text=True, check=True, timeout=120)
    spread = launch(3, PROGRAM, timeout=240)
    assert spread.status == 0, spread.err
    return [{told["case"]: told["told"] for told in map(json.loads, out.splitlines())} for out in
            (alone.stdout, spread.out)]  # fmt: skip


def test_three_ranks_fit_what_one_process_fits(found):
    """In the same bits, bytes and rounds; with a rank that has no rows, and no client ids to say so, to 1e-9."""
    alone, spread = found
    assert len(alone) == 17 and set(alone) < set(spread)
    for case, told in alone.items():
        if case in ("an empty rank multinomial", "an empty rank ridge"):  # one client more, without rows
            for a, b in zip(told[:2], spread[case][:2], strict=True):
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-9, err_msg=case)
            assert told[3] == spread[case][3]
        else:
            assert told == spread[case], case


def test_every_case_is_what_its_name_says(found):
    """Three classes though no rank has all; no coefficient for the column of zeros; weights that matter."""
    coef, _, _, classes, communication = found[1]["own rows multinomial"]
    coef = np.reshape(coef, (3, 4))
    assert classes == ["a", "b", "c"] and not coef[:, 3].any() and np.abs(coef[:, :2]).min() > 0.03
    assert communication["bytes_up"] > 0
    assert found[1]["seeds"][0] and found[1]["fewer clients than ranks"][0]
    assert found[1]["columns in another order"] == found[1]["columns in one order"]
    assert found[1]["alone ridge"][4]["bytes_up"] != found[1]["same rows ridge"][4]["bytes_up"]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("other rows", 'rank 2 passed other rows than rank 0; for its own rows say ranks="own"'),
        ("other weights", "rank 1 passed other rows than rank 0"),
        ("one client on two ranks", "client 7 has rows on rank 0 and rank 1: a client's rows live on one rank"),
        ("a bad number", "rank 2, checking the arguments of fit: Input X contains NaN"),
        ("one class in all", "y must hold at least two classes with weight, and it holds 1 class: a"),
        ("no row anywhere", "no row counts"),
        ("other columns", "rank 0 has 4 columns of features and rank 1 has 3: all must have as many"),
        ("a number of clients", "clients: given 4, but where every rank passes rows of its own each rank is a client"),
        ("other settings", "rank 1 was given alpha=2.0, and rank 0 alpha=1.0"),
        ("words and numbers", "rank 0 has strings for labels, and rank 1 numbers"),
        ("labels without an order", "rank 2, checking the arguments of fit: Unknown label type"),
        ("another column", "rank 2 has other columns than rank 0: it lacks 'b' and only it has 'B'"),
        ("no names on one rank", "rank 1 has names for its columns and rank 0 has none"),
        ("some weights", "rank 1 was given sample_weight='some', and rank 0 sample_weight=None"),
        ("other losses", "rank 1 was given another problem than rank 0"),
    ],
)
def test_refusals_reach_every_rank(found, case, words):
    assert words in " ".join(found[1][case])
