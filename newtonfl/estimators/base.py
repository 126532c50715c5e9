"""What all estimators share: parameters, rows on their ranks, one solve, the attributes that it leaves."""

from __future__ import annotations

import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, ClassVar, Self, cast, get_args

import numpy as np
import scipy
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from newtonfl.comm.ledger import Ledger
from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array
from newtonfl.datasets.arrays import distribute_arrays
from newtonfl.datasets.build import Kind
from newtonfl.datasets.distribute import Federation
from newtonfl.datasets.frames import column_of
from newtonfl.datasets.guard import check_own_rows
from newtonfl.datasets.per_row import row_weights, rows_that_count
from newtonfl.datasets.values import client_ids, refuse_missing
from newtonfl.estimators.alarms import alarm
from newtonfl.estimators.choice import AUTO, Size, choose
from newtonfl.estimators.columns import working_columns
from newtonfl.estimators.parameters import hint
from newtonfl.estimators.ranks import OverRanks
from newtonfl.methods import Method
from newtonfl.methods.argument import as_method
from newtonfl.objectives.base import Problem
from newtonfl.results.history import History
from newtonfl.results.progress import Progress
from newtonfl.solver.checkpoint import Checkpoint
from newtonfl.solver.limits import Limits
from newtonfl.solver.result import Reason, Result
from newtonfl.solver.solve import solve
from newtonfl.statistics import Covariance
from newtonfl.statistics.inference import inference
from newtonfl.statistics.table import Inference

_FAILED = (Reason.DIVERGED, Reason.NOT_FINITE)


@dataclass(frozen=True, eq=False)
class Solved:
    """How one solve of a fit ended.

    Attributes
    ----------
    result : Result
    inference : Inference or None
        Where it was asked for.
    of_clients : numpy.ndarray, shape (n held here, d), or None
        Every client's own solution, where columns are personal; x then has NaN for them.
    """

    result: Result
    inference: Inference | None = None
    of_clients: Array | None = None


