"""Bits: index sets come back near their entropy, numbers at three precisions, and nothing corrupt gets through."""

from __future__ import annotations

import numpy as np
import pytest
from decoding import peak_of, read
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import gammaln

from newtonfl.comm.coding import (
    PRECISIONS,
    WireError,
    bytes_per,
    decode_indices,
    decode_values,
    encode_indices,
    encode_many_values,
    encode_values,
    rounded,
)

SETTINGS = settings(deadline=None, derandomize=True)
NORMAL = st.floats(2.0**-1022, 2.0**1022) | st.floats(-(2.0**1022), -(2.0**-1022))  # float64's normal numbers


@st.composite
def index_sets(draw):
    """(size, indices): small and dense, or sparse in up to 2⁴⁰ positions."""
    size = draw(st.integers(0, 60) | st.integers(0, 2**40))
    chosen = draw(st.sets(st.integers(0, size - 1), max_size=60)) if size else set()
    return size, np.array(sorted(chosen), dtype=np.int64)


# --- indices


@SETTINGS
@given(index_sets())
@example((0, np.zeros(0, np.int64)))
@example((1, np.array([0])))
@example((2**40, np.array([2**40 - 1])))
def test_any_increasing_set_comes_back(case):
    """Decoding inverts encoding."""
    size, indices = case
    assert read(encode_indices(indices), len(indices), size) == indices.tolist()


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 1000, 45150])
def test_empty_full_and_single_sets_come_back(size):
    """The extreme sets; a full one costs a bit an index and the parameter's byte, its entropy being 0."""
    for indices in ([], range(size), [0], [size - 1], [size // 2]):
        coded = encode_indices(np.array(indices, dtype=np.int64))
        assert read(coded, len(indices), size) == list(indices)
    assert len(encode_indices(np.arange(size))) == 1 + -(-size // 8)


@pytest.mark.parametrize("size", [45_150, 200_000, 1_000_000])
def test_indices_cost_at_most_five_percent_more_than_their_entropy(size):
    """Uniform random sets of k in N positions take at most 1.05·log2 C(N, k) bits, all bytes counted."""
    draw = np.random.default_rng(size)
    for k in np.unique(np.geomspace(300, size // 4, 25).astype(int)):
        indices = np.sort(draw.choice(size, k, replace=False))
        entropy = (gammaln(size + 1) - gammaln(k + 1) - gammaln(size - k + 1)) / np.log(2)
        assert 8 * len(encode_indices(indices)) <= 1.05 * entropy, (size, k)


CORRUPTED = [
    (np.array([0, 3, 4, 90]), 100),
    (np.arange(20), 20),
    (np.array([5]), 2**33),
    (np.sort(np.random.default_rng(1).choice(45_150, 40, replace=False)), 45_150),
]


@pytest.mark.parametrize("indices, size", CORRUPTED)
def test_cut_and_extended_indices_are_refused(indices, size):
    """The code's length follows from its count and its last index, so that no other length is right."""
    coded, count = encode_indices(indices), len(indices)
    for length in range(len(coded)):
        assert read(coded[:length], count, size) is None
    for tail in (b"\0", b"\1", b"\xff", b"\0" * 8):
        assert read(coded + tail, count, size) is None


@pytest.mark.parametrize("indices, size", CORRUPTED)
def test_flipped_indices_and_wrong_counts_are_refused_or_a_set_below_size(indices, size):
    """Whatever is read is strictly increasing, below size and as long as announced."""
    coded, count = encode_indices(indices), len(indices)
    refused = 0
    for at in range(len(coded)):
        for byte in range(256):
            changed = coded[:at] + bytes([byte]) + coded[at + 1 :]
            refused += read(changed, count, size) is None
            assert changed != coded or read(changed, count, size) == indices.tolist()
    assert refused > 0
    for wrong in {0, 1, count - 1, count + 1, 2 * count, size, size + 1, 2**32 - 1} - {count}:
        read(coded, wrong, size)
    assert read(coded, size + 1, size) is None


@SETTINGS
@given(st.integers(0, 255), st.binary(max_size=80), st.integers(0, 12), st.integers(0, 60) | st.integers(0, 2**40))
def test_any_bytes_are_refused_or_a_set_below_size(parameter, rest, count, size):
    """Bytes that nobody encoded; the last of them made to hold a one, as a code's last byte does."""
    for buffer in (rest, bytes([parameter]) + rest, bytes([parameter % 8]) + rest + b"\x80"):
        read(buffer, count, size)


@pytest.mark.parametrize("b", [57, 61, 62, 63, 64, 65, 127, 255])
def test_gaps_at_the_end_of_int64_are_refused(b):
    """One index, whose low bits are none or all and whose high part is small: no wrapped sum passes for an index."""
    for low, high in ((0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1), (1, 2)):
        lows = (low * (2**b - 1)).to_bytes(-(-b // 8), "little")
        assert read(bytes([b]) + lows + bytes([1 << high]), 1, 2**33) is None, (low, high)


def test_sums_of_gaps_that_wrap_are_refused():
    """Three steps of 2⁶², which come back to -2⁶² in int64, below the size."""
    lows = (2**186 - 1).to_bytes(24, "little")
    assert read(bytes([62]) + lows + b"\7", 3, 2**62) is None


def test_an_index_at_the_size_is_refused():
    """The greatest index is compared with the size itself."""
    for size in (10, 1000, 2**33):
        coded = encode_indices(np.array([3, size - 1]))
        assert read(coded, 2, size) == [3, size - 1]
        assert read(coded, 2, size - 1) is None


@pytest.mark.parametrize("length", [0, 1, 5, 1000, 100_000])
def test_reading_indices_allocates_by_the_buffer_and_not_by_the_count(length):
    """A bit of the code is a byte where it is unpacked, and an index of at least one bit stands in 8 bytes.

    So a refused buffer costs at most 8 + 64 times its length, and one that is read a few arrays of 64 times it.
    """
    for filler in (b"\0", b"\1", b"\xff", b"\x55"):
        for parameter in (0, 1, 7, 33, 62, 63, 255):
            buffer = bytes([parameter]) + filler * length
            for count in (0, 1, 8 * length, length, 2**32 - 1, 2**60):
                peak = peak_of(lambda b=buffer, c=count: decode_indices(memoryview(b), c, 2**61))
                times = 72 if read(buffer, count, 2**61) is None else 6 * 64
                assert peak <= times * len(buffer) + 2**14, (filler, parameter, count)


# --- numbers


@SETTINGS
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_float64_numbers_come_back_in_every_bit(numbers):
    """Signs of zero and subnormal numbers included."""
    values = np.array(numbers, dtype=np.float64)
    assert rounded(values, "float64").tobytes() == values.tobytes()
    coded = encode_values(values, "float64")
    assert len(coded) == bytes_per(len(values), "float64") == 8 * len(values)
    assert decode_values(memoryview(coded), len(values), "float64").tobytes() == values.tobytes()


@SETTINGS
@given(st.lists(st.floats(-(2.0**127), 2.0**127), max_size=20))
def test_float32_numbers_come_back_as_the_nearest(numbers):
    """Rounded as IEEE 754 rounds: within half an ulp, 2⁻²⁴ relative, and half a subnormal's step below."""
    values = np.array(numbers, dtype=np.float64)
    arriving = rounded(values, "float32")
    assert np.all(np.abs(arriving - values) <= np.maximum(np.abs(values) * 2.0**-24, 2.0**-150))
    coded = encode_values(arriving, "float32")
    assert len(coded) == bytes_per(len(values), "float32") == 4 * len(values)
    assert decode_values(memoryview(coded), len(values), "float32").tobytes() == arriving.tobytes()


@SETTINGS
@given(st.lists(NORMAL | st.just(0.0), max_size=20))
@example([1.5, -1.5, 3.0, np.nextafter(1.5, 0), np.nextafter(1.5, 2), 2.0**1022, -(2.0**-1022)])
def test_natural_numbers_come_back_as_the_nearest_power_of_two(numbers):
    """Beznosikov et al., arXiv 2002.12410: no power of two is nearer, so at most a third of the number is lost."""
    values = np.array(numbers, dtype=np.float64)
    arriving = rounded(values, "natural")
    for value, power in zip(values, arriving, strict=True):
        if value == 0:
            assert power == 0
            continue
        assert abs(np.frexp(power)[0]) == 0.5 and np.sign(power) == np.sign(value)
        off = abs(power - value)
        assert off <= abs(2 * power - value) and off <= abs(power / 2 - value) and 3 * off <= abs(value)
    coded = encode_values(arriving, "natural")
    assert len(coded) == bytes_per(len(values), "natural") == -(-12 * len(values) // 8)
    assert decode_values(memoryview(coded), len(values), "natural").tobytes() == arriving.tobytes()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounding_twice_is_rounding_once(precision):
    """What arrived is representable."""
    values = np.random.default_rng(0).standard_normal(100) * np.geomspace(1e-30, 1e30, 100)
    once = rounded(values, precision)
    assert rounded(once, precision).tobytes() == once.tobytes()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_numbers_that_are_not_finite_are_refused(precision, number):
    """Wherever in the vector they stand."""
    for at in range(3):
        values = np.ones(3)
        values[at] = number
        with pytest.raises(WireError, match="not finite"):
            decode_values(memoryview(encode_values(values, precision)), 3, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_numbers_of_another_length_are_refused_without_allocating(precision):
    """The announced count is compared with the buffer before anything is made."""
    coded = encode_values(rounded(np.arange(1.0, 6.0), precision), precision)
    for buffer, count in ((coded[:-1], 5), (coded + b"\0", 5), (coded, 7), (coded, 3), (coded, 0)):
        with pytest.raises(WireError, match=f"{len(buffer)} bytes where {count} numbers take"):
            decode_values(memoryview(buffer), count, precision)
    assert peak_of(lambda: decode_values(memoryview(coded), 2**60, precision)) < 2**14


@pytest.mark.parametrize("precision", PRECISIONS)
def test_many_clients_numbers_are_coded_as_each_ones(precision):
    """Each client's last byte is filled up, also where 12 bits a number leave half a one."""
    counts = np.array([1, 3, 2, 0, 5])
    values = rounded(np.random.default_rng(0).standard_normal(11), precision)
    coded, lengths = encode_many_values(values, counts, precision)
    alone = [encode_values(mine, precision) for mine in np.split(values, np.cumsum(counts)[:-1])]
    assert coded.tobytes() == b"".join(alone) and lengths.tolist() == list(map(len, alone))


def test_another_precision_is_refused_in_words():
    with pytest.raises(ValueError, match="precision: given 'float16', allowed are float64, float32, natural"):
        rounded(np.ones(1), "float16")
