"""Every script of mpi_examples, run: one launch a rank count, and the batch file by a srun that is mpiexec."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mpi_launch import launch, mpiexec

import newtonfl as nf

pytestmark = [pytest.mark.mpi, pytest.mark.slow]

FOLDER = Path(__file__).parents[2] / "mpi_examples"
SCRIPTS = sorted(FOLDER.glob("[0-9]*.py"))
BATCH = FOLDER / "07_slurm.sbatch"
RUNNER = Path(__file__).parents[1] / "support" / "mpi_programs" / "examples.py"


def test_they_are_numbered_short_and_listed():
    files = sorted(path.name for path in FOLDER.iterdir() if path.name not in ("README.md", "__pycache__"))
    assert [int(name.split("_")[0]) for name in files] == list(range(1, 8))
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in files:
        lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
        assert 20 <= len(lines) <= 60, (name, len(lines))
        assert f"[{name}]({name})" in readme


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_each_says_what_it_shows_and_asserts_it(script):
    tree = ast.parse(script.read_text(encoding="utf-8"))
    told = ast.get_docstring(tree)
    assert told and f"mpi_examples/{script.name}" in told
    sentences = re.split(r"(?<=[.:])\s+(?=[A-Z\"])", told.partition("\n\n")[2])
    assert 2 <= len(sentences) <= 5, sentences
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_every_script_runs(ranks, monkeypatch):
    if importlib.util.find_spec("cupy") is None:  # two GPUs that are not there, so that the choice can be seen
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    ended = launch(ranks, "-W", "error", RUNNER, *SCRIPTS)
    assert ended.status == 0, ended.err
    told = {line["script"]: line for line in map(json.loads, ended.out.splitlines())}
    assert list(told) == [script.name for script in SCRIPTS]
    for name, line in told.items():
        assert line["ranks"] == ranks and line["text"].strip(), name
    assert f"on {ranks} ranks" in told["01_first_solve.py"]["text"]
    shares = {1: "[[0, 1, 2, 3, 4, 5]]", 2: "[[0, 1, 2], [3, 4, 5]]", 3: "[[0, 1], [2, 3], [4, 5]]"}
    assert shares[ranks] in told["02_every_rank_its_own_file.py"]["text"]
    if importlib.util.find_spec("cupy") is None:
        assert told["03_a_gpu_per_rank.py"]["gpus"] == ["4", "7", "4"][:ranks]


def test_a_failing_script_names_itself(tmp_path):
    """On one rank of two, while the other waits: the job ends, and what comes after does not run."""
    fails = "from mpi4py import MPI\nassert MPI.COMM_WORLD.rank == 0, 'on purpose'\nMPI.COMM_WORLD.barrier()\n"
    (tmp_path / "bad.py").write_text(fails)
    ended = launch(2, RUNNER, tmp_path / "bad.py", SCRIPTS[0], timeout=30)
    assert ended.status != 0
    assert "bad.py failed on rank 1" in ended.err and "on purpose" in ended.err
    assert not ended.out


def test_the_batch_file_is_shell_and_its_options_are_slurms():
    subprocess.run(["bash", "-n", BATCH], check=True)
    lines = BATCH.read_text(encoding="utf-8").splitlines()
    options = [line for line in lines if line.startswith("#SBATCH")]
    command = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert options == [line for line in lines[:command] if "#SBATCH" in line], "Slurm reads none after a command"
    slurm = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    for name, kind in {"job-name": str, "output": str, "time": str, "nodes": int, "ntasks": int}.items():
        slurm.add_argument(f"--{name}", type=kind, required=True)
    slurm.add_argument("--cpus-per-task", type=int, choices=[1], required=True)
    given = slurm.parse_args([line.removeprefix("#SBATCH ") for line in options])
    assert re.fullmatch(r"\d\d:\d\d:\d\d", given.time) and given.ntasks <= 16  # the problem's clients
    assert f"on {given.ntasks} ranks" in BATCH.read_text(encoding="utf-8")


FAKE_SRUN = """#!/bin/bash
# Takes srun's options away and starts what follows on SLURM_NTASKS ranks.
echo "$OMP_NUM_THREADS $@" > srun.words
while [[ $1 == --*=* ]]; do shift; done
exec {mpiexec} -n "$SLURM_NTASKS" "$@"
"""


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_the_batch_file_runs(ranks, tmp_path):
    """Its body, as Slurm would run it, on a problem that starts fast: the result's bits are one process's."""
    (tmp_path / "bin").mkdir()
    srun = tmp_path / "bin" / "srun"
    srun.write_text(FAKE_SRUN.format(mpiexec=mpiexec()))
    srun.chmod(0o755)
    path = os.pathsep.join([str(srun.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    slurms = {"PATH": path, "SLURM_NTASKS": str(ranks), "SLURM_JOB_ID": "17", "OMP_NUM_THREADS": "8"}
    ended = subprocess.run(
        ["bash", BATCH, "quadratic"], cwd=tmp_path, env={**os.environ, **slurms}, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = json.loads((tmp_path / "runs" / "slurm-17" / "result.json").read_text())
    alone = nf.solve(nf.load("quadratic"), nf.newton_3pc())
    assert told["ranks"] == ranks and told["converged"]
    assert told["x_sha256"] == alone.x_sha256
    assert {key: told[key] for key in ("bytes", "formula_bits")} == alone.ledger.totals()
    assert (tmp_path / "srun.words").read_text().startswith("1 --mpi=pmi2 "), "threads and PMI as srun was told"
