"""Rows to ranks: whichever way they are passed, each client's arrive where the client is held."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from newtonfl.comm.transport import InProcess
from newtonfl.datasets.agreement import Agreement
from newtonfl.datasets.distribute import distribute

ROWS = np.arange(14.0).reshape(7, 2)
PER_ROW = {"labels": 10.0 + np.arange(7), "weights": 0.5 * np.arange(7)}
PARTS = [np.array([6, 0]), np.array([3]), np.array([], np.int64), np.array([1, 5])]  # rows 2 and 4 are left out
HELD = {0: [0, 1], 1: [2], 2: [3]}


class Rank(InProcess):
    """One of three ranks. What rank 0 scatters is kept for the others, which are played after it."""

    size = 3

    def __init__(self, rank, post):
        self.rank, self.post = rank, post

    def broadcast(self, buffer):
        return b""

    def scatter(self, buffers):
        if buffers is not None:
            self.post[:] = buffers
        return self.post[self.rank]


def arrived(placement, rows=ROWS, rank=0, post=None):
    transport, agreement = Rank(rank, [] if post is None else post), Agreement(2, not sparse.issparse(rows))
    if placement == "own":
        mine = [PARTS[client] for client in HELD[rank]]
        order = np.concatenate(mine)
        ends = np.cumsum([len(part) for part in mine])
        per_row = {name: values[order] for name, values in PER_ROW.items()}
        return distribute(
            rows[order], per_row, np.split(np.arange(len(order)), ends[:-1]), placement, agreement, transport,
            clients=np.array(HELD[rank]), n_clients=4,
        )  # fmt: skip
    if placement == "rank 0" and rank:
        return distribute(None, {}, [], placement, agreement, transport)
    return distribute(rows, PER_ROW, PARTS, placement, agreement, transport)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("placement", ["everywhere", "own", "rank 0"])
def test_every_rank_gets_the_rows_of_its_clients(placement, form):
    post = []
    for rank, clients in HELD.items():
        found = arrived(placement, form(ROWS), rank, post)
        order = np.concatenate([PARTS[client] for client in clients])
        assert found.n_clients == 4 and found.clients.tolist() == clients
        assert found.sizes.tolist() == [len(PARTS[client]) for client in clients]
        assert sparse.issparse(found.rows) == (form is sparse.csr_array)
        np.testing.assert_array_equal(found.rows.toarray() if sparse.issparse(found.rows) else found.rows, ROWS[order])
        np.testing.assert_array_equal(found.labels, PER_ROW["labels"][order])
        np.testing.assert_array_equal(found.weights, PER_ROW["weights"][order])


def test_without_weights_every_row_counts_once():
    found = distribute(ROWS, {"labels": np.zeros(7)}, PARTS, "everywhere", Agreement(2, True), InProcess())
    assert found.weights is None and found.sums(np.ones((5, 1))).ravel().tolist() == [2, 1, 0, 2]
