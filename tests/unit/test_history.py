"""The history: the records that were put in, in every bit, whatever the room they take."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from cases import dense_glm

import newtonfl as nf

PLAIN = nf.Record(1, 0.5, None, 1e-300, 2.0, 80.0, 8.5, 640.0, 0.0, 1.25, 0.1, 7)
RECORDS = [
    replace(PLAIN, round=7),
    replace(PLAIN, setup_bytes_up=70.5),
    PLAIN,
    replace(PLAIN, gap=0.0),
    replace(PLAIN, gap=-1e-17),
    replace(PLAIN, f=math.nan, gradient_norm=math.inf),
    replace(PLAIN, exchanges=None),
    replace(PLAIN, exchanges=2**70),
    replace(PLAIN, bytes_up=80),
    replace(PLAIN, levels_up=(3, 1)),
    replace(PLAIN, levels_down=(0, 0, 5), levels_up=(7,)),
    replace(PLAIN, levels_up=()),
    replace(PLAIN, levels_up=(3, 2**40)),
    replace(PLAIN, levels_up=(3, 1), levels_down=(2**40,)),
    replace(PLAIN, missing=(), waits=0),
]


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_a_record_comes_back_as_it_was(record):
    history = nf.History([PLAIN, record, PLAIN])
    assert repr(history[1]) == repr(record) and history[1].to_json() == record.to_json()
    assert [repr(one) for one in history] == list(map(repr, (PLAIN, record, PLAIN)))


def test_places_are_those_of_a_list():
    records = [replace(PLAIN, round=k, gap=float(k)) for k in range(3000)]
    history = nf.History(records)
    assert len(history) == 3000 and list(history) == records
    assert (
        history[-1] == records[-1] and history[1023:1026] == records[1023:1026] and history[::-700] == records[::-700]
    )
    for i in (3000, -3001):
        with pytest.raises(IndexError):
            history[i]
    assert history.sent("bytes").tolist() == [88.5] * 3000
    assert not len(nf.History()) and repr(nf.History()) == "History of 0 records"


def test_levels_come_back_as_they_were():
    """Ever more of them, fewer again, and none, over several blocks."""
    draw = np.random.Generator(np.random.Philox(2))
    levels = [None if k % 7 == 0 else tuple(draw.integers(0, 10**9, 1 + k // 900).tolist()) for k in range(3000)]
    records = [replace(PLAIN, round=k, levels_up=levels[k], levels_down=levels[-k]) for k in range(3000)]
    assert list(nf.History(records)) == records and nf.History(records)[2999].levels_up == levels[2999]


def test_levels_take_four_bytes_each():
    records = [replace(PLAIN, round=k, levels_up=(k, 2 * k, 3), levels_down=(k, 1)) for k in range(4096)]
    tracemalloc.start()
    history = nf.History()
    for record in records:
        history.append(record)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(history) == 4096 and taken < 4096 * (85 + 5 * 4 + 5)


def test_a_round_takes_a_hundred_bytes():
    """Less than a hundred: nothing but the history grows with the rounds."""
    sizes = {}

    def look(record):
        if record.round in (2300, 3300):
            sizes[record.round] = tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    result = nf.solve(dense_glm(), "gd,stepsize=1e-3", rounds=3300, tol=0.0, callback=look)
    tracemalloc.stop()
    assert result.rounds == 3300
    assert sizes[3300] - sizes[2300] < 1000 * 100
    assert list(result.history._others) == [0]  # which has the set-up
