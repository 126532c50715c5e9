"""Splits: every one a partition without empty clients, and what cannot be split is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newtonfl.datasets import splits


@settings(deadline=None)  # a shared machine may be slow
@given(
    how=st.sampled_from(["contiguous", "blocks", "shuffled", "by-label", "dirichlet:0.05", "dirichlet:9"]),
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**70),
)
def test_a_split_is_a_partition_without_empty_clients(how, labels, share, seed):
    labels = np.array(labels, dtype=float)
    count = 1 + round(share * (len(labels) - 1))
    parts = splits.split(how, labels, count, seed)
    assert len(parts) == count and all(part.size and part.dtype == np.int64 for part in parts)
    used = len(labels) - len(labels) % count if how == "contiguous" else len(labels)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(used))
    if not how.startswith("dirichlet"):
        assert np.ptp([part.size for part in parts]) <= (how != "contiguous")
    again = splits.split(how, labels, count, seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


def test_what_the_splits_are():
    labels = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])

    def parts(how, count=2, **options):
        return [part.tolist() for part in splits.split(how, labels, count, 3, **options)]

    assert parts("contiguous", 3) == [[0, 1], [2, 3], [4, 5]]
    assert parts("blocks", 3) == [[0, 1, 2], [3, 4], [5, 6]]
    assert parts("by-label") == [[1, 3, 5, 0], [2, 4, 6]]
    assert [row for part in parts("shuffled") for row in part] != list(range(7))
    groups = np.array([2, 0, 2, 1, 0, 2, 2])
    for count in (None, 3):
        assert parts("column:site", count, groups=groups) == [[1, 4], [3], [0, 2, 5, 6]]
    many = np.tile([0.0, 1.0], 500)
    assert not np.array_equal(splits.split("shuffled", many, 2, 0)[0], splits.split("shuffled", many, 2, 1)[0])

    def unlike(beta):  # how far clients' classes are from the whole's
        return np.mean([abs(many[part].mean() - 0.5) for part in splits.split(f"dirichlet:{beta}", many, 10, 0)])

    assert unlike(0.05) > 0.3 > 0.05 > unlike(1000)


@pytest.mark.parametrize(
    "how, count, fault",
    [
        ("blocks", 9, "given 9 clients, but there are only 5 rows"),
        ("blocks", None, "given None, must be at least 1"),
        ("blocks", 0, "given 0, must be at least 1"),
        ("block", 2, "given 'block', allowed are contiguous"),
        ("dirichlet:0", 2, "BETA"),
        ("dirichlet:nan", 2, "BETA"),
        ("column:", 2, "NAME"),
        ("column:a", 3, "given 3, but column 'a' has 2 values"),
        ("files", 2, "files"),
    ],
)
def test_splits_that_cannot_be(how, count, fault):
    with pytest.raises(ValueError, match=fault):
        splits.split(how, np.arange(5.0), count, 0, np.array([0, 1, 0, 1, 0]))
    with pytest.raises(ValueError, match="seed: given -1"):
        splits.split("shuffled", np.arange(5.0), 2, -1)
