"""Solves that are cut off and gone on with, and what must then be the same."""

from __future__ import annotations

import json
from contextlib import suppress

import numpy as np

import newtonfl as nf

SHORT = 4
"""Rounds of a solve that is cut off in each of them."""


class Cut(Exception):
    """The solve ends here."""


def cut_at(round):
    def look(record):
        if record.round == round:
            raise Cut

    return look


def same(one, other):
    """Equal in x, in all records but their times, and in every count."""
    assert one.x_sha256 == other.x_sha256 and one.reason == other.reason
    for a, b in zip(one.history, other.history, strict=True):
        first, second = json.loads(a.to_json()), json.loads(b.to_json())
        assert {**first, "seconds": 0} == {**second, "seconds": 0}
    counts, others = one.ledger.to_arrays(), other.ledger.to_arrays()
    assert all(np.array_equal(counts[key], others[key]) for key in counts)


def in_pieces(problem, method, folder, rounds=SHORT, **how):
    """Cut off in every round, and gone on with from its checkpoint each time."""
    for k in range(rounds):
        with suppress(Cut):
            nf.solve(problem, method, rounds=rounds, tol=0.0, checkpoint=folder, callback=cut_at(k + 1), **how)
    return nf.solve(problem, method, rounds=rounds, tol=0.0, checkpoint=folder, **how)
