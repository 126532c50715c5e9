"""Adaptive Top-K: as many entries as the target's movement asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from newtonfl.bases import Coordinates
from newtonfl.comm.messages import Message
from newtonfl.compressors import Compressor, Rounded, TopK
from newtonfl.mechanisms.mechanism import Encoder, Mechanism, ThreePoints


@dataclass(frozen=True)
class AdaptiveTopK(Mechanism):
    """h + Top-K'(x - h) with K' = min{⌈D ‖y - h‖²/‖x - h‖²⌉, K} of D coordinates (Newton-3PC, arXiv 2206.03588).

    (A, B) = (K/(2D), max{(1 - K/D)(2D/K - 1), 3}). The paper has D = d² entries of a matrix; here they are the basis's
    coordinates, which must be isometric for the constants to hold. Where x = h nothing is sent.

    Parameters
    ----------
    compressor : TopK
        The most entries, K.

    Raises
    ------
    ValueError
        If `compressor` is another one.

    Examples
    --------
    >>> import newtonfl as nf
    >>> nf.AdaptiveTopK(nf.TopK(5)).constants(10)
    (0.25, 3.0)
    """

    compressor: Compressor
    needs_previous: ClassVar[bool] = True
    name = "adaptive-topk"

    def __post_init__(self) -> None:
        inner = self.compressor.compressor if isinstance(self.compressor, Rounded) else self.compressor
        if not isinstance(inner, TopK):
            raise ValueError(f"adaptive-topk: given the compressor {self.compressor!r}, must be a TopK")

    def constants(self, size: int) -> tuple[float, float]:
        share = min(1.0, self._most(size) / size)
        return share / 2.0, max((1.0 - share) * (2.0 / share - 1.0), 3.0)

    def _most(self, size: int) -> int:
        inner = self.compressor.compressor if isinstance(self.compressor, Rounded) else self.compressor
        assert isinstance(inner, TopK)
        return inner.kept(size)

    def _with(self, k: int) -> Compressor:
        if isinstance(self.compressor, Rounded):
            return replace(self.compressor, compressor=TopK(k))
        return TopK(k)

    def messages(self, points: ThreePoints, encoder: Encoder, coin: bool) -> Sequence[Message]:
        space: Coordinates = encoder.space
        behind, error = encoder.squares(points.previous - points.estimate), encoder.squares(points.error)
        wishes = np.ceil(space.sizes * np.divide(behind, error, out=np.zeros_like(behind), where=error > 0))
        most = [self._most(int(size)) for size in space.sizes]
        return [
            # Before a client has sent anything y = x, and it sends as much as it may.
            self._with(int(min(wish, limit))).compress(vector, encoder.key.of(client))
            for wish, limit, vector, client in zip(wishes, most, points.error, encoder.clients, strict=True)
        ]
