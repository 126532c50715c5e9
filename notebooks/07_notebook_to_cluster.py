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
# # 7. From notebook to cluster
#
# What ran in this notebook's one process runs on many processes, on as many computers, without a change to the method.
# MPI is the standard by which programs on clusters talk to each other: `mpiexec -n 4 …` starts the same program four
# times, and each of the four, a **rank**, knows its number. newtonfl deals the clients out to the ranks; rank 0 is the
# server too.
#
# The promise that this notebook holds the library to: **the answer has the same bits**, however many ranks there are.

# %%
import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import newtonfl as nf

# %% [markdown]
# ## In this process
#
# Logistic regression on drawn data, 8 clients with 200 rows each, and a method that tosses coins (CBAG, notebook 3).

# %%
problem = nf.load("synthetic", clients=8)
method = nf.newton_3pc(mechanism=nf.CBAG(nf.TopK("8d"), p=0.75), l="last")
here = nf.solve(problem, method)
print(problem.objective)
print(f"{here.rounds} rounds; {here.reason}")
print(f"x has the SHA-256 {here.x_sha256[:16]}…")
assert here.converged

# %% [markdown]
# ## On two ranks
#
# The same in a script. One thing is new: `comm=MPI.COMM_WORLD`, the ranks over which the clients are to be spread.
# Every rank runs every line; only rank 0 prints.

# %%
folder = Path(mkdtemp(prefix="newtonfl-"))
script = folder / "solve.py"
script.write_text("""
from mpi4py import MPI
import newtonfl as nf

problem = nf.load("synthetic", clients=8, comm=MPI.COMM_WORLD)
method = nf.newton_3pc(mechanism=nf.CBAG(nf.TopK("8d"), p=0.75), l="last")
result = nf.solve(problem, method)
if MPI.COMM_WORLD.rank == 0:
    print(MPI.COMM_WORLD.size, result.rounds, result.x_sha256)
""")
print(script.read_text())

# %% [markdown]
# `mpiexec` comes with the `mpi` extra, `pip install 'newtonfl[mpi]'`, and then lies beside the Python that runs this
# notebook; where MPI was installed otherwise it is on the path.

# %%
beside = Path(sys.executable).with_name("mpiexec")
mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
ended = subprocess.run([mpiexec, "-n", "2", sys.executable, script], capture_output=True, text=True, timeout=100)
print(ended.stdout or ended.stderr)
ranks, rounds, sha256 = ended.stdout.split()
assert (int(ranks), int(rounds), sha256) == (2, here.rounds, here.x_sha256)

# %% [markdown]
# The same rounds, and the same SHA-256: not one bit of x differs. That is less obvious than it sounds, since sums of
# floating-point numbers depend on their order. The server adds in the order of the clients, whoever holds them, and
# every random draw is named by seed, round, client and purpose instead of being "the next one".
#
# So a method can be tried out in a notebook, and what was seen is what the cluster will do. (Among machines of one
# kind: another processor's library of linear algebra may round the last bit otherwise.)
#
# ## The command line
#
# No script is needed for a problem of the catalogue or a problem file. `--out` keeps the run in a folder.

# %%
run = folder / "run"
asked = "solve synthetic --clients 8 --set mechanism=cbag:0.75 --set compressor=topk:8d --set l=last --quiet --out"
print(f"mpiexec -n 2 newtonfl {asked} {run}")
command = [mpiexec, "-n", "2", sys.executable, "-m", "newtonfl", *asked.split(), run]
ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
print(ended.stdout or ended.stderr)
assert ended.returncode == 0

# %%
result = json.loads((run / "result.json").read_text())
print(sorted(path.name for path in run.iterdir()))
print(f"{result['ranks']} ranks: {result['reason']}")
assert result["x_sha256"] == here.x_sha256

# %% [markdown]
# `history.jsonl` has a line of JSON a round and is written as the run goes, so that a run can be watched, and one that
# was killed keeps what it had. It reads back into the history that a solve in a notebook gives.

# %%
history = nf.History.read(run / "history.jsonl")
assert [record.f for record in history] == [record.f for record in here.history]
assert [record.bytes_up for record in history] == [record.bytes_up for record in here.history]
print((run / "run.toml").read_text())

# %% [markdown]
# `run.toml` has every setting. `newtonfl solve run/run.toml` is the same run again, with the same bits, on any number
# of ranks; `newtonfl plot run` draws it.
#
# ## On a cluster
#
# A job for Slurm, say, on four nodes:
#
# ```bash
# #!/bin/bash
# #SBATCH --nodes=4 --ntasks-per-node=16
# export OMP_NUM_THREADS=1
# srun newtonfl solve w8a --out runs/w8a
# ```
#
# Three things to know. A rank is one process on one core, and threads below it only get in its way, hence the third
# line. On a cluster one uses the cluster's own MPI: install `mpi4py` built for it, and newtonfl without the `mpi`
# extra. And more ranks than clients are refused, for a client is the smallest thing that can be dealt out.
#
# Where each site has its own file, rank 0 need not read anybody's data: `source = "csv:site-*.csv"` in a problem file
# with `split = "files"` makes every file a client, which is read where the client lives. The folder mpi_examples/ has
# short programs for such cases.

# %%
shutil.rmtree(folder)
