"""Whether a biased estimate of a gradient has the constants that the theory of biased SGD asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from newtonfl.checks.evaluate import gradients, values
from newtonfl.checks.small_problems import dense_problem
from newtonfl.checks.trials import at_most, decoded, matrices, no_error, promise, vectors
from newtonfl.components.participation import Participation
from newtonfl.compressors import Compressor, Unbiased
from newtonfl.core.backend import Array
from newtonfl.core.random import Key
from newtonfl.mechanisms.constants import bias_and_variance
from newtonfl.objectives.base import Problem
from newtonfl.solver.optimum import optimum

_FAR = ("tiny entries", "huge entries")


@dataclass(frozen=True)
class BiasedGradient:
    """⟨∇f, E g⟩ ≥ b‖∇f‖² - c and E‖g‖² ≤ 2A(f - f*) + B‖∇f‖² + C, of an estimate g of ∇f.

    "A Guide Through the Zoo of Biased SGD" (Demidovich et al., arXiv 2305.16296; the inequalities from memory).

    Parameters
    ----------
    b, B : float
        How much of ∇f there is in E g, and of ‖∇f‖² in E‖g‖².
    A, C, c : float
        What is independent of ∇f; 0 for compressors.

    Raises
    ------
    ValueError
        If b is not above 0, or another is not finite and at least 0.

    Examples
    --------
    >>> import newtonfl as nf
    >>> from newtonfl.checks import BiasedGradient
    >>> BiasedGradient.of(nf.RandK(2), 8)
    BiasedGradient(b=1.0, B=4.0, A=0.0, C=0.0, c=0.0)
    """

    b: float
    B: float
    A: float = 0.0
    C: float = 0.0
    c: float = 0.0

    def __post_init__(self) -> None:
        for name, number in vars(self).items():
            if not (0 <= number < math.inf and (number > 0 or name != "b")):
                least = "above 0" if name == "b" else "at least 0"
                raise ValueError(f"{name}: given {number}, must be finite and {least}")

    @classmethod
    def of(cls, compressor: Compressor, size: int) -> Self:
        """What a compressor's contract says of its messages: b = 1 and B = 1 + ω, or b = 1 - q and B = (1 + q)².

        With q = √(1-δ). Derived here: of E‖C(x)‖² - 2⟨x, E C(x)⟩ + ‖x‖² ≤ q²‖x‖² and ‖E C(x)‖² ≤ E‖C(x)‖². A
        compressor may do better: of Top-K b = K/size and B = 1.

        Parameters
        ----------
        compressor : Compressor
            C.
        size : int
            How many coordinates x has.

        Returns
        -------
        BiasedGradient
            With A = C = c = 0.

        Raises
        ------
        ValueError
            If the compressor contracts bounded vectors alone.
        """
        q, omega = bias_and_variance(compressor, size)
        unbiased = isinstance(compressor.contract(size), Unbiased)
        return cls(1.0, 1.0 + omega) if unbiased else cls(1.0 - q, (1.0 + q) ** 2)


@dataclass(frozen=True)
class _Place:
    """A point: what is hard about it, ∇f and f - f* there, and so many draws of g as one asks for, a row each."""

    what: str
    gradient: Array
    gap: float
    drawn: Callable[[int], Array]


def check_biased_gradient(
    estimator: Compressor | Participation,
    promised: BiasedGradient,
    *,
    problem: Problem | None = None,
    dim: int = 8,
    draws: int = 200,
    seed: int = 0,
) -> None:
    """Check constants (A, B, C, b, c) of biased SGD for an estimate of a gradient.

    Of a compressor g = C(∇f), f = ½‖x‖²: any ∇f, random or hard. Of a participation g = (1/n)Σ ∇f_i over who takes
    part, not divided by how likely that was, on a problem's f_i with the ridge in them: at random points and at x*.
    Both inequalities must hold on average within four standard errors, exactly where nothing is drawn at random.

    Parameters
    ----------
    estimator : Compressor or Participation
        What makes g.
    promised : BiasedGradient
        The constants; those of a participation belong to the problem.
    problem : Problem or None
        For a participation; None is logistic regression of 6 coordinates and 4 clients.
    dim : int
        How many coordinates a compressor's vectors have; the order of its matrices.
    draws : int
        How many draws an average is taken over.
    seed : int
        Seeds points and keys.

    Raises
    ------
    AssertionError
        At the first inequality that is broken: which, what was found, and where.
    ValueError
        Where the settings of `estimator` do not go with `dim` or the problem.

    Examples
    --------
    >>> import newtonfl as nf
    >>> from newtonfl.checks import BiasedGradient, check_biased_gradient
    >>> check_biased_gradient(nf.TopK(2), BiasedGradient(b=2 / 8, B=1.0))
    """
    promise(
        isinstance(estimator, Compressor | Participation),
        f"given {estimator!r}, must be a Compressor or a Participation",
    )
    name, draw = type(estimator).__name__, np.random.default_rng(seed)
    if isinstance(estimator, Compressor):
        places = _compressed(estimator.for_dimension(dim), dim, draw, Key(seed, 0, 0, "/check"))
    else:
        places = _sampled(estimator, dense_problem() if problem is None else problem, draw, seed)
    for place in places:
        square = float(place.gradient @ place.gradient)
        slack, where = 1e-12 * max(square, 1e-3), f"{name}, {place.what}"
        with no_error(f"{where}: an estimate must be made"):
            place.drawn(1)
        at_most(
            promised.c - promised.b * square,
            lambda count, place=place: -(place.drawn(count) @ place.gradient),  # type: ignore[misc]
            draws, slack, f"{where}: b = {promised.b:.6g}, c = {promised.c:.6g} promise -⟨∇f, E g⟩ of",
        )  # fmt: skip
        at_most(
            2.0 * promised.A * place.gap + promised.B * square + promised.C,
            lambda count, place=place: np.sum(place.drawn(count) ** 2, axis=1),  # type: ignore[misc]
            draws, slack,
            f"{where}: A = {promised.A:.6g}, B = {promised.B:.6g}, C = {promised.C:.6g} promise E‖g‖² of",
        )  # fmt: skip


def _compressed(compressor: Compressor, dim: int, draw: np.random.Generator, key: Key) -> Iterator[_Place]:
    """C(∇f) of f = ½‖x‖² at the hard vectors, or matrices."""
    for what, v in (matrices if compressor.acts_on == "symmetric" else vectors)(dim, draw).items():
        if what not in _FAR:

            def drawn(count: int, v: Array = v) -> Array:
                messages = [compressor.compress(v, key.of(i)) for i in range(count)]
                return np.stack([decoded(message, v.shape).ravel() for message in messages])

            yield _Place(what, v.ravel(), 0.5 * float(np.sum(v * v)), drawn)


def _sampled(participation: Participation, problem: Problem, draw: np.random.Generator, seed: int) -> Iterator[_Place]:
    """(1/n)Σ ∇f_i over who takes part in a round, the ridge within."""
    n, (x_star, f_star) = problem.n_clients, optimum(problem)
    participation.check(n)
    points = {"x*": x_star, **{f"random point {k}": 2.0 * draw.standard_normal(problem.dim) for k in range(4)}}
    for what, x in points.items():
        own = gradients(problem, x) + problem.ridge * x
        f = float(values(problem, x).mean() + 0.5 * np.sum(problem.ridge * x * x))

        def drawn(count: int, own: Array = own) -> Array:
            sets = [participation.drawn(n, Key(seed, k + 1)) for k in range(count)]
            return np.stack([own.sum(axis=0) if part is None else own[part].sum(axis=0) for part in sets]) / n

        yield _Place(what, own.mean(axis=0), max(f - f_star, 0.0), drawn)
