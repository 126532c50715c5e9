"""What all estimators share: parameters, rows to a federation, a solve to attributes."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from newtonfl import names
from newtonfl.backend import Array
from newtonfl.estimators.parameters import METHOD
from newtonfl.federation import Federation, federate
from newtonfl.history import History
from newtonfl.losses import Loss
from newtonfl.methods import Method
from newtonfl.progress import Progress
from newtonfl.solver import Reason, Result, solve
from newtonfl.transport import InProcess, Transport
from newtonfl.wire import pack, unpack

_FAILED = (Reason.DIVERGED, Reason.NOT_FINITE)


@dataclass(eq=False, repr=False)
class Federated(BaseEstimator):
    """A linear model fitted by clients that send compressed curvature. Subclasses name the loss.

    A dataclass, so that a subclass adds its parameters to these; all but alpha are given by name.
    """

    alpha: float = 1e-3
    _: KW_ONLY
    fit_intercept: bool = True
    method: str | Method = METHOD
    clients: int | str | None = None
    ranks: str | None = None
    tol: float = 1e-10
    max_rounds: int = 1000
    warm_start: bool = False
    device: str = "cpu"
    random_state: Any = 0
    verbose: bool | int = False

    _numeric: ClassVar[bool] = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None, groups: Array | None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array or sparse matrix, shape (N, n_features)
        y : array, shape (N,)
        sample_weight : array, shape (N,), or None
            w_j ≥ 0. A row of weight 2 counts as two rows, one of weight 0 as none.
        groups : array, shape (N,), or None
            Every row's client, as numbers or strings. With ``ranks="own"`` a client's rows live on one rank.

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
        transport = self._transport()
        with transport.agreed("checking the arguments of fit"):
            method = self._method()
            X, y, weights, groups = self._checked(X, y, sample_weight, groups)
            told = {key: value for key, value in self.get_params().items() if key not in ("random_state", "verbose")}
            told["method"] = repr(method)
        transport.same("estimator", f"{type(self).__name__}({told})")
        seed = self._seed(transport)
        shared = federate(
            X, y, clients=self.clients if groups is None else groups, transport=transport, own=self.ranks == "own",
            also=() if weights is None else (weights,), seed=seed, remedy='ranks="own"',
        )  # fmt: skip
        held = None if weights is None else shared.held(weights)
        return self._fit(shared, shared.held(y), held, (method, seed))

    def _fit(self, shared: Federation, y: Array, weights: Array | None, how: tuple[Method, int]) -> Self:
        """Solve, and set the attributes. Collective."""
        raise NotImplementedError  # every estimator has its own

    def _transport(self) -> Transport:
        if self.ranks not in (None, "same", "own"):
            raise ValueError(f'ranks: given {self.ranks!r}, allowed are None, "same", "own"')
        if self.ranks is None:
            return InProcess()
        from newtonfl.mpi import connect

        return connect()

    def _method(self) -> Method:
        for key, least in (("alpha", 0.0), ("tol", 0.0)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not least <= value < np.inf:
                raise ValueError(f"{key}: given {value!r}, must be a finite number of at least {least:g}")
        if isinstance(self.method, Method):
            return self.method
        if not isinstance(self.method, str):
            raise TypeError(f"method: given {type(self.method).__name__}, must be NAME[,KEY=VALUE…] or a Method")
        return names.method(*names.parse(self.method))

    def _seed(self, transport: Transport) -> int:
        """The seed of every draw: rank 0's, where it is drawn itself."""
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        drawn = int(check_random_state(self.random_state).randint(2**31 - 1))
        told: int = unpack(transport.broadcast(pack({}, seed=drawn) if transport.rank == 0 else None))[1]["seed"]
        return told

    def _checked(
        self, X: Array, y: Array, sample_weight: Array | None, groups: Array | None
    ) -> tuple[Array, Array, Array | None, Array | None]:
        """Sound arrays; rows of weight zero are left out."""
        own = self.ranks == "own"
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], y_numeric=self._numeric,
            ensure_min_samples=0 if own else 1,
        )  # fmt: skip
        self._check_targets(y)
        if groups is not None:
            groups = np.asarray(groups)
            if groups.shape != y.shape or groups.dtype.kind not in "biufUO":
                raise ValueError(f"groups: given shape {groups.shape}, must be one client id for each of {len(y)} rows")
            groups = groups.astype(str) if groups.dtype.kind == "O" else groups
        if sample_weight is None:
            return X, y, None, groups
        weights = np.asarray(sample_weight, dtype=np.float64)
        weights = np.full(len(y), float(weights)) if weights.ndim == 0 else weights
        if weights.shape != y.shape or not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError(
                f"sample_weight: given shape {weights.shape}, must be {len(y)} finite numbers of at least 0, one a row"
            )
        kept = np.flatnonzero(weights)
        if not own and not len(kept):
            raise ValueError("sample_weight: all weights are zero, and no row is left")
        return X[kept], y[kept], weights[kept], None if groups is None else groups[kept]

    def _check_targets(self, y: Array) -> None:
        """Refuse targets that the loss cannot have."""

    def _solved(
        self,
        shared: Federation,
        labels: Array,
        weights: Array | None,
        loss: Loss | int,
        how: tuple[Method, int],
        x0: Array | None,
    ) -> Result:
        """One solve. Collective."""
        method, seed = how
        problem = shared.problem(
            labels, weights, loss, device=self.device, l2=float(self.alpha), intercept=bool(self.fit_intercept)
        )
        self.objective_ = problem.objective
        silent = not self.verbose or shared.transport.rank > 0
        with nullcontext() if silent else Progress(type(self).__name__) as progress:
            result = solve(
                problem, method, tol=float(self.tol), rounds=self.max_rounds, x0=x0, seed=seed, callback=progress
            )
        if result.reason in _FAILED:
            raise ValueError(
                f"{type(self).__name__}: {result.reason} in round {result.rounds}; scale the columns of X, or choose a "
                "method with line_search=20"
            )
        return result

    def _start(self, *shape: int) -> Array | None:
        """The last fit's coefficients, each row with its intercept, where they are asked for and fit in."""
        if not self.warm_start or not hasattr(self, "coef_"):
            return None
        rows = np.atleast_2d(self.coef_)
        intercepts = np.broadcast_to(self.intercept_, len(rows))[:, None]
        start = np.hstack([rows, intercepts]) if self.fit_intercept else rows
        return start if start.shape == shape else None

    def _width(self, shared: Federation) -> int:
        return int(shared.rows.shape[1]) + bool(self.fit_intercept)

    def _parted(self, solution: Array) -> tuple[Array, Array]:
        """Coefficients and intercepts of rows that hold both."""
        if self.fit_intercept:
            return solution[..., :-1].copy(), solution[..., -1].copy()
        return solution.copy(), np.zeros(solution.shape[:-1])

    def _finish(self, results: Sequence[Result]) -> None:
        """The attributes that tell of the solves."""
        totals: Counter[str] = Counter()
        for result in results:
            for kind, ways in result.ledger.totals().items():
                for way in ("up", "down"):
                    totals[f"{kind}_{way}"] += int(ways[way]["total"])
                    totals[f"setup_{kind}_{way}"] += int(ways[f"setup_{way}"]["total"])
        self.communication_ = dict(totals)
        histories: list[History] = [result.history for result in results]
        rounds = [result.rounds for result in results]
        alone = len(results) == 1
        self.history_: History | list[History] = histories[0] if alone else histories
        self.n_iter_: int | Array = rounds[0] if alone else np.array(rounds)
        late = [result for result in results if not result.converged]
        self.converged_reason_ = str((late or results)[0].reason)
        if late:
            norm = late[0].history[-1].gradient_norm
            warnings.warn(
                f"{type(self).__name__}: {self.converged_reason_}, after {late[0].rounds} rounds at ‖∇f‖₂ = "
                f"{norm:.2g}, tol = {self.tol:g}: scale the columns of X, or raise tol or max_rounds",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _linear(self, X: Array) -> Array:
        """X w + b, shape (N,) or (N, K)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        told: Array = X @ self.coef_.T + self.intercept_
        return told
