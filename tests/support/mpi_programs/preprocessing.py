"""Fits transformers and pipelines with rows of four homes on the ranks, and prints a line of JSON a case on rank 0.

Run as a program on at most four ranks: home h lies on rank h modulo their number. The tests import the data and the
pipeline, and fit them in one process.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import newtonfl as nf

N, ALPHA = 96, 1e-2
GRID = {"federatedlogisticregression__alpha": [0.1, ALPHA], "columntransformer__encoder__drop": [None, "first"]}


def data():
    """A table with gaps, labels and homes; home 3 alone has the ward west, and no value of c."""
    draw = np.random.Generator(np.random.Philox(31))
    numbers = draw.standard_normal((N, 3)) * [1.0, 1e4, 1e-3] + [0.0, 5e4, 1.0]
    homes = np.arange(N) % 4
    labels = np.where(numbers[:, 0] + draw.standard_normal(N) > 0, "ill", "well")
    numbers[draw.random((N, 3)) < 0.2] = np.nan
    numbers[homes == 3, 2] = np.nan
    table = pd.DataFrame(numbers, columns=list("abc"))
    table["ward"] = np.where(homes == 3, "west", draw.choice(["north", "south"], N))
    return table, labels, homes


def pipeline(ranks=None):
    """Gaps filled, wards encoded, all scaled, a logistic model."""
    encoder = nf.FederatedOneHotEncoder(ranks=ranks, sparse_output=False)
    columns = ColumnTransformer(
        [("imputer", nf.FederatedSimpleImputer(ranks=ranks), list("abc")), ("encoder", encoder, ["ward"])]
    )
    model = nf.FederatedLogisticRegression(alpha=ALPHA, tol=1e-13, ranks=ranks)
    return make_pipeline(columns, nf.FederatedStandardScaler(ranks=ranks), model)


def fitted(table, homes, ranks=None):
    """What three transformers find with each home a client, and what that sends."""
    imputer, scaler, encoder = (
        model.fit(X, groups=homes)
        for model, X in (
            (nf.FederatedSimpleImputer(ranks=ranks), table[list("abc")]),
            (nf.FederatedStandardScaler(ranks=ranks), table[list("abc")]),
            (nf.FederatedOneHotEncoder(ranks=ranks), table[["ward"]]),
        )
    )
    return {
        "statistics": imputer.statistics_.tolist(),
        "means": scaler.mean_.tolist(),
        "scales": scaler.scale_.tolist(),
        "counts": scaler.n_samples_seen_.tolist(),
        "levels": encoder.categories_[0].tolist(),
        "ledgers": [model.ledger_.totals() for model in (imputer, scaler, encoder)],
    }


def solution(model):
    """What the last step of a pipeline fitted."""
    return {"coef": model[-1].coef_.tolist(), "intercept": model[-1].intercept_.tolist()}


def searched(search):
    """What a search found."""
    return {
        "scores": search.cv_results_["mean_test_score"].tolist(),
        "coef": search.best_estimator_[-1].coef_.tolist(),
        "best": repr(search.best_params_),
    }


def main():
    transport = nf.connect()
    rank, size = transport.rank, transport.size

    def report(case, found):
        line = json.dumps({"case": case, "found": found})
        transport.same(case, line)  # every rank has the same
        if rank == 0:
            print(line, flush=True)

    def refused(case, model, *args, **words):
        """What every rank hears; rank 0's words, for where a rank's own error keeps its type."""
        try:
            clone(model).fit(*args, **words)
        except (ValueError, TypeError, RuntimeError) as error:
            message = " ".join([str(error), *getattr(error, "__notes__", [])])
        else:
            message = "fitted"
        everyone = [buffer.decode() for buffer in transport.gather(message.encode())]
        transport.broadcast(b"" if rank == 0 else None)
        if rank == 0:
            print(json.dumps({"case": case, "found": everyone}), flush=True)

    table, labels, homes = data()
    mine = homes % size == rank
    own, y = table[mine], labels[mine]
    model = pipeline("own").fit(own, y)
    report("own rows", {**solution(model), "names": model[:-1].get_feature_names_out().tolist()})
    report("same rows", solution(pipeline("same").fit(table, labels)))
    elsewhere = homes % (size - 1) == rank  # the last rank has no row
    report("an empty rank", solution(pipeline("own").fit(table[elsewhere], labels[elsewhere])))
    report("own homes", fitted(own, homes[mine], "own"))
    report("same homes", fitted(table, homes, "same"))
    report("search", searched(GridSearchCV(pipeline("same"), GRID, cv=3, scoring="neg_log_loss").fit(table, labels)))

    last = rank == size - 1
    numbers = own[list("abc")]
    scaler, encoder = nf.FederatedStandardScaler(ranks="own"), nf.FederatedOneHotEncoder(ranks="own")
    refused("infinite", scaler, numbers.assign(b=np.inf) if last else numbers)
    refused("words", nf.FederatedSimpleImputer(ranks="own"), numbers.assign(b="high") if last else numbers)
    refused("beyond", scaler, numbers.assign(b=1e200 * np.arange(len(numbers))) if last else numbers)
    refused("another order", scaler, numbers[list("bac")] if last else numbers)
    refused("a column less", scaler, numbers[["a", "b"]] if last else numbers)
    refused("numbers for wards", encoder, own[["ward"]].assign(ward=3) if last else own[["ward"]])
    refused("no hash", encoder, np.array([[[1]], [{}]], object)[:, 0][:, None] if last else own[["ward"]].to_numpy())
    refused("other settings", nf.FederatedOneHotEncoder(ranks="own", drop="first" if last else None), own[["ward"]])
    refused("weights", scaler, numbers, sample_weight=np.ones(len(numbers)) if last else None)
    refused("no row", scaler, numbers[:0])
    refused("a home twice", scaler, numbers, groups=np.full(len(numbers), 7))
    refused("other rows", nf.FederatedStandardScaler(ranks="same"), table[list("abc")] * (2 if last else 1))
    refused("other wards", nf.FederatedOneHotEncoder(ranks="same"), table[["ward"]] + ("!" if last else ""))


if __name__ == "__main__":
    main()
