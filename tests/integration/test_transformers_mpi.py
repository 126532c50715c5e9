"""Transformers over ranks: the pooled pipeline of scikit-learn, the bits of one process, refusals on every rank."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from mpi_launch import launch
from mpi_programs import preprocessing as program
from mpi_programs.preprocessing import ALPHA, GRID, data, fitted, pipeline, searched
from sklearn import impute, preprocessing
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

pytestmark = [pytest.mark.mpi, pytest.mark.slow]
RANKS = [2, 4]


@cache
def found(ranks: int) -> dict:
    """What the ranks found, by case."""
    ended = launch(ranks, program.__file__, timeout=120)
    assert ended.status == 0, ended.err
    return {line["case"]: line["found"] for line in map(json.loads, ended.out.splitlines())}


@cache
def pooled():
    """scikit-learn's pipeline on the rows of all homes."""
    table, labels, _ = data()
    return make_pipeline(
        make_column_transformer(
            (impute.SimpleImputer(), list("abc")), (preprocessing.OneHotEncoder(sparse_output=False), ["ward"])
        ),
        preprocessing.StandardScaler(),
        LogisticRegression(C=1 / (len(table) * ALPHA), solver="newton-cholesky", tol=1e-13),
    ).fit(table, labels)


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("case", ["own rows", "same rows", "an empty rank"])
def test_a_pipeline_over_ranks_is_the_pooled_one(ranks, case):
    for name, right in (("coef", pooled()[-1].coef_), ("intercept", pooled()[-1].intercept_)):
        np.testing.assert_allclose(found(ranks)[case][name], right, rtol=0, atol=1e-10)
    assert np.abs(pooled()[-1].coef_).min() > 1e-3  # each column counts
    names = [name.partition("__")[2] for name in found(ranks)["own rows"]["names"]]
    assert names == [*"abc", "ward_north", "ward_south", "ward_west"]


@pytest.mark.parametrize("ranks", RANKS)
def test_the_bits_and_the_ledger_are_those_of_one_process(ranks):
    table, _, homes = data()
    alone = json.loads(json.dumps(fitted(table, homes)))
    assert found(ranks)["own homes"] == found(ranks)["same homes"] == alone
    assert alone["levels"] == ["north", "south", "west"] and len(set(alone["counts"])) == 3
    right = preprocessing.StandardScaler().fit(table[list("abc")])
    np.testing.assert_allclose(alone["scales"], right.scale_, rtol=1e-12)


@pytest.mark.parametrize("ranks", RANKS)
def test_a_search_over_ranks_is_that_of_one_process(ranks):
    table, labels, _ = data()
    search = GridSearchCV(pipeline(), GRID, cv=3, scoring="neg_log_loss").fit(table, labels)
    alone = json.loads(json.dumps(searched(search)))
    assert found(ranks)["search"] == alone and len(alone["scores"]) == 4


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("infinite", "rank {last}, checking the arguments of fit: X: column 'b': row 0, counted from 0: given inf"),
        ("words", "rank {last}, checking the arguments of fit: X: column 'b': given str, must be numbers"),
        ("beyond", "column 'b': its squares over all rows are beyond the largest double: change its unit"),
        ("another order", "rank {last} has the columns b, a, c, in another order than rank 0, which has a, b, c"),
        ("a column less", "rank {last} has other columns than rank 0: it lacks 'c'"),
        ("numbers for wards", "X: column 'ward', over all clients: given number, str, must hold strings alone"),
        ("no hash", "rank {last}, checking the arguments of fit: TypeError: X: column 0: argument must be a string or"),
        ("other settings", "rank {last} was given drop='first', and rank 0 drop=None"),
        ("weights", "rank {last} was given sample_weight='some', and rank 0 sample_weight=None"),
        ("no row", "FederatedStandardScaler: no rank has a row that counts"),
        ("a home twice", "client 7 has rows on rank 0 and rank 1: a client's rows live on one rank"),
        ("other rows", 'rank {last} passed other rows than rank 0; for its own rows say ranks="own"'),
        ("other wards", 'rank {last} passed other rows than rank 0; for its own rows say ranks="own"'),
    ],
)
def test_refusals_reach_every_rank(ranks, case, words):
    heard = found(ranks)[case]
    assert len(heard) == ranks and "fitted" not in heard
    assert words.format(last=ranks - 1) in heard[0], heard[0]
