"""Quantiser: every number becomes one of a few levels."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from newtonfl.comm.messages import Levels
from newtonfl.compressors.compressor import Compressor, Unbiased
from newtonfl.core.backend import Array
from newtonfl.core.random import Key


class Quantiser(Compressor):
    """An unbiased compressor whose message is :class:`Levels`, so that others can be followed by it.

    Attributes
    ----------
    sends_norm : bool
        Its levels are shares of a norm, and the norm is sent beside them.
    """

    sends_norm: ClassVar[bool] = True

    @abstractmethod
    def contract(self, size: int) -> Unbiased: ...

    @abstractmethod
    def quantise(self, rows: Array, key: Key) -> Levels:
        """Each row quantised by itself, with independent draws.

        Parameters
        ----------
        rows : numpy.ndarray of float64, shape (m, size)
            Vectors of one length.
        key : Key
            Where the draws come from.

        Returns
        -------
        Levels
            The m·size numbers, with a scale for each row.
        """

    @abstractmethod
    def bits(self, size: int) -> int:
        """The papers' count.

        Parameters
        ----------
        size : int
            How many numbers there are.

        Returns
        -------
        int
            Bits.
        """

    def compress(self, v: Array, key: Key) -> Levels:
        return self.quantise(v[None], key)


def norms(rows: Array) -> tuple[Array, Array]:
    """Each row's 2-norm, shape (m,), and `rows` divided by it; neither overflows or vanishes on the way.

    A row of zeros stays one. A row that is not finite has a norm that is not, and zeros: its receiver refuses it.
    """
    peaks = np.abs(rows).max(axis=1, initial=0.0)
    usable = np.isfinite(peaks) & (peaks > 0)
    shares = np.where(usable[:, None], rows, 0.0) / np.where(usable, peaks, 1.0)[:, None]
    lengths = np.array([np.sqrt(np.sum(share * share)) for share in shares])
    with np.errstate(over="ignore"):  # a norm that float64 has no number for is refused like any other
        scales = peaks * np.where(usable, lengths, 1.0)
    return scales, shares / np.where(usable, lengths, 1.0)[:, None]
