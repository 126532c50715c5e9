"""Whole numbers in as few bytes as they need, against the definition of LEB128, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newtonfl.core.ragged import offsets_of
from newtonfl.kernels import varints

pytestmark = pytest.mark.usefixtures("form")


@pytest.fixture(scope="module", autouse=True, params=["one by one", "side by side"])
def many(request):
    """Few rows are read one by one, many side by side."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "side by side":
            patch.setattr(varints, "_FEW", 0)
        yield


NUMBERS = st.integers(0, 2**63 - 1) | st.sampled_from([0, 127, 128, 2**14 - 1, 2**14, 2**56, 2**62])


def spelt(number: int) -> bytes:
    """Seven bits a byte, low ones first; the high bit where more follow."""
    found = []
    while number > 127:
        found.append(number % 128 + 128)
        number //= 128
    return bytes([*found, number])


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 4).flatmap(lambda k: st.lists(st.lists(NUMBERS, min_size=k, max_size=k), max_size=5)))
@example([])
@example([[]])
def test_rows_are_written_as_defined_and_come_back(rows):
    numbers = np.array(rows, np.int64).reshape(len(rows), len(rows[0]) if rows else 3)
    code, lengths = varints.write(numbers)
    expected = [b"".join(map(spelt, row)) for row in rows]
    assert code.tobytes() == b"".join(expected) and lengths.tolist() == list(map(len, expected))
    assert varints.widths(numbers).sum(axis=1).tolist() == lengths.tolist()
    edges = offsets_of(lengths)
    found, end = varints.read(np.append(code, np.uint8(5)), edges[:-1], edges[1:], numbers.shape[1])
    assert np.array_equal(found, numbers) and np.array_equal(end, edges[1:])


@pytest.mark.parametrize(
    "code",
    [
        b"", b"\x80", b"\x80\x00", b"\xff\x80\x00", b"\x80" * 9 + b"\x01", b"\xff" * 9, b"\xff" * 20, b"\x01",
        b"\x01\x80", b"\x01\x83\x00",
    ],
)  # fmt: skip
def test_what_is_no_such_numbers_is_refused(code):
    """Too few, too long, or not in the fewest bytes; also beside rows that can be, and where the buffer goes on."""
    whole = np.frombuffer(b"\x01\x02" + code + b"\x07\x08", np.uint8)
    first, last = np.array([0, 2]), np.array([2, 2 + len(code)])
    with pytest.raises(varints.BadNumbers, match="not 2 whole numbers"):
        varints.read(whole, first, last, 2)


def test_the_largest_number_comes_back():
    whole = np.frombuffer(spelt(2**63 - 1), np.uint8)
    assert len(whole) == varints.MOST
    assert varints.read(whole, np.array([0]), np.array([9]), 1)[0].tolist() == [[2**63 - 1]]
