"""The monitors that come with the library: distances, bytes, accuracy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import scipy

from newtonfl.core.backend import Array, is_array, to_host
from newtonfl.core.symmetric import triangle
from newtonfl.methods import Method
from newtonfl.monitors.monitor import Monitor
from newtonfl.monitors.state import RoundState
from newtonfl.objectives.base import Problem
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.multinomial import Multinomial


@dataclass(frozen=True, eq=False)
class _OneColumn(Monitor):
    """A monitor of one number, whose column has a `name`."""

    name: str = field(kw_only=True)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)


@dataclass(frozen=True, eq=False)
class _FromOptimum(_OneColumn):
    """One that measures from x*."""

    x_star: Array = field(repr=False)

    def __post_init__(self) -> None:
        x_star = to_host(self.x_star) if is_array(self.x_star) else np.asarray(self.x_star)
        if x_star.dtype.kind not in "fiu" or x_star.ndim != 1 or not np.isfinite(x_star).all():
            raise ValueError(f"x_star: given {self.x_star!r}, must be a vector of finite real numbers, shape (d,)")
        object.__setattr__(self, "x_star", np.array(x_star, np.float64))

    def resolved(self, problem: Problem, method: Method) -> Self:
        if self.x_star.shape != (problem.dim,):
            name = type(self).__name__
            raise ValueError(f"monitors.{name}: given x_star of shape {self.x_star.shape}, must be ({problem.dim},)")
        return self


@dataclass(frozen=True, eq=False)
class DistanceTo(_FromOptimum):
    """‖x^k - x*‖₂: the column ``distance``.

    Parameters
    ----------
    x_star : array-like, shape (d,)
        x*, say ``nf.optimum(problem)[0]``.
    name : str
        The column's.

    Raises
    ------
    ValueError
        If `x_star` is no vector of finite real numbers.
    """

    name: str = field(default="distance", kw_only=True)

    def measure(self, state: RoundState) -> list[float]:
        return [float(np.linalg.norm(state.x - self.x_star))]


@dataclass(frozen=True, eq=False)
class HessianError(_FromOptimum):
    """‖H^k - ∇²f(x*)‖_F of the server's estimate H^k, ridge included in both: the column ``hessian_error``.

    nan where the method has no estimate yet. ∇²f(x*) is computed once, off the ledger.

    Parameters
    ----------
    x_star : array-like, shape (d,)
        x*, say ``nf.optimum(problem)[0]``.
    name : str
        The column's.

    Raises
    ------
    ValueError
        If `x_star` is no vector of finite real numbers.
    """

    name: str = field(default="hessian_error", kw_only=True)

    def resolved(self, problem: Problem, method: Method) -> Self:
        problem.check_convex("monitors.HessianError")
        triangle(problem.dim).check_memory()
        if not method.estimates_hessian:
            raise ValueError(f"monitors.HessianError: {method.name} keeps no estimate of the Hessian on the server")
        return super().resolved(problem, method)

    def measure(self, state: RoundState) -> list[float]:
        estimate = state.hessian_estimate()
        if estimate is None:
            return [np.nan]
        return [float(np.linalg.norm(estimate - state.hessian_at(self.x_star)))]


@dataclass(frozen=True, eq=False)
class ClientBytes(Monitor):
    """What clients have sent and received so far, set-up included: ``client_bytes_max`` and ``client_bytes_mean``."""

    columns: ClassVar[tuple[str, ...]] = ("client_bytes_max", "client_bytes_mean")

    def measure(self, state: RoundState) -> list[float]:
        whole = state.bytes_up + state.bytes_down + state.setup_bytes_up + state.setup_bytes_down
        return [float(whole.max()), float(whole.mean())]


@dataclass(frozen=True, eq=False)
class Accuracy(_OneColumn):
    """The share of rows whose class x^k predicts: the column ``accuracy``.

    Of two classes the one with less loss is predicted, of K that of the largest of the K scores; the first of equals.

    Parameters
    ----------
    X : array or sparse matrix, shape (N, c)
        Rows, say held out ones, as the problem was given its own: before they were scaled, without a column of ones
        for the intercept.
    y : array-like, shape (N,)
        Their labels, as the problem was given its own: ``problem.schema.classes`` lists them.
    name : str
        The column's.

    Raises
    ------
    ValueError
        If `X` and `y` are no rows of real numbers with a label each.
    """

    X: Array = field(repr=False)
    y: Array = field(repr=False)
    name: str = field(default="accuracy", kw_only=True)

    def __post_init__(self) -> None:
        X = scipy.sparse.csr_array(self.X) if scipy.sparse.issparse(self.X) else np.asarray(self.X)
        y = np.asarray(self.y)
        if X.ndim != 2 or X.dtype.kind not in "fiub" or not X.shape[0]:
            raise ValueError(f"monitors.Accuracy: given X of shape {X.shape}, {X.dtype}, must be rows of real numbers")
        if y.shape != X.shape[:1]:
            raise ValueError(f"monitors.Accuracy: given y of shape {y.shape}, must be ({X.shape[0]},), one label a row")
        object.__setattr__(self, "X", X.astype(np.float64))
        object.__setattr__(self, "y", y)

    def resolved(self, problem: Problem, method: Method) -> Monitor:
        if not isinstance(problem, Multinomial) and not (isinstance(problem, GLM) and problem.loss.classifies):
            raise ValueError(f"monitors.Accuracy: {problem.objective} has no classes to predict")
        schema, width = problem.schema, problem.rows.dim
        unnamed = range(problem.classes) if isinstance(problem, Multinomial) else (-1.0, 1.0)
        classes = list(schema.classes or unnamed)
        unknown = next((label for label in np.unique(self.y).tolist() if label not in classes), None)
        if unknown is not None:
            known = ", ".join(map(str, classes))
            raise ValueError(f"monitors.Accuracy: given the label {unknown!r} in y, allowed are {known}")
        if self.X.shape[1] != width - schema.intercept:
            raise ValueError(
                f"monitors.Accuracy: given X with {self.X.shape[1]} columns, must have {width - schema.intercept}"
            )
        rows = schema.scaling.apply(self.X)
        if schema.intercept:
            ones, stack = np.ones((rows.shape[0], 1)), scipy.sparse if scipy.sparse.issparse(rows) else np
            rows = stack.hstack([rows, ones])
        return _Predicted(problem, rows, np.array([classes.index(label) for label in self.y.tolist()]), name=self.name)

    def measure(self, state: RoundState) -> list[float]:
        raise ValueError("monitors.Accuracy: asked before it was resolved for a problem, as nf.solve does")


@dataclass(frozen=True, eq=False)
class _Predicted(_OneColumn):
    """Accuracy of one problem: rows as x meets them, and the number of each one's class."""

    problem: Any
    rows: Array
    codes: Array

    def measure(self, state: RoundState) -> list[float]:
        if isinstance(self.problem, Multinomial):
            W = self.problem.contrasts @ state.x.reshape(self.problem.classes - 1, -1)
            predicted = np.argmax(self.rows @ W.T, axis=1)
        else:
            margins, value = self.rows @ state.x, self.problem.loss.value
            predicted = value(margins, np.ones_like(margins)) < value(margins, -np.ones_like(margins))
        return [float(np.mean(predicted == self.codes))]
