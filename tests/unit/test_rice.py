"""Rice's code of many lists: each has the bytes that it has alone, and what cannot be meant is refused, and named."""

from __future__ import annotations

import numpy as np
import pytest
from decoding import peak_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newtonfl.core.ragged import offsets_of
from newtonfl.kernels import rice

pytestmark = pytest.mark.usefixtures("form")


def to_bytes(bits: str) -> bytes:
    """Bits in their order, the first the lowest of the first byte."""
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))


def coded(positions: list[int]) -> bytes:
    """One list's code, a bit at a time."""
    gaps = [b - a - 1 for a, b in zip([-1, *positions], positions, strict=False)]
    guess = max((sum(gaps) // max(len(gaps), 1)).bit_length() - 1, 0)
    widths = range(max(guess - 1, 0), guess + 2)
    b = min(widths, key=lambda width: len(gaps) * width + sum(gap >> width for gap in gaps))
    low = "".join(f"{gap & (2**b - 1):0{b}b}"[::-1] for gap in gaps) if b else ""
    return bytes([b]) + to_bytes(low) + to_bytes("".join("0" * (gap >> b) + "1" for gap in gaps))


def read(code: bytes, count: int, size: int) -> list[int] | None:
    """One list's code, a bit at a time; None where it cannot be one."""
    if count > size or not code or code[0] > size.bit_length():
        return None
    b, bits = code[0], "".join(f"{byte:08b}"[::-1] for byte in code[1:])
    cut = 8 * -(-count * b // 8)
    low, unary = bits[:cut], bits[cut:]
    if len(bits) < cut or unary.count("1") != count or len(unary) != 8 * -(-(unary.rfind("1") + 1) // 8):
        return None
    positions, at = [], -1
    for i, zeros in enumerate(unary.split("1")[:count]):
        at += (len(zeros) << b) + int("0" + low[i * b : i * b + b][::-1], 2) + 1
        positions.append(at)
    return positions if not positions or positions[-1] < size else None


def together(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    counts = np.array([len(each) for each in lists], np.int64)
    return np.array([position for each in lists for position in each], np.int64), counts


def laid(codes: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes in one buffer with other bytes between them: the buffer, where they begin and their lengths."""
    lengths = np.array([len(code) for code in codes], np.int64)
    begins = offsets_of(lengths + 3)[:-1] + 3
    return np.frombuffer(b"".join(b"\xff\x00\xff" + code for code in codes), np.uint8), begins, lengths


@st.composite
def some_lists(draw):
    """(sizes, lists), of which some are empty, some full, and some lie in up to 2⁶⁰ positions."""
    sizes = draw(st.lists(st.integers(0, 40) | st.integers(0, 2**60), min_size=1, max_size=8))
    sets = [draw(st.sets(st.integers(0, size - 1), max_size=40)) if size else set() for size in sizes]
    return sizes, [sorted(each) for each in sets]


@settings(deadline=None, derandomize=True)
@given(some_lists())
@example(([0], [[]]))
@example(([5, 5, 0, 5], [[], [0, 1, 2, 3, 4], [], [4]]))
@example(([2**62, 5, 2**62], [[3**37, 2**60 - 1, 2**60, 5**26, 2**61 + 1, 2**62 - 1], [], [2**62 - 1]]))
@example(([2**60, 1, 2**60], [[2**60 - 1], [0], [0, 2**59]]))
def test_lists_have_the_bytes_that_each_has_alone(case):
    """And come back from among other bytes."""
    sizes, lists = case
    code, lengths = rice.encode(*together(lists))
    alone = [coded(each) for each in lists]
    assert code.tobytes() == b"".join(alone) and lengths.tolist() == [len(each) for each in alone]
    assert code.dtype == np.uint8 and lengths.dtype == np.int64
    positions, counts = together(lists)
    found = rice.decode(*laid(alone), counts, np.array(sizes))
    assert found.tolist() == positions.tolist() and found.dtype == np.int64


@pytest.mark.parametrize("mean", [0, 1, 20, 700, 3000])
def test_many_lists(mean):
    """More than are worked on together, short and long, dense and sparse."""
    draw = np.random.default_rng(mean)
    many = 60_000 // max(mean, 6)
    counts = draw.integers(0, 2 * mean + 1, many)
    gaps = draw.geometric(np.repeat(draw.choice([0.9, 0.3, 0.01], many), counts))
    positions = np.concatenate([np.cumsum(each) - 1 for each in np.split(gaps, np.cumsum(counts)[:-1])])
    cuts = np.cumsum(counts)[:-1]
    code, lengths = rice.encode(positions, counts)
    alone = [coded(each.tolist()) for each in np.split(positions, cuts)]
    assert code.tobytes() == b"".join(alone) and lengths.tolist() == [len(each) for each in alone]
    sizes = np.array([int(each.max(initial=-1)) + 1 for each in np.split(positions, cuts)])
    assert np.array_equal(rice.decode(*laid(alone), counts, sizes), positions)
    for wrong in (0, many // 3, many - 1):  # one size too small is found wherever it is
        if counts[wrong]:
            less = sizes - (np.arange(many) == wrong)
            with pytest.raises(rice.BadCode, match=f"{less[wrong]}") as refused:
                rice.decode(*laid(alone), counts, less)
            assert refused.value.which == wrong


@pytest.mark.parametrize("wrong", [[-1], [3, 3], [5, 2, 9]], ids=str)
@pytest.mark.parametrize("others", [[], [[1, 2]], [list(range(4000))]], ids=["alone", "short", "long"])
def test_lists_that_do_not_increase_are_refused(wrong, others):
    with pytest.raises(ValueError, match="must increase from 0 on"):
        rice.encode(*together([*others, wrong]))


def test_no_lists():
    code, lengths = rice.encode(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert len(code) == len(lengths) == 0
    none = np.zeros(0, np.int64)
    assert len(rice.decode(np.zeros(0, np.uint8), none, none, none, none)) == 0


def test_bytes_that_never_change():
    """Widths from 0 on, low bits first, then ones after zeros; worked out by hand."""
    golden = {
        "00": [],
        "0001": [0],
        "0002": [1],
        "001f": [0, 1, 2, 3, 4],
        "0015": [0, 2, 4],
        "010311": [1, 9],
    }
    for code, positions in golden.items():
        assert rice.encode(*together([positions]))[0].tobytes().hex() == code
    assert rice.encode(*together(list(golden.values())))[0].tobytes().hex() == "".join(golden)


RIGHT = [[0, 3, 4, 90], list(range(20)), [2**33 - 1], [], [7, 8, 30]]
SIZES = [100, 20, 2**33, 5, 31]


def refused(codes: list[bytes], counts, sizes) -> tuple[int, str] | list[int]:
    """Which code is refused and why, or what is read."""
    try:
        return rice.decode(*laid(codes), np.array(counts, np.int64), np.array(sizes, np.int64)).tolist()
    except rice.BadCode as wrong:
        return wrong.which, str(wrong)


@pytest.mark.parametrize("which", range(5))
def test_every_change_is_refused_or_another_list(which):
    """Each code among others: cut off, longer, with any byte changed, with another count or a smaller size."""
    codes, counts = [coded(each) for each in RIGHT], [len(each) for each in RIGHT]
    own = codes[which]
    changes = [own[:length] for length in range(len(own))] + [own + tail for tail in (b"\0", b"\1", b"\0" * 8)]
    changes += [own[:at] + bytes([byte]) + own[at + 1 :] for at in range(len(own)) for byte in range(0, 256, 5)]
    cases = [(change, counts[which], SIZES[which]) for change in changes]
    cases += [(own, count, SIZES[which]) for count in (0, 1, 5, SIZES[which] + 1, 2**32 - 1, 2**60)]
    cases += [(own, counts[which], size) for size in (0, 1, SIZES[which] - 1)]
    for code, count, size in cases:
        many = [*codes[:which], code, *codes[which + 1 :]]
        found = refused(
            many, [*counts[:which], count, *counts[which + 1 :]], [*SIZES[:which], size, *SIZES[which + 1 :]]
        )
        alone = read(code, count, size)
        if alone is None:
            assert isinstance(found, tuple) and found == (which, refused([code], [count], [size])[1])
        else:
            assert found == [p for each in (*RIGHT[:which], alone, *RIGHT[which + 1 :]) for p in each]


def test_the_first_wrong_code_is_named():
    """Whatever is wrong with later ones, and whichever check finds those first."""
    codes, counts = [coded(each) for each in RIGHT], [len(each) for each in RIGHT]
    sizes = [*SIZES[:4], 30]
    assert refused(codes, counts, sizes) == (4, "an index at or above 30")
    codes[2] = b""
    assert refused(codes, counts, sizes) == (2, f"1 indices below {2**33} in 0 bytes")
    codes[0] += b"\0"
    assert refused(codes, counts, sizes) == (0, f"{len(codes[0])} bytes for 4 indices that end before")
    counts[0] = 2
    assert refused(codes, counts, sizes)[0] == 0
    assert refused([b"\x03\xff"] * 2, [1, 1], [9, 9]) == (0, "1 indices do not fit into 2 bytes")
    assert refused([b"\0\x03"] * 2, [1, 1], [9, 9]) == (0, "2 indices where 1 were announced")


@pytest.mark.parametrize("b", [57, 61, 62, 63, 64, 255])
def test_gaps_at_the_end_of_int64_are_refused(b):
    """No wrapped sum passes for a position, alone or between others."""
    for low, high in ((0, 1), (0, 2), (0, 4), (1, 0), (1, 1), (1, 2)):
        lows = (low * (2**b - 1)).to_bytes(-(-b // 8), "little")
        code = bytes([b]) + lows + bytes([1 << high])
        assert isinstance(refused([coded([3]), code], [1, 1], [9, 2**62]), tuple) == (read(code, 1, 2**62) is None)
    three = bytes([62]) + (2**186 - 1).to_bytes(24, "little") + b"\7"
    assert refused([coded([3]), three, coded([1])], [1, 3, 1], [9, 2**62, 9]) == (1, f"an index at or above {2**62}")


def test_reading_allocates_by_the_codes_and_not_by_the_counts():
    """Of codes that announce a lot and hold little, alone and together."""
    for filler in (b"\0", b"\xff", b"\x55"):
        for parameter in (0, 1, 33, 255):
            for many in (1, 3):
                buffer, begins, lengths = laid([bytes([parameter]) + filler * 5000] * many)
                for count in (5000, 8 * 5000 - 1, 8 * 5000 + 1, 2**32 - 1, 2**60):
                    counts, sizes = np.full(many, count), np.full(many, 2**61)

                    def call(of=(buffer, begins, lengths, counts, sizes)):
                        with pytest.raises(rice.BadCode):
                            rice.decode(*of)

                    assert peak_of(call) <= 10 * len(buffer) + 2**15