@dataclass(eq=False, repr=False)
class Federated(OverRanks, ABC):
    """A linear model fitted by clients that send compressed curvature. Subclasses name the loss.

    A dataclass, so that a subclass adds its parameters to these; all but alpha are given by name.
    """

    alpha: float = 1e-3
    _: KW_ONLY
    fit_intercept: bool = True
    method: str | Method = AUTO
    clients: int | str | None = None
    ranks: str | None = None
    tol: float = 1e-10
    rtol: float = 0.0
    max_rounds: int = 1000
    warm_start: bool = False
    device: str = "cpu"
    random_state: Any = 0
    verbose: bool | int = False
    checkpoint: Checkpoint | str | Path | None = None
    inference: str | None = None
    max_bytes: float | str | None = None
    max_seconds: float | None = None

    _numeric: ClassVar[bool] = True
    _covariances: ClassVar[tuple[str, ...]] = get_args(Covariance)

    def __new__(cls, *args: Any, **params: Any) -> Self:
        """Refuse a parameter that other libraries have, and say what it is here; __init__ refuses all others."""
        remedy = hint(cls.__name__, params, cls._get_param_names())
        if remedy:
            raise TypeError(remedy)
        made: Self = super().__new__(cls)
        return made

    def set_params(self, **params: Any) -> Self:
        """Set `params` by name: a ValueError if there is none, which says what other libraries' are here."""
        remedy = hint(type(self).__name__, params, self._get_param_names())
        if remedy:
            raise ValueError(remedy)
        super().set_params(**params)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None, groups: Array | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
            A table of pandas, polars, pyarrow or another library that narwhals knows; its columns hold numbers or
            booleans. The other arguments may be its columns. Columns that no row of a sparse matrix has cost nothing.
        y : array, shape (N,)
            A category's values count, not its codes. A table of one column will do.
        sample_weight : array, shape (N,), or None
            w_j ≥ 0. A row of weight 2 counts as two rows, one of weight 0 as none.
        groups : array, shape (N,), or None
            Every row's client, as whole numbers or strings; 3.0 is the client 3. With ``ranks="own"`` a client's rows
            live on one rank.

        Returns
        -------
        self
            Fitted.

        Raises
        ------
        ValueError
            If a parameter or an array is not allowed, ranks that must pass the same do not, or f grew beyond all
            bounds.
        Fault
            If another rank failed; the message names the rank.
        """
        return self._fit_rows(X, y, sample_weight, groups)

    def _fit_rows(
        self,
        X: Array,
        y: Array,
        sample_weight: Array | None,
        groups: Array | None,
        **beside: Array | None,
    ) -> Self:
        """:meth:`fit`, with what else belongs to each row, which :meth:`_beside` knows."""
        transport = self._transport()
        with transport.keeping_interrupts():
            with transport.agreed("checking the arguments of fit"):
                method = self._method()
                X, y, groups, per_row = self._checked(X, y, sample_weight, groups, beside)
                if self.ranks == "own":  # before the columns that occur are compared
                    check_own_rows(groups, len(y), transport.rank)
                seed = self._seed()
                arguments = self._same_arguments(method, sample_weight=sample_weight, **beside)
            seed = self._common_seed(arguments, seed, transport)
            names = getattr(self, "feature_names_in_", None)
            self.__dict__.pop("inference_", None)  # of a fit before
            self._columns = working_columns(X, names, transport)
            federation = distribute_arrays(
                self._columns.narrow(X), y, per_row, clients=self.clients if groups is None else groups,
                transport=transport, own=self.ranks == "own", classes=not self._numeric,
                column_names=None if names is None else self._columns.narrow(names), seed=seed, remedy='ranks="own"',
            )  # fmt: skip
            known = None if groups is None else np.unique(groups).tolist()  # of the rows that all ranks pass
            self._client_ids = list(federation.agreement.clients or known or range(federation.n_clients))
            if names is not None and self._columns.numbers is None:  # rank 0's order holds for all
                self.feature_names_in_ = np.array(federation.agreement.shared.names, dtype=object)
            return self._fit(self._columns.counted(federation), method, seed)

    @abstractmethod
    def _fit(self, federation: Federation, method: Method | None, seed: int) -> Self:
        """Solve, and set the attributes. Collective."""

    def _method(self) -> Method | None:
        """The method that was named, and None for the one to be chosen; sound parameters."""
        for key, least in (("alpha", 0.0), ("tol", 0.0), ("rtol", 0.0)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not least <= value < np.inf:
                raise ValueError(f"{key}: given {value!r}, must be a finite number of at least {least:g}")
        if self.checkpoint is not None:
            if not isinstance(self.checkpoint, Checkpoint | str | Path):
                raise TypeError(f"checkpoint: given {self.checkpoint!r}, must be a folder or a Checkpoint, or None")
            if not isinstance(self.random_state, (int, np.integer)):
                raise ValueError(
                    f"checkpoint: given with random_state={self.random_state!r}, which draws another seed at every "
                    "fit; give a whole number"
                )
        Limits(None, self.max_bytes, self.max_seconds)  # says what it refuses
        if self.inference not in (None, *self._covariances):
            allowed, name = ", ".join(self._covariances), type(self).__name__
            raise ValueError(f"inference: given {self.inference!r}, allowed with {name} are None, {allowed}")
        rounds = self.max_rounds
        if isinstance(rounds, bool) or not isinstance(rounds, (int, np.integer)) or rounds < 0:
            raise ValueError(f"max_rounds: given {rounds!r}, must be a whole number of at least 0")
        return None if isinstance(self.method, str) and self.method == AUTO else as_method(self.method)

    def _checkpoint_of(self, part: str) -> Checkpoint | None:
        """Where a solve keeps its state, each part of a fit in a folder of its own."""
        if self.checkpoint is None:
            return None
        kept = self.checkpoint if isinstance(self.checkpoint, Checkpoint) else Checkpoint(self.checkpoint)
        return replace(kept, folder=kept.path / part) if part else kept

    def _seed(self) -> int:
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _same_arguments(self, method: Method | None, **per_row: Any) -> dict[str, str]:
        """What every rank must pass alike, by name: settings, and whether there is something `per_row`."""
        some = {name: None if array is None else "some" for name, array in per_row.items()}
        return self._arguments({**some, "method": re.sub(r" at 0x[0-9a-f]+", "", repr(method))})

    def _checked(
        self,
        X: Array,
        y: Array,
        sample_weight: Array | None,
        groups: Array | None,
        beside: Mapping[str, Any],
    ) -> tuple[Array, Array, Array | None, dict[str, Array]]:
        """Sound rows, labels, client ids, and what else belongs to each row; rows of weight zero are left out."""
        own = self.ranks == "own"
        least, y = 0 if own else 1, column_of("y", y)
        objects = np.asarray(y, object) if isinstance(y, list | tuple) else y
        if isinstance(objects, np.ndarray) and objects.dtype.kind == "O" and objects.ndim == 1:
            refuse_missing("y", objects)
        X, y = self._read(X, y, reset=True, y_numeric=self._numeric, ensure_min_samples=least)
        self._check_targets(y)
        groups = None if groups is None else client_ids("groups", column_of("groups", groups), len(y))
        per_row = self._beside(len(y), **beside)
        if sample_weight is None:
            return X, y, groups, per_row
        per_row["weights"] = row_weights(sample_weight, len(y))
        kept = rows_that_count(per_row["weights"], own)
        per_row = {name: of_row[kept] for name, of_row in per_row.items()}
        return X[kept], y[kept], None if groups is None else groups[kept], per_row

    def _beside(self, n_rows: int, **beside: Any) -> dict[str, Array]:
        """What belongs to each row beside label and weight, by its name in :attr:`Federation.per_row`."""
        return {}

    def _check_targets(self, y: Array) -> None:
        """Refuse targets that the loss cannot have."""

    def _solve(
        self,
        federation: Federation,
        labels: Array,
        weights: Array | None,
        loss: Kind,
        x0: Array | None,
        method: Method | None,
        seed: int,
        part: str = "",
    ) -> Solved:
        """One solve, of the `part` where there are several, and what `inference` asks for. Collective."""
        made = self._taken(federation, loss) if method is None else method
        if method is not None:
            self.method_, self.method_why_ = str(self.method), "it was named"
        problem = federation.problem(
            labels, weights, loss, device=self.device, l2=float(self.alpha), intercept=bool(self.fit_intercept)
        )
        solved = self._minimised(problem, x0, federation.transport, method=made, seed=seed, part=part)
        if self.inference is None:
            return solved
        if self._columns.numbers is not None and problem.schema.columns is None:
            names = tuple(f"x{j}" for j in self._columns.numbers)
            last = (problem.schema.features or ())[len(names) :] or ("intercept",) * bool(self.fit_intercept)
            problem.schema = replace(problem.schema, features=(*names, *last))
        found = inference(problem, solved.result.x, covariance=cast(Covariance, self.inference))
        return replace(solved, inference=found)

    def _minimised(
        self, problem: Problem, x0: Array | None, transport: Transport, *, method: Method, seed: int, part: str
    ) -> Solved:
        """The problem solved, from `x0`. Collective."""
        self.objective_ = problem.objective
        if x0 is not None and not np.isfinite(x0).all():  # coef_ of a fit with other personal columns
            x0 = None
        silent = not self.verbose or transport.rank > 0
        rtol = max(float(self.rtol), np.finfo(float).tiny)  # at least what rounding leaves: no alarm there
        with nullcontext() if silent else Progress(type(self).__name__, rounds=int(self.max_rounds)) as progress:
            result = solve(
                problem, method, tol=float(self.tol), rtol=rtol, rounds=int(self.max_rounds), x0=x0, seed=seed,
                callback=progress, checkpoint=self._checkpoint_of(part), max_bytes=self.max_bytes,
                max_seconds=self.max_seconds,
            )  # fmt: skip
        if result.reason in _FAILED:
            raise ValueError(
                f"{type(self).__name__}: {result.reason} in round {result.rounds}: scale the columns of X, start cold, "
                "or take a method with a line search, as the default has"
            )
        return Solved(result)

    def summary(self) -> str:
        """A table of the coefficients with standard errors, tests and confidence intervals.

        Returns
        -------
        str
            Of every class where there are several.

        Raises
        ------
        ValueError
            If `inference` was None.
        """
        check_is_fitted(self)
        if not hasattr(self, "inference_"):
            raise ValueError('summary: fit with inference="model", "HC0", "HC1" or "cluster", which asks the clients')
        found = self.inference_ if isinstance(self.inference_, list) else [self.inference_]
        return "\n\n".join(map(str, found))

    def _taken(self, federation: Federation, loss: Kind) -> Method:
        """The method that the rule chooses, the same on every rank. Collective."""
        rows, transport = federation.rows, federation.transport
        stored = np.diff(rows.indptr) if scipy.sparse.issparse(rows) else np.full(*rows.shape)
        counts = np.sum(federation.sums(np.column_stack([np.ones(len(stored)), stored + bool(self.fit_intercept)])), 0)
        choice = choose(
            Size(
                federation.n_clients, int(counts[0]), self._width(federation), int(counts[1]),
                loss if isinstance(loss, int) else 2, transport.size, self.ranks == "own" and transport.size > 1,
            )
        )  # fmt: skip
        self.method_, self.method_why_ = choice.method, choice.why
        return as_method(choice.method)

    def _initial(self, *shape: int) -> Array | None:
        """The last fit's coefficients, each row with its intercept; None without `warm_start` or in another shape."""
        if not self.warm_start or np.shape(getattr(self, "coef_", 0.0))[-1:] != (self.n_features_in_,):
            return None
        rows = self._columns.narrow(np.atleast_2d(self.coef_))
        intercepts = np.broadcast_to(self.intercept_, len(rows))[:, None]
        initial = np.hstack([rows, intercepts]) if self.fit_intercept else rows
        return initial if initial.shape == shape else None

    def _width(self, federation: Federation) -> int:
        return int(federation.rows.shape[1]) + bool(self.fit_intercept)

    def _coefficients(self, solution: Array) -> tuple[Array, Array]:
        """Coefficients and intercepts of rows that hold both."""
        intercepts = solution[..., -1].copy() if self.fit_intercept else np.zeros(solution.shape[:-1])
        coefficients = solution[..., :-1] if self.fit_intercept else solution
        elsewhere = np.zeros((*solution.shape[:-1], self.n_features_in_))
        if self.warm_start and not self.alpha and np.shape(getattr(self, "coef_", 0.0)) == elsewhere.shape:
            elsewhere = self.coef_  # nothing moves what neither rows nor penalty depend on
        return self._columns.widen(coefficients, elsewhere), intercepts

    def _finish(self, solves: Sequence[Solved], transport: Transport) -> None:
        """Set what is common to all models from what :meth:`_solve` returned; rank 0 warns."""
        results = [solved.result for solved in solves]
        inferences = [solved.inference for solved in solves if solved.inference is not None]
        ledgers: list[Ledger] = [*(result.ledger for result in results), *(one.ledger for one in inferences)]
        self.ledger_ = reduce(add, ledgers)
        self.communication_ = {
            f"{setup}{kind}_{way}": int(ways[f"{setup}{way}"]["total"])
            for kind, ways in self.ledger_.totals().items()
            for way in ("up", "down")
            for setup in ("", "setup_")
        }
        if inferences:
            self.inference_: Inference | list[Inference] = inferences if len(solves) > 1 else inferences[0]
        histories: list[History] = [result.history for result in results]
        rounds = [result.rounds for result in results]
        alone = len(results) == 1
        self.history_: History | list[History] = histories[0] if alone else histories
        self.n_iter_: int | Array = rounds[0] if alone else np.array(rounds)
        late = [result for result in results if not result.converged]
        self.converged_reason_ = str((late or results)[0].reason)
        if transport.rank == 0 and (found := alarm(results, bool(self.warm_start))):
            result, advice = found
            warnings.warn(
                f"{type(self).__name__}: {result.reason}, after {result.rounds} rounds at ‖∇f‖₂ = "
                f"{result.history[-1].gradient_norm:.2g}, tol = {self.tol:g}: {advice}",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _linear(self, X: Array) -> Array:
        """X w + b, shape (N,) or (N, K)."""
        check_is_fitted(self)
        scores: Array = self._read(X, reset=False) @ self.coef_.T + self.intercept_
        return scores
