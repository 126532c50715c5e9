# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11. From one machine to a Slurm cluster
#
# Notebook 7 showed that the answer has the same bits on any number of ranks. A cluster adds what a desk does not have:
# a queue, a limit of time after which a job is killed, nodes that fail, and nobody who looks on. This notebook takes
# one solve from here to a job script for Slurm that may be killed at any time and loses nothing.
#
# There is no Slurm on the machine that ran this. The script starts its ranks with `srun` where Slurm has it, and with
# the launcher that the variable LAUNCH names where it is set: here `mpiexec`. So everything below did run, but for
# `srun` and `sbatch` themselves.

# %%
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import newtonfl as nf

# %% [markdown]
# ## On one machine
#
# First make it run small, where mistakes are cheap. `result.x_sha256` is what the cluster has to find again.

# %%
here = nf.solve(nf.load("digits"), "newton-3pc-ls")
print(f"{here.rounds} rounds; {here.reason}")
print(f"x has the SHA-256 {here.x_sha256[:16]}…")
assert here.converged

# %% [markdown]
# ## The job
#
# Line by line:
#
# - **A rank is one task on one core.** Threads below it would only get in each other's way. There must be at least as
#   many clients as ranks: digits has ten, so that ten is the most.
# - **How ranks find each other** is `--mpi=…`: pmi2 for MPICH and its relatives, pmix for Open MPI; `srun --mpi=list`
#   tells what a cluster has. Where the two do not fit each rank believes that it is alone, and newtonfl ends with an
#   error that says so, instead of solving the same problem ten times.
# - **`--checkpoint`** keeps the state after every round. The second time the script finds it, and goes on.
# - **`--max-seconds`** ends the solve in good order before Slurm's `--time` would kill it.
# - **`--timeout`** ends a job in which a rank is frozen or never came, instead of waiting for it till the limit.

# %%
folder = Path(mkdtemp(prefix="newtonfl-"))
(folder / "job.sbatch").write_text("""#!/bin/bash
#SBATCH --job-name=digits
#SBATCH --ntasks=10 --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --output=digits-%j.log
set -euo pipefail
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
launch=${LAUNCH:-srun --mpi=pmi2 --cpu-bind=cores}
limit=${LIMIT:---max-seconds 3000}

if [ -e runs/state/checkpoint.npz ]; then
    words="resume runs/state"
else
    words="solve digits --method newton-3pc-ls --checkpoint runs/state"
fi
$launch newtonfl $words $limit --timeout 600 --out runs/digits --force --quiet
""")
print((folder / "job.sbatch").read_text())

# %% [markdown]
# On the cluster: `sbatch job.sbatch`. Here `bash` runs it, on two ranks, and with a limit in which it cannot get
# through: of bytes, since how far it comes in some milliseconds would be another round on every machine.

# %%
beside = Path(sys.executable).parent
surroundings = {**os.environ, "PATH": f"{beside}:{os.environ['PATH']}"}
first = {**surroundings, "LAUNCH": "mpiexec -n 2", "LIMIT": "--max-bytes 20kB"}
job = ["bash", "job.sbatch"]
ended = subprocess.run(job, cwd=folder, env=first, capture_output=True, text=True, timeout=100)
print(ended.stdout or ended.stderr)

# %%
result = json.loads((folder / "runs" / "digits" / "result.json").read_text())
print(f"{result['rounds']} rounds on {result['ranks']} ranks: {result['reason']}")
assert ended.returncode == 0 and 0 < result["rounds"] < here.rounds
assert result["reason"] == str(nf.Reason.BYTE_LIMIT)

# %% [markdown]
# ## The same job again
#
# The script is submitted once more, as `sbatch --dependency=afterany:JOB job.sbatch` would do in advance, and finds
# the checkpoint. It may get other nodes, and another number of ranks: here three where there were two, and a limit that
# does not bind.

# %%
second = {**surroundings, "LAUNCH": "mpiexec -n 3", "LIMIT": "--max-bytes 1GB"}
ended = subprocess.run(job, cwd=folder, env=second, capture_output=True, text=True, timeout=100)
print(ended.stdout or ended.stderr)
result = json.loads((folder / "runs" / "digits" / "result.json").read_text())
assert ended.returncode == 0 and result["ranks"] == 3
assert result["x_sha256"] == here.x_sha256

# %% [markdown]
# Two ranks, a stop, three ranks: x has the bits that this notebook's one process found, and the ledger's counts are
# those of a solve that never stopped. A job that was killed instead, by its limit or with its node, goes on likewise
# from the last round that was kept. (Bits agree among machines of one kind. A checkpoint that another kind of
# processor wrote, whose linear algebra rounds otherwise, is refused in words.)

# %%
history = nf.History.read(folder / "runs" / "digits" / "history.jsonl")
assert [record.f for record in history] == [record.f for record in here.history]
assert [record.bytes_up for record in history] == [record.bytes_up for record in here.history]

# %% [markdown]
# ## What comes home
#
# The folder runs/digits is all that has to be copied back: every setting, the history, what each client sent, the
# model. `newtonfl report runs/digits` makes one page of it, on any machine; `newtonfl predict runs/digits FILE` applies
# the model to new rows.

# %%
print(sorted(path.name for path in (folder / "runs" / "digits").iterdir()))

# %% [markdown]
# ## Rows of your own
#
# Put a problem file's path in the place of `digits`. With `split = "files"`, as in notebook 10, each rank reads the
# files of its clients and no other's: nothing has to be copied to one node first, and the folder need only be seen by
# the ranks that read it.

# %%
shutil.rmtree(folder)
