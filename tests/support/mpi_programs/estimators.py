"""Fits estimators with ranks = None, "same" and "own", and tells a line of JSON a case on rank 0.

Run as a program: ``python estimators.py`` on three ranks, or in process without a launcher, where rows of their own
become client ids.
"""

from __future__ import annotations

import datetime
import json

import numpy as np
import pandas
import scipy.sparse

import newtonfl as nf
from newtonfl.comm.launcher import launched
from newtonfl.comm.mpi import connect

RANKS = 3
transport = connect() if launched() else None
RANK = transport.rank if transport else 0


def data(kind):
    """Ninety rows, thirty a rank: rank 1 has one class alone, class "c" is on rank 2 alone, column 3 is zero."""
    draw = np.random.Generator(np.random.Philox(5))
    X = draw.standard_normal((90, 4))
    X[:, 3] = 0.0
    home = np.repeat(np.arange(RANKS), 30)
    counts = draw.poisson(np.exp(0.5 * X[:, 0])).astype(float)
    letters = np.where(X[:, 0] + 0.5 * draw.standard_normal(90) > 0, "b", "a")
    letters[home == 1] = "a"
    letters[(home == 2) & (X[:, 1] > 0.3)] = "c"
    return X, letters if kind == "classes" else counts, home, draw.integers(1, 4, 90).astype(float)


def models():
    each = {"tol": 1e-11, "alpha": 1e-2}
    return {
        "multinomial": (nf.FederatedLogisticRegression(**each), "classes"),
        "ovr": (nf.FederatedLogisticRegression(multi_class="ovr", class_weight="balanced", **each), "classes"),
        "svc": (nf.FederatedLinearSVC(**each), "classes"),
        "ordinal": (nf.FederatedOrdinalRegression(**each), "classes"),
        "ridge": (nf.FederatedRidge(**each), "counts"),
        "huber": (nf.FederatedHuberRegressor(**each), "counts"),
        "poisson": (nf.FederatedPoissonRegressor(**each), "counts"),
    }


def fit(model, X, y, w, home, ids=None):
    """Each rank its own rows; in process the same rows by client id."""
    if transport is None:
        held = np.isin(home, np.unique(home))
        return model.fit(X[held], y[held], sample_weight=w[held], groups=(home if ids is None else ids)[held])
    mine = home == RANK
    return model.set_params(ranks="own").fit(
        X[mine], y[mine], sample_weight=w[mine], groups=None if ids is None else ids[mine]
    )


def tell(case, model):
    """Every rank has the same model; rank 0 tells of it."""
    told = [np.ravel(model.coef_).tolist(), np.ravel(model.intercept_).tolist(), np.ravel(model.n_iter_).tolist()]
    told += [getattr(model, "classes_", np.zeros(0)).tolist(), model.communication_]
    line = json.dumps({"case": case, "told": told})
    if transport:
        transport.same(case, line)
    if RANK == 0:
        print(line, flush=True)


def refused(case, model, *args, **words):
    """What every rank is told."""
    try:
        model.fit(*args, **words)
    except (ValueError, RuntimeError) as error:
        if RANK == 0:
            print(json.dumps({"case": case, "told": [str(error), *getattr(error, "__notes__", [])]}), flush=True)
        return
    raise AssertionError(f"{case} was not refused")


def main():
    for name, (model, kind) in models().items():
        X, y, home, w = data(kind)
        tell(f"own rows {name}", fit(model, X, y, w, home))
        if name in ("multinomial", "ridge"):
            ids = np.array(["client", "x", "y", "z"])[(home + np.arange(90) % 2) % 2 + home]
            own_ids = np.char.add(ids, home.astype(str))
            tell(f"own clients {name}", fit(model, scipy.sparse.csr_matrix(X), y, w, home, own_ids))
            elsewhere = np.where(home == 1, 2, home)  # rank 1 has no row
            tell(f"an empty rank, own clients {name}", fit(model, X, y, w, elsewhere, own_ids))
            tell(f"an empty rank {name}", fit(model, X, y, w, elsewhere))
            together = model.set_params(ranks="same" if transport else None, clients="by-label:7")
            tell(f"same rows {name}", together.fit(X, y, sample_weight=w))
            alone = model.set_params(ranks=None, clients=5)
            tell(f"alone {name}", alone.fit(X, y, sample_weight=w))
    if transport is None:
        return
    X, y, home, _ = data("classes")
    mine = home == RANK
    model = nf.FederatedLogisticRegression(ranks="same")
    refused("other rows", model, X + (RANK == 2), y)
    refused("other weights", model, X, y, sample_weight=np.ones(90) + (RANK == 1))
    model = nf.FederatedLogisticRegression(ranks="own")
    refused("one client on two ranks", model, X[mine], y[mine], groups=np.full(30, 7))
    refused("a bad number", model, X[mine] * (np.nan if RANK == 2 else 1.0), y[mine])
    refused("one class in all", model, X[mine], np.full(30, "a"))
    refused("no row anywhere", nf.FederatedRidge(ranks="own"), X[:0], np.zeros(0))
    refused("other columns", model, X[mine][:, : 4 - (RANK == 1)], y[mine])
    refused("a number of clients", model.set_params(clients=4), X[mine], y[mine])
    refused("other settings", nf.FederatedRidge(ranks="own", alpha=1.0 + RANK), X[mine], home[mine])
    model.set_params(clients=None)
    own_labels = np.where(y == "a", 0, 1) if RANK == 1 else y
    refused("words and numbers", model, X[mine], own_labels[mine])
    dates = y.astype(object)
    dates[mine] = [datetime.date(2020, 1, 1) if RANK == 2 else label for label in y[mine]]
    refused("labels without an order", model, X[mine], dates[mine])
    frame = pandas.DataFrame(X[mine], columns=list("abcd"))
    refused("another column", model, frame.rename(columns={"b": "B"} if RANK == 2 else {}), y[mine])
    refused("no names on one rank", model, frame if RANK else X[mine], y[mine])
    tell("columns in one order", model.fit(frame, y[mine]))
    shuffled = frame[list("abcd" if RANK == 0 else "dbca")]
    tell("columns in another order", model.fit(shuffled, y[mine]))
    assert model.feature_names_in_.tolist() == list("abcd")
    refused("some weights", model, X[mine], y[mine], sample_weight=np.ones(30) if RANK else None)
    seeded = nf.FederatedLogisticRegression(ranks="own", random_state=None if RANK else 3).fit(X[mine], y[mine])
    tell("seeds", seeded)  # rank 0's counts, and nobody waits
    few = scipy.sparse.csr_matrix(X * (np.abs(X) > 1.4))
    assert 2 * few.nnz < few.shape[0] * few.shape[1]
    tell("fewer clients than ranks", nf.FederatedLogisticRegression(ranks="same", clients=2).fit(few, y))
    try:
        nf.from_arrays(X[mine], y[mine], "logistic" if RANK else "multinomial", comm=transport, own=True)
    except (ValueError, RuntimeError) as error:
        if RANK == 0:
            print(json.dumps({"case": "other losses", "told": [str(error)]}), flush=True)


if __name__ == "__main__":
    main()
