"""The cases of methods for variational inequalities: preset, settings, box with the library's draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import transcriptions as T
import variational as V
from first_order_setting import ROUNDS, coin, drawn

from newtonfl.compressors import Compressor, Natural, RandK, TopK


def moves(p: float) -> Callable[[int], bool]:
    """When w moves."""
    return coin("anchor coin", p)


def back(compressor: Compressor, scale: float = 1.0) -> Callable[[np.ndarray, int], np.ndarray]:
    """The server's compressor with the library's draws."""
    return lambda X, k: drawn(compressor, "change", scale=scale)(X, None, k)


def whole(X: np.ndarray, k: int) -> np.ndarray:
    return X


def top(X: np.ndarray, k: int) -> np.ndarray:
    return T.top_k(12)(X, None, k)


VARIATIONAL: dict[str, tuple[str, dict[str, Any], Callable[..., list[np.ndarray]]]] = {
    "extragradient": ("extragradient", {}, lambda p, x, g: V.extragradient(p, x, ROUNDS, g)),
    "masha1": (  # p = 1/(1 + 4)
        "masha1", {"compressor": RandK(8)},
        lambda p, x, g: V.masha1(p, x, ROUNDS, g, 0.2, drawn(RandK(8), "change"), whole, moves(0.2)),
    ),
    "masha1, both ways": (
        "masha1", {"compressor": RandK(20), "down": Natural(), "p": 0.6},
        lambda p, x, g: V.masha1(p, x, ROUNDS, g, 0.6, drawn(RandK(20), "change"), back(Natural()), moves(0.6)),
    ),
    "masha2": (  # p = 4/40
        "masha2", {"compressor": TopK(4)},
        lambda p, x, g: V.masha2(p, x, ROUNDS, g, 0.1, T.top_k(4), whole, moves(0.1)),
    ),
    "masha2, both ways": (
        "masha2", {"compressor": TopK(8), "down": TopK(12), "p": 0.5},
        lambda p, x, g: V.masha2(p, x, ROUNDS, g, 0.5, T.top_k(8), top, moves(0.5)),
    ),
    "masha2, both ways, drawn": (  # scaled by 1/(1 + ω): 8/40 and 8/9
        "masha2", {"compressor": RandK(8), "down": Natural(), "p": 0.3},
        lambda p, x, g: V.masha2(
            p, x, ROUNDS, g, 0.3, drawn(RandK(8), "change", scale=1 / 5), back(Natural(), 8 / 9), moves(0.3)
        ),
    ),
}  # fmt: skip
