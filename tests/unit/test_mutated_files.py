"""Files changed at random: read as a plain reader reads them, or refused by name. The script in support makes more."""

from __future__ import annotations

import re
import warnings
from collections import Counter

import numpy as np
import pytest
from mutated_files import READERS, SEEDS, drawn, outcome

from newtonfl.datasets import sources


def test_the_good_files_are_read(tmp_path):
    for seed in SEEDS:
        assert outcome(seed, seed.content, len(seed.content), tmp_path) == ("read", "")


def test_changed_files_are_read_rightly_or_refused(tmp_path):
    test_the_good_files_are_read(tmp_path)  # what is imported for the first time is no memory of a file's
    found = [(number, *drawn(number, tmp_path)) for number in range(600)]
    assert not [file for file in found if file[2] == "fault"]
    counts = Counter((kind, what) for _, kind, what, _ in found)
    assert min(counts[kind, what] for kind in READERS for what in ("read", "refused")) > 3


def broken(how):
    def read(source, **options):
        table = whole(source, **options)
        match how:
            case "label":
                table.labels[-1] += 1
            case "row":
                table.rows[0, 0] += 1
            case "client":
                table.groups[:] = 0
            case "warning":
                warnings.warn("a word", stacklevel=1)
            case "memory":
                np.ones(10**7)
            case "name":
                raise ValueError("what is it?")
            case "kind":
                raise KeyError("what is it?")
        return table

    whole = sources.read
    return read


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ("label", "other labels"),
        ("row", "other numbers in column 'age'"),
        ("client", "other clients"),
        ("warning", "a warning: a word"),
        ("memory", r"80\d* bytes of memory for"),
        ("name", "no file's name in"),
        ("kind", "KeyError"),
    ],
)
def test_a_wrong_reader_is_found(tmp_path, monkeypatch, how, fault):
    seed = SEEDS[0]
    outcome(seed, seed.content, len(seed.content), tmp_path)
    monkeypatch.setattr(sources, "read", broken(how))
    what, found = outcome(seed, seed.content, len(seed.content), tmp_path)
    assert what == "fault" and re.match(fault, found)


@pytest.mark.parametrize(
    ("kind", "content"),
    [("libsvm", b"1 1_0:1\n"), ("csv", b"1,1_0\n"), ("libsvm", b"1 3:1 2:1\n"), ("csv", b"1,2\n1\n")],
)
def test_a_plain_reader_refuses_what_is_ambiguous(tmp_path, kind, content):
    seed = next(seed for seed in SEEDS if seed.kind == kind and not seed.options)
    assert outcome(seed, content, len(content), tmp_path)[0] == "refused"
