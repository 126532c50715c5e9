"""Ranks of different code, versions or processors: refused before a bit is computed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mpi_launch import heed_ctrl_c, mpiexec

import newtonfl as nf
from newtonfl.solver.environment import environment

pytestmark = pytest.mark.mpi
SOLVE = (sys.executable, "-m", "newtonfl", "solve", "breast_cancer", "--rounds", "2", "--quiet")


def together(*commands, folder="/"):
    """A job of a rank a command, in a `folder` that holds no library."""
    words = [mpiexec()]
    for i, command in enumerate(commands):
        words += [":"] * (i > 0) + ["-n", "1", *map(str, command)]
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        preexec_fn=heed_ctrl_c,
        cwd=folder,
    )


def test_other_code_is_refused(tmp_path):
    """A copy in which a loss's slope is another."""
    shutil.copytree(Path(nf.__file__).parent, tmp_path / "newtonfl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(Path(nf.__file__).parents[1] / "problems", tmp_path / "problems")
    losses = tmp_path / "newtonfl" / "objectives" / "losses" / "log_link.py"
    losses.write_text(losses.read_text() + "\n# other\n")
    ended = together(SOLVE, ["env", f"PYTHONPATH={tmp_path}", *SOLVE])
    assert ended.returncode == 1 and "rank 1 has another installation than rank 0: newtonfl" in ended.stderr


def test_another_blas_kernel_is_refused_with_the_remedy():
    if "openblas" not in environment()["blas"] or "Nehalem" in environment()["blas"]:
        pytest.skip("needs an OpenBLAS that has not chosen Nehalem's kernels")
    ended = together(SOLVE, ["env", "OPENBLAS_CORETYPE=Nehalem", *SOLVE])
    assert ended.returncode == 1 and "give all ranks one OPENBLAS_CORETYPE" in ended.stderr


def test_long_arrays_are_compared_in_full(tmp_path):
    """NumPy leaves the middle of a long array out, and digits: ranks that differ there would not be noticed."""
    program = tmp_path / "long.py"
    program.write_text(
        "import sys\nfrom dataclasses import dataclass, field\nimport numpy as np\nfrom mpi4py import MPI\n"
        "import newtonfl as nf\n\n@dataclass(frozen=True)\nclass Weighted(nf.TopK):\n"
        "    weights: np.ndarray = field(default=None)\n\n"
        "p = nf.load('breast_cancer', clients=4, comm=MPI.COMM_WORLD)\nweights = np.ones(3000)\n"
        "weights[1500] += MPI.COMM_WORLD.rank * float(sys.argv[1])\n"
        "r = nf.solve(p, nf.newton_3pc(compressor=Weighted(3, weights)), rounds=2)\n"
    )
    assert together(*[[sys.executable, program, 0]] * 2).returncode == 0
    ended = together(*[[sys.executable, program, 1e-12]] * 2)
    assert ended.returncode != 0 and "was given another solve than rank 0" in ended.stderr


def test_a_result_says_what_its_bits_depend_on(run, small, tmp_path):
    assert run("solve", small, "--rounds", "1", "--out", tmp_path / "out", "--quiet")[0] == 0
    found = json.loads((tmp_path / "out" / "result.json").read_text())["environment"]
    assert found == environment() and found["numpy"] == np.__version__
