"""Bytes of many clients, put together and taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from types import ModuleType

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of
from newtonfl.kernels import compiled

_LONG = 1000  # bytes a client, on the average


def interleave(pieces: Sequence[tuple[Array, Array]]) -> Array:
    """One buffer with the first client's part of every piece, then the second's, and so on.

    Parameters
    ----------
    pieces : sequence of (numpy.ndarray of uint8, numpy.ndarray of int64)
        All clients' parts end to end, and how long each of the n is.

    Returns
    -------
    numpy.ndarray of uint8
    """
    before = [np.zeros_like(pieces[0][1]), *np.cumsum([lengths for _, lengths in pieces], axis=0)]
    first = offsets_of(before[-1])[:-1]
    buffer = np.empty(int(before[-1].sum()), np.uint8)
    for (whole, lengths), ahead in zip(pieces, before[:-1], strict=True):
        forms = _forms_for(lengths)
        if forms is not None:
            forms.put_apart(np.ascontiguousarray(whole), np.ascontiguousarray(lengths), first + ahead, buffer)
        else:
            places = zip((first + ahead).tolist(), pairwise(offsets_of(lengths).tolist()), strict=True)
            for at, (a, b) in places:
                buffer[at : at + b - a] = whole[a:b]
    return buffer


def gather(buffer: Array, first: Array, lengths: Array) -> Array:
    """The n parts of a buffer that begin at `first`, end to end.

    Parameters
    ----------
    buffer : numpy.ndarray of uint8
    first, lengths : numpy.ndarray of int64, shape (n,)
        Within the buffer.

    Returns
    -------
    numpy.ndarray of uint8
        A copy.
    """
    if (forms := _forms_for(lengths)) is not None:
        together = np.empty(int(lengths.sum()), np.uint8)
        forms.put_together(buffer, np.ascontiguousarray(first), np.ascontiguousarray(lengths), together)
        return together
    places = zip(first.tolist(), (first + lengths).tolist(), strict=True)
    return np.concatenate([np.zeros(0, np.uint8), *(buffer[a:b] for a, b in places)])


def _forms_for(lengths: Array) -> ModuleType | None:
    """numba's forms for short parts; long ones NumPy copies faster, one by one."""
    return compiled.forms() if int(lengths.sum()) < _LONG * len(lengths) else None
