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


def test_any_record_comes_back_as_it_was():
    """What is not finite, large, missing, of a monitor, or a float that is whole: of the same type and bits."""
    odd = [
        replace(PLAIN, f=float("inf"), gap=None, exchanges=None, hessians=3.0),
        replace(PLAIN, f=-0.0, missing=(), waits=2**40, setup_bytes_up=1.5),
        replace(PLAIN, levels_up=(2**40,), monitors={"distance": 5e-324, "other": -1.0}),
    ]
    history = nf.History([replace(odd[k % 3], round=k) for k in range(1500)])
    assert repr([history[k] for k in (0, 1, 2)]) == repr([replace(odd[k], round=k) for k in range(3)])
    assert history.columns[-2:] == ("distance", "other")


def test_records_are_few_bytes():
    """Five random doubles and five counts that grow; as an object a record takes 600."""
    draw = np.random.default_rng(1)
    tracemalloc.start()
    history = nf.History()
    for k in range(1, 1 + 32 * 256):
        numbers = dict(zip(("f", "gap", "gradient_norm", "step", "seconds"), draw.random(5).tolist(), strict=True))
        history.append(replace(PLAIN, round=k, **numbers, levels_up=(k, 2 * k, 3), levels_down=(k, 1)))
    history._last.clear()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(history) == 31 * 256 and taken < 31 * 256 * 85


def test_a_round_takes_less_than_a_hundred_bytes():
    """Nothing but the history grows with the rounds."""
    sizes = {}

    def look(record):
        if record.round in (2300, 3300):
            sizes[record.round] = tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    result = nf.solve(dense_glm(), "gd,stepsize=1e-3", rounds=3300, tol=0.0, callback=look)
    tracemalloc.stop()
    assert result.rounds == 3300
    assert sizes[3300] - sizes[2300] < 1000 * 100
