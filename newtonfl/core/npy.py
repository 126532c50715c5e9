"""Arrays in NumPy's file format, from files that may be damaged: as many bytes are asked for as are there."""

from __future__ import annotations

import math
import warnings
from typing import IO

from numpy.lib import format as npy

from newtonfl.core.backend import Array
from newtonfl.core.quoting import excerpt

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npy(stream: IO[bytes], size: int) -> Array:
    """The array in a `stream` that can be sought, of `size` bytes from its beginning to its end.

    It is read to the end, so that a zip archive compares its checksum.

    Raises
    ------
    TypeError
        If it holds Python objects.
    ValueError
        If the header is damaged, or states another size; in short words, without the file's name.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, on files that Python 2 wrote
        try:
            shape, _, dtype = _HEADERS[npy.read_magic(stream)](stream)
        except Exception as error:  # a damaged header makes numpy, its tokenizer and zipfile raise nearly anything
            raise ValueError(excerpt(error) or type(error).__name__) from None
        if dtype.hasobject:
            raise TypeError("it holds Python objects: save numbers, or strings with dtype=str")
        if any(isinstance(length, bool) or length < 0 for length in shape):
            raise ValueError(f"its header states the shape {excerpt(shape, 60)}")
        stated = stream.tell() + math.prod(shape) * dtype.itemsize
        if stated != size:
            raise ValueError(f"its header states {excerpt(stated)} bytes, and there are {size}")
        stream.seek(0)
        try:
            return npy.read_array(stream, allow_pickle=False)
        except Exception as error:  # as above, and what a checksum says at the end
            raise ValueError(excerpt(error) or type(error).__name__) from None
