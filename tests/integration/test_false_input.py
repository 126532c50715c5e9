"""False or odd input, by parts: refused in words, or made right; never taken for something else."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
import scipy.sparse
from cases import dense_glm, glm, points, sparse_glm
from decoding import peak_of, read

from newtonfl.bases import Support
from newtonfl.comm.coding import WireError, _to_bits, decode_indices
from newtonfl.comm.envelope import pack, unpack
from newtonfl.comm.messages import Dense, Indices
from newtonfl.compressors import RandK, RankR, Rounded, TopK
from newtonfl.objectives.losses import Logistic


@pytest.mark.parametrize("b, count", [(62, 3), (62, 4), (61, 8), (60, 16)])
def test_gaps_that_overflow_are_refused(b, count):
    low = _to_bits(np.full(count, 2**b - 1), b)
    unary = np.packbits(np.ones(count, np.uint8), bitorder="little").tobytes()
    assert read(bytes([b]) + low + unary, count, 1000) is None


def test_a_wrong_count_is_refused_within_eight_times_the_buffer():
    for length in (1000, 100_000):
        buffer = b"\0" + b"\xff" * length
        peak = peak_of(lambda b=buffer, n=length: decode_indices(memoryview(b), n, 2**40))
        assert peak <= 8 * len(buffer) + 2**14


def test_envelopes_keep_the_shape_of_a_single_number():
    assert unpack(pack({"x": np.array(7.0)}))[0]["x"].shape == ()


@pytest.mark.parametrize(
    "head",
    [
        b'{"arrays": {}}',
        b'{"arrays": [], "values": {}}',
        b'{"arrays": {"x": ["<f8", [Infinity]]}, "values": {}}',
        b'{"arrays": {"x": ["(f8", [1]]}, "values": {}}',
        b'{"arrays": {"x": ["8)f8", [1]]}, "values": {}}',
        b'{"arrays": {"x": ["(08)f8", [1]]}, "values": {}}',
        b"[" * 100_000,
    ],
    ids=lambda head: head[:40].decode(),
)
def test_false_heads_are_wire_errors(head):
    with pytest.raises(WireError):
        unpack(struct.pack("<Q", len(head)) + head)


def test_any_flipped_byte_of_an_envelope_is_a_wire_error_or_read():
    buffer = pack({"x": np.arange(3.0), "y": np.arange(4)}, call="end", round=3)
    for at in range(len(buffer)):
        for byte in range(256):
            with contextlib.suppress(WireError):
                unpack(buffer[:at] + bytes([byte]) + buffer[at + 1 :])


@pytest.mark.parametrize(
    "data, indices, indptr",
    [
        ([2.0, 1.0, 1.0, 3.0], [2, 0, 2, 1], [0, 2, 4]),  # not sorted
        ([0.5, 0.5, 2.0, 3.0, 1.0], [0, 0, 2, 1, 2], [0, 3, 5]),  # one entry in two pieces
    ],
)
def test_any_csr_layout_of_the_rows_is_the_same_problem(data, indices, indptr):
    rows = scipy.sparse.csr_array((np.array(data), np.array(indices), np.array(indptr)), shape=(2, 3))
    ours, dense = (glm(r, np.ones(2), [2], Logistic()) for r in (rows, rows.toarray()))
    x = points(ours, 1)[0]
    np.testing.assert_allclose(ours.at(x).hessian(0), dense.at(x).hessian(0), atol=1e-12)


@pytest.mark.parametrize("kind, scale", [(np.float32, 1 / 3), (np.int8, 100)])
def test_any_type_of_number_in_sparse_rows_is_the_same_problem(kind, scale):
    rows = (np.array([[1, 0, 1], [0, 1, 1]]) * scale).astype(kind)
    ours, dense = (glm(r, np.ones(2), [2], Logistic()) for r in (scipy.sparse.csr_array(rows), rows))
    x = 1e-3 * points(ours, 1)[0]
    np.testing.assert_allclose(ours.at(x).hessian(0), dense.at(x).hessian(0), rtol=1e-12)


def test_a_remembered_point_survives_a_change_of_the_callers_array():
    problem, x = dense_glm(), np.zeros(7)
    problem.at(x)
    x += 1.0
    np.testing.assert_array_equal(problem.at(np.zeros(7)).gradient, dense_glm().at(np.zeros(7)).gradient)


@pytest.mark.parametrize("k", ["inf", "infd", "nan", "nand", "1e400d", float("nan"), float("inf")])
def test_k_that_is_no_number_is_refused_in_words(k):
    for kind in (TopK, RandK):
        with pytest.raises(ValueError, match="given K = "):
            kind(k).for_dimension(5)


@pytest.mark.parametrize("r", [1.5, 2.0, "1"])
def test_a_rank_that_is_no_whole_number_is_refused_in_words(r):
    with pytest.raises(ValueError, match="rank"):
        RankR(r).for_dimension(5)


@pytest.mark.parametrize("wrong", [{}, {"support": Dense(np.zeros(28))}])
def test_a_greeting_without_a_support_is_refused(wrong):
    with pytest.raises(WireError, match="client 1"):
        Support().from_setup(7, [{"support": Indices(np.array([1]))}, wrong, {"support": Indices(np.array([2]))}])


def test_refusals_name_the_compressor_that_was_chosen():
    with pytest.raises(ValueError, match="rank:1"):
        Support().of(sparse_glm()).check(Rounded(RankR(1), "float32"))


def test_a_support_without_the_diagonal_does_not_drop_the_ridge():
    problem = sparse_glm().with_local_ridge()
    try:
        coordinates = Support().of(problem)
    except ValueError:
        return
    told = coordinates.coefficients(problem.at(np.zeros(7)))
    np.testing.assert_allclose(coordinates.matrix(1, told[1]), problem.at(np.zeros(7)).hessian(1))
