"""Envelopes: named arrays and JSON values as bytes, for what is not on the ledger (rows, calls, diagnostics)."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from newtonfl.comm.coding import WireError
from newtonfl.core.backend import Array

_KINDS = ("<f8", "<i8", "<i4", "|u1", "|b1")  # the numbers that an envelope may hold


def pack(arrays: Mapping[str, Array], **values: Any) -> bytes:
    """Named host arrays and JSON `values` as bytes."""
    host = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    body: list[Any] = []
    for array in host.values():
        body += [array.reshape(-1).view(np.uint8), b"\0" * (-array.nbytes % 8)]  # numbers stand aligned
    shapes = {name: (array.dtype.str, array.shape) for name, array in host.items()}
    head = json.dumps({"arrays": shapes, "values": values}).encode()
    head += b" " * (-(len(head) + 8) % 8)
    return b"".join([struct.pack("<Q", len(head)), head, *body])


def unpack(buffer: bytes | memoryview) -> tuple[dict[str, Array], dict[str, Any]]:
    """What :func:`pack` put together.

    Raises
    ------
    WireError
        If the buffer's length is not what its head announces.
    """
    view = memoryview(buffer)
    try:
        at = 8 + struct.unpack("<Q", view[:8])[0]
        head = json.loads(bytes(view[8:at]))
        arrays = {}
        for name, (kind, shape) in head["arrays"].items():
            if kind not in _KINDS:
                raise WireError(f"numbers of kind {kind!r}")
            dtype = np.dtype(kind)
            size = int(np.prod(shape)) * dtype.itemsize
            arrays[name] = np.frombuffer(view[at : at + size], dtype).reshape(shape)
            at += size + -size % 8
        values = dict(head["values"])
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError, struct.error) as error:
        raise WireError(f"an envelope that cannot be read: {error}") from None
    if at != len(view):
        raise WireError(f"an envelope of {len(view)} bytes announces {at}")
    return arrays, values
