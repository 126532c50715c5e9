"""Vectors and matrices on which compressors are tested, and what arrives of them."""

from __future__ import annotations

import math

import numpy as np

from newtonfl.comm.messages import MatrixMessage, Message
from newtonfl.compressors import Compressor
from newtonfl.core.random import Key

SIZE, DIM = 24, 6
KEY = Key(0, 0, 0, "/test")
ROUNDING = 1e-14  # relative error of sums of a few squares


def arrived(message: Message, like: np.ndarray) -> np.ndarray:
    """The vector or matrix that a message tells of."""
    if isinstance(message, MatrixMessage):
        return message.matrix()
    indices, values = message.coordinates()
    whole = np.zeros(like.shape)
    whole[slice(None) if indices is None else indices] = values
    return whole


def lost(compressor: Compressor, v: np.ndarray, key: Key = KEY) -> float:
    """‖C(v) - v‖² / ‖v‖²."""
    off = arrived(compressor.compress(v, key), v) - v
    return math.fsum((off * off).ravel()) / math.fsum((v * v).ravel())


def orthogonal(dim: int = DIM, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0]


def symmetric(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """A symmetric matrix with the given eigenvalues."""
    q = orthogonal(len(values), seed)
    whole = (q * values) @ q.T
    return (whole + whole.T) / 2


def vectors() -> list[np.ndarray]:
    """Random vectors, and those at which Top-K and the roundings lose the most."""
    draw = np.random.default_rng(0)
    signs = draw.choice([-1.0, 1.0], SIZE)
    return [
        *draw.standard_normal((20, SIZE)),
        *draw.standard_cauchy((5, SIZE)),
        signs,  # flat: every entry carries as much as any other
        1.5 * signs,  # midway between two powers of two
        signs * (1 + 2.0**-24),  # midway between two numbers of float32
        signs * np.nextafter(1.5, 2),
        np.eye(SIZE)[3],
        1e-150 * signs,
        2.0 ** -np.arange(SIZE) * signs,
    ]


def matrices() -> list[np.ndarray]:
    """Random symmetric matrices, and those whose eigenvalues carry all the same."""
    draw = np.random.default_rng(1)
    signs = np.array([1.0, -1.0, 1.0, -1.0, -1.0, 1.0])
    return [
        *(symmetric(draw.standard_normal(DIM), seed) for seed in range(10)),
        np.eye(DIM),
        np.diag(signs),
        symmetric(signs, 5),
        symmetric(1.5 * signs, 6),
        symmetric(np.array([3.0, 0, 0, 0, 0, 0])),
        np.ones((DIM, DIM)),
    ]


def inputs(compressor: Compressor) -> tuple[list[np.ndarray], int]:
    """What a compressor is tried on, and how many coordinates that has."""
    return (vectors(), SIZE) if compressor.acts_on == "vector" else (matrices(), DIM * (DIM + 1) // 2)
