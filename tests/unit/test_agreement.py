"""What several sources say of their rows: what all agree on, and which two differ in what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from newtonfl.comm.transport import InProcess
from newtonfl.datasets.agreement import Agreement, agree, describe, gather

ROWS = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])


def source(name="rank 0", rows=ROWS, labels=(1, 2), **more):
    return describe(name, rows, None if labels is None else np.array(labels), **more)


def test_a_description_survives_the_way_to_the_other_ranks():
    one = source(
        column_names=np.array(["a", "b", "c"], object), client_ids=np.array(["x", "x"]), fingerprint="7", labels=[2, 1]
    )
    assert (one.rows, one.columns, one.nonzeros, one.dense) == (2, 3, 3, True)
    assert one.labels == (1, 2) and one.client_ids == ("x",) and one.label_kind == "numbers"
    assert gather([one, replace(one, column_names=None, client_ids=None)], InProcess()) == [
        one, replace(one, column_names=None, client_ids=None)
    ]  # fmt: skip
    assert source(labels=None).label_kind == "" and source(labels=["no", "yes"]).label_kind == "strings"


def test_what_all_agree_on():
    one = source("rank 0", labels=np.array([3, 1], np.uint8), client_ids=np.array([7, 5]))
    other = source("rank 1", labels=np.array([2, 1], np.int16), client_ids=np.array([6, 6]))
    assert agree([one, other]) == Agreement(3, True, (1, 2, 3), "<i2", (5, 6, 7), (0, 1, 0))
    none = source("rank 2", ROWS[:0], [], client_ids=np.zeros(0))
    assert agree([none, one, other]).owners == (1, 2, 1) and agree([one, none]).label_dtype == "|u1"


def test_rows_are_kept_dense_where_half_of_all_entries_count_or_none_is_sparse():
    empty, full = sparse.csr_array(np.zeros((4, 3))), np.ones((4, 3))
    assert agree([source(rows=empty), source(rows=full)]).dense
    assert not agree([source(rows=empty), source(rows=full[:3])]).dense
    assert agree([source(rows=np.zeros((4, 3)))]).dense


@pytest.mark.parametrize(
    ("one", "other", "fault"),
    [
        (
            {"rows": ROWS[:, :2]}, {},
            "rank 0 has 2 columns of features and rank 1 has 3: all must have as many$",
        ),
        (
            {"rows": ROWS[:, :2], "name": "libsvm:a"}, {"name": "libsvm:b"},
            r"libsvm:b has 3: .*features = N under \[data\]",
        ),
        (
            {"column_names": "abc"}, {"column_names": "abd"},
            "rank 1 has other columns than rank 0: it lacks 'c' and only it has 'd'; columns are compared by name",
        ),
        ({"fingerprint": "1"}, {"fingerprint": "2"}, "rank 1 passed other rows than rank 0; for its own rows say so$"),
        ({"client_ids": np.array([1, 2])}, {}, "rank 1 and rank 0: one passed client ids and one did not"),
        (
            {"client_ids": np.array(["3"])}, {"client_ids": np.array([3])},
            "rank 0 has strings for client ids, and rank 1 numbers: '3' and 3 would be two clients",
        ),
        ({"labels": [1, 2]}, {"labels": ["a", "b"]}, "rank 1 has strings for labels, and rank 0 numbers"),
        (
            {"client_ids": np.array([1, 2])}, {"client_ids": np.array([3, 2])},
            "client 2 has rows on rank 0 and rank 1: a client's rows live on one rank",
        ),
        ({"client_ids": np.zeros(0)}, {"client_ids": np.zeros(0)}, "no rank passed a row"),
    ],
)  # fmt: skip
def test_which_two_differ_in_what(one, other, fault):
    with pytest.raises(ValueError, match=fault):
        agree([source(**{"name": "rank 0", **one}), source(**{"name": "rank 1", **other})], "so")


def test_columns_in_another_order_are_the_same_columns():
    found = agree([source("rank 0", column_names="cab"), source("rank 1", column_names="abc")])
    assert found.shared.names == ("c", "a", "b")
    np.testing.assert_array_equal(found.shared.features(ROWS, ("a", "b", "c"), {}, True), ROWS[:, [2, 0, 1]])


def test_a_source_without_column_names_fits_none_that_has_some_unless_it_has_no_rows():
    with pytest.raises(ValueError, match="rank 1 has names for its columns and rank 0 has none"):
        agree([source(), source("rank 1", column_names="abc")])
    assert agree([source(rows=ROWS[:0]), source("rank 1", column_names="abc")]).shared.names == ("a", "b", "c")


def test_the_first_two_that_differ_are_named_wherever_they_stand():
    with pytest.raises(ValueError, match="rank 2 has other columns than rank 1"):
        agree([source(rows=ROWS[:0]), source("rank 1", column_names="abc"), source("rank 2", column_names="abd")])
