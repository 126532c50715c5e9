"""Which bases there are, and what their tests share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from cases import BASES, DIM, sparse_glm

from newtonfl.bases import TriangleCoordinates
from newtonfl.comm.heads import Kind
from newtonfl.comm.messages import LowRank
from newtonfl.comm.packets import Packet, decode, encode
from newtonfl.compressors import Compressor
from newtonfl.core.symmetric import triangle

FULL = triangle(DIM).size
EACH = pytest.mark.parametrize("name", BASES)
WHOLE = pytest.mark.parametrize("name", ["symmetric", "symmetric-plain", "psd"])
RANKS = [np.linalg.matrix_rank(sparse_glm().client_rows(i)) for i in range(4)]  # client 1 has none
PLAIN = ("symmetric-plain", "psd")  # their coordinates are not isometric


def hessians(problem, x) -> np.ndarray:
    """Every client's dense Hessian, shape (n, d, d)."""
    return np.stack([problem.at(x).hessian(i) for i in range(problem.n_clients)])


def greeted(name: str, problem) -> TriangleCoordinates:
    """The server's coordinates, from greetings that went over the wire."""
    basis, ours = BASES[name], BASES[name].of(problem)
    heard = []
    for i in range(problem.n_clients):
        sent = encode(Packet(Kind.SETUP, 0, i, 0, ours.setup_message(i)))
        packet, _ = decode(memoryview(sent), lambda part, client, before: basis.sizes(problem.dim, part, before[0]))
        heard.append(packet.parts)
    return basis.from_setup(problem.dim, heard)


@dataclass(frozen=True)
class Projected(Compressor):
    """A matrix compressor that draws: X q qᵀ X for a random q."""

    acts_on = "symmetric"

    def contract(self, size):
        raise NotImplementedError

    def compress(self, v, key):
        return LowRank((v @ key.generator().standard_normal(len(v)))[None, :], np.ones(1))
