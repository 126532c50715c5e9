"""What compressors send: which entries, how many, and the same for all clients at once."""

from __future__ import annotations

import numpy as np
import pytest
from cases import COMPRESSORS, on_wire, wired
from compressor_inputs import DIM, KEY, SIZE, arrived, inputs, matrices, symmetric, vectors

from newtonfl.comm.coding import PRECISIONS
from newtonfl.comm.messages import Dense, Integers, Levels, Nothing, Several, Sparse
from newtonfl.compressors import Contractive, Identity, RandK, RankR, Rounded, TopK, Unbiased
from newtonfl.core.ragged import Blocks


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5])
def test_k_is_clipped_on_smaller_clients(size):
    """A client with fewer than K coordinates sends them all, as they are; the papers still count K."""
    v = np.arange(1.0, size + 1)
    for compressor in (TopK(4), RandK(4)):
        message = compressor.compress(v, KEY)
        assert message.formula_bits == 32 * 4 and len(message.indices) == min(size, 4)
        if size <= 4:
            np.testing.assert_array_equal(arrived(message, v), v)
            assert compressor.contract(size) in (Contractive(1.0), Unbiased(0.0))
        else:
            assert compressor.contract(size) in (Contractive(4 / 5), Unbiased(5 / 4 - 1.0))


def test_topk_keeps_the_largest():
    """Values as they are, zeros not at all, the lowest position first among equals."""
    message = TopK(3).compress(np.array([0.5, -2.0, 0.0, 2.0, -2.0, 2.0]), KEY)
    assert isinstance(message, Sparse)
    assert message.indices.tolist() == [1, 3, 4] and message.values.tolist() == [-2, 2, -2]
    message = TopK(3).compress(np.array([0.0, 7.0, 0.0]), KEY)
    assert message.indices.tolist() == [1] and message.formula_bits == 96


@pytest.mark.parametrize("name, precision", [pair for pair in wired() if COMPRESSORS[pair[0]].acts_on == "vector"])
def test_all_clients_at_once_is_one_after_the_other(name, precision):
    """The batch form tells what the single form tells, on clients of unequal size, one of them empty."""
    compressor = on_wire(name, precision)
    draw = np.random.default_rng(0)
    blocks = Blocks.of([draw.standard_normal(size) for size in (9, 0, 3, 30)])
    keys = [KEY.of(client) for client in (2, 3, 5, 8)]
    for message, v, key in zip(compressor.compress_all(blocks, keys), blocks, keys, strict=True):
        expected = compressor.compress(v, key)
        assert message.payload() == expected.payload() and message.formula_bits == expected.formula_bits
        whole = isinstance(message, Levels | Integers | Nothing)  # a scale is always sent in full
        kept = "float64" if whole else precision
        assert message.precision == expected.precision == kept


@pytest.mark.parametrize("r", [1, 2, 3, DIM])
def test_rank_r_is_the_best_of_its_rank(r):
    """The truncated singular value decomposition: no matrix of rank R is nearer (Eckart, Young)."""
    for matrix in matrices():
        u, s, v = np.linalg.svd(matrix)
        message = RankR(r).compress(matrix, KEY)
        found = message.matrix()
        assert np.linalg.matrix_rank(found, tol=1e-12) <= r and message.formula_bits == 32 * r * DIM
        assert np.linalg.norm(found - matrix) == pytest.approx(np.linalg.norm(s[r:]), abs=1e-13)
        if r < DIM and s[r - 1] > s[r] + 1e-6:  # the nearest one is unique
            np.testing.assert_allclose(found, (u[:, :r] * s[:r]) @ v[:r], atol=1e-13)
        np.testing.assert_array_equal(found, found.T)


def test_rank_r_factors_are_reproducible(monkeypatch):
    """An eigenvector's sign is arbitrary: whatever a LAPACK returns, the same bits are sent, the peak positive."""
    eigh = np.linalg.eigh
    matrix = symmetric(np.array([4.0, -3.0, 2.0, 1.0, 0.5, -0.1]))
    first = RankR(3).compress(matrix, KEY)
    for flips in (np.full(6, -1), np.array([1, -1, 1, -1, -1, 1])):
        with monkeypatch.context() as patch:
            patch.setattr(np.linalg, "eigh", lambda m, f=flips: (eigh(m)[0], eigh(m)[1] * f))
            again = RankR(3).compress(matrix, KEY)
        assert again.payload() == first.payload()
    for factor in first.vectors:
        assert factor[np.argmax(np.abs(factor))] > 0
    assert sorted(first.signs * np.sum(first.vectors**2, axis=1)) == pytest.approx([-3, 2, 4], rel=1e-13)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounded_is_the_compressors_message_at_the_wires_precision(precision):
    """Nothing else differs, the papers' count included."""
    for compressor in (Identity(), TopK(5), RandK(5), RankR(2)):
        v = inputs(compressor)[0][0]
        message = Rounded(compressor, precision).compress(v, KEY)
        expected = compressor.compress(v, KEY).to_precision(precision)
        assert message.payload() == expected.payload() and message.precision == precision
        assert message.formula_bits == compressor.compress(v, KEY).formula_bits
        assert Rounded(compressor, precision).acts_on == compressor.acts_on


def test_the_identity_sends_everything():
    """As a dense message."""
    v = vectors()[0]
    message = Identity().compress(v, KEY)
    assert isinstance(message, Dense) and np.array_equal(message.values, v) and message.formula_bits == 32 * SIZE


@pytest.mark.parametrize("name", COMPRESSORS)
def test_nothing_and_zeros_are_compressed_too(name):
    """A client without coordinates, and one with nothing to tell, send a message that says so."""
    compressor = COMPRESSORS[name]
    for size in (0, 4):
        v = np.zeros((size, size) if compressor.acts_on == "symmetric" else size)
        message = compressor.checked(compressor.compress(v, KEY), size)
        if not (size == 0 and isinstance(message, Nothing)):
            np.testing.assert_array_equal(arrived(message, v), v)
        assert compressor.contract(size * (size + 1) // 2)


@pytest.mark.parametrize("name", COMPRESSORS)
def test_what_is_compressed_stays_as_it_is(name):
    """The vector that was handed in is still needed; the message's numbers are on the host and finite."""
    v = inputs(COMPRESSORS[name])[0][0]
    before = v.copy()
    v.flags.writeable = False
    first, again = (COMPRESSORS[name].compress(v, KEY) for _ in range(2))
    assert np.array_equal(v, before) and first.payload() == again.payload()
    assert np.isfinite(arrived(first, v)).all()


def test_false_messages_of_other_peoples_compressors_are_refused():
    """Levels and sums are checked as the other forms are; the error names the compressor."""
    checks = Identity().checked
    checks(Several((Sparse(np.array([1]), np.ones(1)), Dense(np.ones(3)))), 3)
    checks(Levels(np.array([4, -4]), np.ones(1), 4, 0, np.array([0, 2])), 3)
    for message, fault in (
        (Levels(np.array([1, -5]), np.ones(1), 4), "level above 4"),
        (Levels(np.array([1, -1]), np.ones(1), 4), "2 values for 3 coordinates"),
        (Levels(np.array([1, -1]), np.ones(1), 4, 0, np.array([2, 1])), "strictly increasing"),
        (Levels(np.array([1, -1]), np.ones(1), 4, 0, np.array([2, 3])), "from 0 to below 3"),
        (Several((Dense(np.ones(3)), Dense(np.ones(2)))), "2 values for 3 coordinates"),
    ):
        with pytest.raises(ValueError, match=f"Identity.compress: .*{fault}"):
            checks(message, len(message.codes) if "above" in fault else 3)
