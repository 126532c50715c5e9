"""Bytes of many clients, put together and taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.ragged import offsets_of
from newtonfl.kernels import compiled


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
    if (forms := compiled.forms()) is not None:
        before = [np.zeros_like(pieces[0][1]), *np.cumsum([lengths for _, lengths in pieces], axis=0)]
        first = offsets_of(before[-1])
        buffer = np.empty(int(first[-1]), np.uint8)
        for (whole, lengths), ahead in zip(pieces, before[:-1], strict=True):
            forms.put_apart(np.ascontiguousarray(whole), np.ascontiguousarray(lengths), first[:-1] + ahead, buffer)
        return buffer
    cuts = [offsets_of(lengths).tolist() for _, lengths in pieces]
    parts = [[whole[a:b] for a, b in pairwise(cut)] for (whole, _), cut in zip(pieces, cuts, strict=True)]
    return np.concatenate([np.zeros(0, np.uint8), *(part for row in zip(*parts, strict=True) for part in row)])


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
    if (forms := compiled.forms()) is not None:
        together = np.empty(int(lengths.sum()), np.uint8)
        forms.put_together(buffer, np.ascontiguousarray(first), np.ascontiguousarray(lengths), together)
        return together
    places = zip(first.tolist(), (first + lengths).tolist(), strict=True)
    return np.concatenate([np.zeros(0, np.uint8), *(buffer[a:b] for a, b in places)])
