"""Fits wide sparse rows, each rank's in columns of its own, and tells a line of JSON a fit on rank 0.

Run as a program: ``python sparse_columns.py`` on three ranks, or in process, where rows of their own become client ids.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas
import scipy.sparse

import newtonfl as nf
from newtonfl.comm.mpi import connect, launched

transport = connect() if launched() else None
RANK = transport.rank if transport else 0
WIDE = 20_000
HOME = np.repeat(np.arange(3), 15)


def rows():
    """Rank r has entries in the columns r, r + 3, …, r + 87 times 200."""
    draw = np.random.Generator(np.random.Philox(3))
    columns = 200 * (3 * draw.integers(0, 30, (45, 4)) + HOME[:, None])
    at = (np.repeat(np.arange(45), 4), columns.ravel())
    return scipy.sparse.csr_array((draw.standard_normal(180), at), shape=(45, WIDE)), draw.integers(0, 2, 45)


def tell(model):
    line = json.dumps(
        {
            "coef": hashlib.sha256(model.coef_.tobytes()).hexdigest(),
            "coefficients": int(np.count_nonzero(model.coef_)),
            "rounds": np.ravel(model.n_iter_).tolist(),
            "bytes": model.communication_,
            "n_features": model.coef_.shape[-1],
        }
    )
    if transport:
        transport.same("the model", line)
    if RANK == 0:
        print(line, flush=True)


def refused(X, y):
    try:
        nf.FederatedRidge(ranks="own").fit(X, y)
    except (ValueError, RuntimeError) as error:
        if RANK == 0:
            print(json.dumps({"words": str(error)}), flush=True)
        return
    raise AssertionError("other columns were not refused")


def main():
    X, y = rows()
    mine = HOME == RANK if transport else np.full(45, True)
    for kind in (nf.FederatedLogisticRegression, nf.FederatedRidge):
        own = kind(alpha=1e-2, method="ef21", max_rounds=4, tol=1e-1, ranks="own" if transport else None)
        # Client 3.0 of one rank and client 3 of another are one kind of id.
        ids = HOME[mine].astype(float if RANK == 1 else int)
        tell(own.fit(X[mine], y[mine], groups=ids))
        same = kind(alpha=1e-2, clients=4, tol=1e-8, max_rounds=30, ranks="same" if transport else None)
        tell(same.fit(X, y))
    if transport:
        refused(X[mine][:, : WIDE - (RANK == 1)], y[mine])
        names = [*map(str, range(WIDE - 1)), "z" if RANK == 2 else "y"]
        refused(pandas.DataFrame.sparse.from_spmatrix(X[mine], columns=names), y[mine])


if __name__ == "__main__":
    main()
