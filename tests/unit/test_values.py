"""Labels and client ids: kinds, digits and letters stay what they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import newtonfl as nf
from newtonfl.datasets.values import client_ids, ordered, unboxed

LARGE = 2**63


@pytest.mark.parametrize(
    ("ids", "kept", "kind"),
    [
        ([3, 5], [3, 5], "i"),
        ([LARGE, 1], [LARGE, 1], "u"),
        ([LARGE, -1], [LARGE, -1], "O"),
        ([10**40, 10**40 + 1], [10**40, 10**40 + 1], "O"),
        (np.array([10**40, -1], object), [10**40, -1], "O"),
        (np.array([2**53 + 1, 2**53]), [2**53 + 1, 2**53], "i"),
        (np.array([LARGE, LARGE + 1]), [LARGE, LARGE + 1], "u"),
        ([3.0, -4.0], [3, -4], "i"),
        ([2**60 + 1, 3.0], [2**60 + 1, 3], "i"),
        ([np.int8(3), 3.0], [3, 3], "i"),
        (np.array([3.0, 5.0], np.float32), [3, 5], "i"),
        (["007", "7"], ["007", "7"], "U"),
        ([np.str_("a"), "ab"], ["a", "ab"], "U"),
        ([True, False], [1, 0], "i"),
    ],
)
def test_client_ids_keep_their_digits_and_letters(ids, kept, kind):
    found = client_ids("clients", ids, 2)
    assert found.tolist() == kept and found.dtype.kind == kind
    assert client_ids("clients", found, 2) is found or found.tolist() == client_ids("clients", found, 2).tolist()


@pytest.mark.parametrize(
    ("ids", "fault"),
    [
        ([1.5, 2.0], "whole numbers, and floats less than 9007199254740992: given 1.5 in row 0"),
        ([1, 2.5], "given 2.5 in row 1"),
        (np.array([0.0, 2.0**53]), "given 9007199254740992.0 in row 1"),
        (np.array([0, 2**24], np.float32), "floats less than 16777216: given 16777216.0 in row 1"),
        ([10**40, 0.5], "given 0.5 in row 1"),
        (np.array([0.0, np.inf]), "must be finite, given inf in row 1"),
        (["a", ""], "row 1, counted from 0, is empty"),
        (["a", None], "row 1, counted from 0, has no value: given None"),
        (["a", np.nan], "row 1, counted from 0, has no value: given nan"),
        ([1, pd.NA], "row 1, counted from 0, has no value: given <NA>"),
        ([pd.NaT, pd.NaT], "row 0, counted from 0, has no value: given NaT"),
        (["3", 3], "must all be numbers or all be strings, given int, str"),
        ([True, 3], "must all be numbers or all be strings, given bool, int"),
        ([1j, 2j], "must all be numbers or all be strings, given complex"),
        (np.array(["2020", "2021"], "datetime64[Y]"), "must be numbers or strings, given datetime64"),
        ([[1], [2]], r"given ids of shape \(2, 1\), must be one for each of 2 rows"),
        ({1, 2}, r"given ids of shape \(\)"),
    ],
)
def test_what_names_no_client_is_refused(ids, fault):
    with pytest.raises(ValueError, match=f"clients: .*{fault}"):
        client_ids("clients", ids, 2)


def test_clients_whose_ids_differ_in_the_last_digit_are_two():
    """As floats they would be one."""
    X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 1, 0, 1]
    for ids in ([2**53, 2**53 + 1] * 2, [LARGE, -1] * 2, [10**40, 10**40 + 1] * 2):
        problem = nf.from_arrays(X, y, clients=ids)
        assert problem.n_clients == 2
        by_parity = nf.from_arrays(X, y, clients=[int(i > min(ids)) for i in ids])
        assert np.array_equal(problem.at(np.ones(1)).gradient, by_parity.at(np.ones(1)).gradient)


@pytest.mark.parametrize(
    ("labels", "kept", "kind"),
    [
        ([1, 2.5], [1.0, 2.5], "f"),
        ([LARGE, LARGE + 1], [LARGE, LARGE + 1], "u"),
        (["b", "a"], ["b", "a"], "U"),
        ([np.bool_(True), False], [True, False], "b"),
        ([], [], "U"),
    ],
)
def test_labels_in_boxes_are_those_without(labels, kept, kind):
    found = ordered("y", np.array(labels, object))
    assert found.tolist() == kept and found.dtype.kind == kind


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ([10**40, 1], "64 bits hold all of exactly, or strings: given 1" + "0" * 40),
        ([LARGE, -1], f"given {LARGE}"),
        ([2**53 + 1, 0.5], f"given {2**53 + 1}"),
        (["a", None], "row 1, counted from 0, has no value: given None"),
        (["a", 1], "must all be numbers or all be strings, given int, str"),
    ],
)
def test_labels_that_no_array_holds_are_refused(labels, fault):
    with pytest.raises(ValueError, match=f"y.*{fault}"):
        ordered("y", np.array(labels, object))
    with pytest.raises(ValueError, match=f"y.*{fault}"):
        nf.from_arrays(np.ones((2, 1)), labels)


def test_what_is_of_several_kinds_stays_in_its_boxes():
    assert unboxed(np.array([1, "a"], object)).tolist() == [1, "a"]
