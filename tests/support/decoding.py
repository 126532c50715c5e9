"""What hostile bytes may do: be refused, or be a set that could have been meant, in little memory."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

from newtonfl.comm.coding import WireError, decode_indices


def read(buffer: bytes, count: int, size: int) -> list[int] | None:
    """The decoded indices, which must be a set that could have been meant, or None where they are refused."""
    try:
        found = decode_indices(memoryview(buffer), count, size)
    except WireError:
        return None
    indices = [int(index) for index in found]
    assert len(indices) == count
    assert all(0 <= index < size for index in indices)
    assert all(a < b for a, b in pairwise(indices))
    return indices


def peak_of(call) -> int:
    """The most bytes that were allocated at once during `call`, whether or not it ends in a WireError."""
    tracemalloc.start()
    try:
        call()
    except WireError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak
