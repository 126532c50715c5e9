"""Solves with personal columns on any number of ranks, and tells a line of JSON of what was found.

Run as a program: ``python personal.py FOLDER``, with what :func:`write` put there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import newtonfl as nf
from newtonfl.comm.launcher import launched

sys.path.insert(0, str(Path(__file__).parents[1]))

from personal_cases import CLIENTS, LABELS, ROWS, base

PROBLEM = """
[data]
source = "csv:rows.csv"
label = "y"
[objective]
loss = "logistic"
l2 = 0.01
intercept = true
personal = ["b", "intercept"]
[clients]
split = "column:client"
"""

METHODS = ["newton", "newton-3pc", "bl1", "fednl", "ef21", "gd,batch=5,stepsize=0.1", "newton-3pc-bc-pp"]


def write(folder: Path) -> None:
    table = np.column_stack([ROWS, LABELS["logistic"], CLIENTS])
    np.savetxt(folder / "rows.csv", table, delimiter=",", fmt="%.17g", header="a,b,c,d,e,y,client", comments="")
    (folder / "problem.toml").write_text(PROBLEM)


def solved(problem, name):
    result = nf.solve(problem, name, rounds=6, tol=0.0)
    history = [{**json.loads(record.to_json()), "seconds": 0} for record in result.history]
    return [result.x_sha256, history, result.ledger.totals()]


def found(folder: Path, comm=None):
    problem = base(comm=comm).personal(["intercept", 1])
    loaded = nf.load(folder / "problem.toml", comm=comm)
    x = nf.solve(problem, "newton", rounds=6, tol=0.0).x
    answers = {
        "solves": [solved(problem, name) for name in METHODS],
        "loaded": [loaded.objective, *solved(loaded, "newton-3pc")],
        "private": problem.private(x).tolist(),
        "without": solved(problem.without([1]), "newton"),
    }
    model = nf.FederatedRidge(
        alpha=0.01, personal=[1, "intercept"], method="newton", ranks=None if comm is None else "same"
    ).fit(ROWS, LABELS["squared"], groups=CLIENTS)
    own = np.ones(150, bool) if comm is None else comm.size - 1 - CLIENTS % comm.size == comm.rank
    apart = nf.FederatedRidge(
        alpha=0.01, personal=[1, "intercept"], method="newton", ranks=None if comm is None else "own"
    ).fit(ROWS[own], LABELS["squared"][own], groups=CLIENTS[own])
    for name, fitted in {"same": model, "own": apart}.items():
        models = {
            client: [*fitted.personal_coef_[client], intercept]
            for client, intercept in fitted.personal_intercept_.items()
        }
        answers[name] = [str(fitted.coef_.tolist()), models]
    one_class = np.where(CLIENTS == 2, 1.0, LABELS["logistic"])
    lost = nf.from_arrays(ROWS, one_class, clients=CLIENTS, intercept=True, comm=comm).personal("intercept")
    try:
        nf.solve(lost, "newton")
    except Exception as error:
        heard = str(error)
        answers["heard"] = heard[heard.find("client 2") :][:27]
    return answers


if __name__ == "__main__":
    comm = None
    if launched() is not None:
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
    answers = found(Path(sys.argv[1]), comm)
    if comm is not None:
        answers["private"] = comm.gather(answers["private"])
        answers["heard"] = comm.gather(answers["heard"])
        answers["same"], answers["own"] = comm.gather(answers["same"]), comm.gather(answers["own"])
    if comm is None or comm.Get_rank() == 0:
        print(json.dumps(answers))
