"""What the first-order tests share: syn40, theory's constants from its rows, and the library's own draws."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import transcriptions as T
from cases import dense_glm
from played import SEED
from reference_data import logistic

from newtonfl.compressors import Compressor
from newtonfl.core.random import SERVER, Key
from newtonfl.methods import Method
from newtonfl.objectives.glm import GLM
from newtonfl.registry import METHODS
from newtonfl.solver.result import Result
from newtonfl.solver.solve import solve

ROUNDS = 30
N, D, M = 20, 40, 50
GAMMA = 1.0  # some 1/(4L): thirty rounds get somewhere
RIDGE = 1e-3


# ---- the library's own draws, for the transcriptions -----------------------------------------------------------------
# What a transcription does after the step of round k, DORE's model does at the beginning of round k + 1: `later`.


def coin(name: str, p: float) -> Callable[[int], bool]:
    """The server's coin of a round: "gradient coin", "model/coin"."""
    return lambda k: bool(Key(SEED, k, SERVER).to(name).generator().random() < p)


def sample(tau: int) -> Callable[[int], Any]:
    """Who takes part."""
    return lambda k: np.sort(Key(SEED, k, SERVER).to("participation").generator().choice(N, tau, replace=False))


def drawn(
    compressor: Compressor, purpose: str = "gradient", later: int = 0, scale: float = 1.0
) -> Callable[..., np.ndarray]:
    """A compressor of the library with its own keys, times `scale`."""

    def compress(X: np.ndarray, i: int | None, k: int) -> np.ndarray:
        key = Key(SEED, k + later, SERVER if i is None else i).to(purpose)
        indices, values = compressor.compress(X, key).coordinates()
        out = np.zeros_like(X)
        out[slice(None) if indices is None else indices] = scale * values
        return out

    return compress


def permutations(k: int, d: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Perm-K's two of a round."""
    draw = Key(SEED, k, SERVER).to("gradient").to("permutation").generator()
    return draw.permutation(d), draw.permutation(n)


def buckets(k: int, m: int) -> np.ndarray:
    """In what order m vectors are put into buckets in round k."""
    return Key(SEED, k, SERVER).to("gradient").to("buckets").generator().permutation(m)


def normal(sigma: float) -> Callable[[int, int], np.ndarray]:
    """The library's own Gaussian noise on a client's message about its gradient."""
    return lambda i, k: sigma * Key(SEED, k, i).to("gradient").to("noise").generator().standard_normal(D)


def stochastic(batch: int) -> Callable[[np.ndarray, int, int], np.ndarray]:
    """The library's own minibatch gradients."""
    found: dict[int, np.ndarray] = {}

    def gradient(x: np.ndarray, i: int, k: int) -> np.ndarray:
        if i == 0:
            found[k] = setting().problem.at(x).sampled_gradient(batch, Key(SEED, k).to("gradient").to("batch"))
        return found[k][i]

    return gradient


def sampled(batch: int) -> Callable[[np.ndarray, int, int], np.ndarray]:
    """The same, at any point: the rows are the round's."""
    found: dict[tuple[int, bytes], np.ndarray] = {}

    def gradient(x: np.ndarray, i: int, k: int) -> np.ndarray:
        if (k, x.tobytes()) not in found:
            key = Key(SEED, k).to("gradient").to("batch")
            found[k, x.tobytes()] = setting().problem.at_uncached(x).sampled_gradient(batch, key)
        return found[k, x.tobytes()][i]

    return gradient


def own_coin(p: float, purpose: str = "page coin") -> Callable[[int, int], bool]:
    """Every client's own."""
    return lambda i, k: bool(Key(SEED, k, i).to("gradient").to(purpose).generator().random() < p)


def directions(m: int) -> Callable[[int], np.ndarray]:
    """CORE's vectors of a round."""
    return lambda k: Key(SEED, k, SERVER).to("directions").generator().standard_normal((m, D))


@cache
def setting() -> SimpleNamespace:
    """syn40: the library's problem, the transcriptions', where paths begin, and theory's constants from its rows."""
    problem = logistic("syn40", N, M, D, RIDGE)
    rows, labels, _ = problem.host
    dense = T.Logistic(np.split(rows, N), np.split(labels, N), RIDGE)
    each = np.array([np.linalg.eigvalsh(own.T @ own)[-1] / (4 * M) for own in dense.rows])
    return SimpleNamespace(
        problem=problem,
        p=dense,
        start=2.0 * np.random.default_rng(1).standard_normal(D),
        L=float(np.linalg.eigvalsh(rows.T @ rows)[-1] / (4 * N * M)) + RIDGE,
        each=each,  # L_i less the ridge
    )


def made(name: str, **settings: Any) -> Method:
    """A preset with a stepsize that is a number, unless another is given."""
    return METHODS[name](**{"stepsize": GAMMA, **settings})


def weights(inside: bool = False) -> np.ndarray:
    """EF21-W's w_i = L_i/ΣL_j; the ridge is part of L_i where it stands in f_i."""
    each = setting().each + (RIDGE if inside else 0.0)
    return each / each.sum()


@cache
def small() -> GLM:
    return dense_glm(n=5, dim=14)


def run(name: str, rounds: int = 0, problem: Any = None, **settings: Any) -> Result:
    problem = problem or setting().problem
    return solve(problem, METHODS[name](**settings), rounds=rounds, tol=0.0, seed=SEED)
