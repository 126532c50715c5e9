"""Solves of rows with offsets and exposures, from arrays, files and estimators; a line of JSON of what was found.

Run as a program: ``python with_offsets.py FOLDER [CASE]`` with the files that :func:`write` puts there, on any number
of ranks; with a CASE rank 1 passes other offsets, and all ranks tell what they heard.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import newtonfl as nf
from newtonfl.comm.launcher import launched

DRAW = np.random.Generator(np.random.Philox(21))
X = DRAW.standard_normal((80, 3))
YEARS, KNOWN = DRAW.uniform(0.2, 5.0, 80), 0.3 * DRAW.standard_normal(80)
COUNTS = DRAW.poisson(YEARS * np.exp(X @ [0.4, -0.2, 0.0] + 0.3 + KNOWN)).astype(float)
CLIENTS = np.repeat(np.arange(4), [11, 30, 9, 30])

PROBLEM = """
[data]
source = "csv:{source}"
label = "y"
offset = "known"
exposure = "years"
[objective]
loss = "poisson"
intercept = true
[clients]
split = "{split}"
"""


def write(folder: Path) -> None:
    """One file of all rows with each one's client, and a file a client; offset and exposure amid the features."""
    table = np.column_stack([X[:, 0], YEARS, X[:, 1:], COUNTS, KNOWN])
    for name, rows in [("whole", table), *((f"silo{i}", table[i == CLIENTS]) for i in range(4))]:
        ids = CLIENTS if name == "whole" else np.zeros(0)
        header = "a,years,b,c,y,known" + ",client" * bool(len(ids))
        rows = np.column_stack([rows, ids]) if len(ids) else rows
        np.savetxt(folder / f"{name}.csv", rows, delimiter=",", fmt="%.17g", header=header, comments="")
    (folder / "whole.toml").write_text(PROBLEM.format(source="whole.csv", split="column:client"))
    (folder / "silos.toml").write_text(PROBLEM.format(source="silo*.csv", split="files"))


def found(folder: Path, comm=None):
    problem = nf.from_arrays(
        X, COUNTS, "poisson", clients=CLIENTS, offset=KNOWN, exposure=YEARS, intercept=True, comm=comm
    )
    result = nf.solve(problem, "newton-3pc", tol=1e-10)
    answers = {
        "arrays": [result.x.tolist(), result.rounds, result.ledger.totals()],
        "batches": nf.solve(problem, "ef21,batch=5,stepsize=0.05", rounds=5).x.tolist(),
        "inference": nf.inference(problem, result.x, covariance="HC0").to_json(),
        "without": nf.solve(problem.without([1, 3]), "newton", tol=1e-10).x.tolist(),
    }
    for name in ("whole", "silos"):
        loaded = nf.load(folder / f"{name}.toml", comm=comm)
        x = nf.solve(loaded, "newton-3pc", tol=1e-10).x
        answers[name] = [loaded.objective, loaded.schema.offset, loaded.schema.exposure, x.tolist()]
    model = nf.FederatedPoissonRegressor(alpha=0.0, ranks=None if comm is None else "same", tol=1e-10)
    model.fit(X, COUNTS, groups=CLIENTS, offset=KNOWN, exposure=YEARS)
    answers["estimator"] = [*model.coef_.tolist(), model.intercept_]
    own = np.ones(80, bool) if comm is None else CLIENTS % comm.size == comm.rank
    model = nf.FederatedPoissonRegressor(alpha=0.0, ranks=None if comm is None else "own", tol=1e-10)
    model.fit(X[own], COUNTS[own], groups=CLIENTS[own], offset=KNOWN[own], exposure=YEARS[own])
    answers["own rows"] = [*model.coef_.tolist(), model.intercept_]
    return answers


def refused(comm, case: str) -> list[str]:
    """What every rank hears where rank 1 passes other offsets."""
    offset = {"none": None, "other": KNOWN + 1.0, "short": KNOWN[:-1]}[case] if comm.rank == 1 else KNOWN
    heard = []
    model = nf.FederatedPoissonRegressor(ranks="same")
    for pass_on in (
        lambda: nf.from_arrays(X, COUNTS, "poisson", offset=offset, comm=comm),
        lambda: model.fit(X, COUNTS, offset=offset),
    ):
        try:
            pass_on()
        except Exception as error:
            heard.append(str(error))
    return heard


if __name__ == "__main__":
    comm = None
    if launched() is not None:
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
    if len(sys.argv) > 2:
        heard = comm.allgather(refused(comm, sys.argv[2]))
        if comm.rank == 0:
            print(json.dumps(heard))
    else:
        answers = found(Path(sys.argv[1]), comm)
        if comm is None or comm.rank == comm.size - 1:  # the last rank knows as much as the first
            print(json.dumps(answers))
