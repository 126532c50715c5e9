"""Personal columns of an estimator: the model of each client, and whose model a row is predicted by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array
from newtonfl.datasets.frames import column_of
from newtonfl.datasets.values import client_ids
from newtonfl.estimators.base import Federated, Solved
from newtonfl.methods import Method
from newtonfl.objectives.base import Problem
from newtonfl.objectives.personal import Personal, is_weight


@dataclass(eq=False, repr=False)
class PersonalColumns(Federated):
    """An estimator some of whose columns may have coefficients of each client's own."""

    _: KW_ONLY
    personal: Sequence[int | str] | str | None = None
    personal_alpha: float | None = None

    def _method(self) -> Method | None:
        weight = self.personal_alpha
        if weight is not None and (self.personal is None or not is_weight(weight)):
            raise ValueError(
                f"personal_alpha: given {weight!r}, must be a finite number of at least 0, and goes with personal alone"
            )
        if self.personal is not None and self.inference is not None:
            raise ValueError(f"inference: given {self.inference!r}, and with personal columns it must be None")
        return super()._method()

    def _minimised(self, problem: Problem, x0: Array | None, transport: Transport, **how: Any) -> Solved:
        if self.personal is None:
            return super()._minimised(problem, x0, transport, **how)
        with transport.agreed("taking the personal columns apart"):
            part = problem.personal(self._in_work(self.personal), l2=self.personal_alpha)
        if not isinstance(part, Personal):  # none of them occurs in any row
            solved = super()._minimised(part, x0, transport, **how)
            return replace(solved, of_clients=np.tile(solved.result.x, (len(problem.clients), 1)))
        theta = None if x0 is None else x0[part.split.shared]
        solved = super()._minimised(part, theta, transport, **how)
        with transport.agreed("finding each client's own coefficients"):
            of_clients = part.whole(solved.result.x)
        x = part.split.joined(solved.result.x, np.full(len(part.split.own), np.nan))
        return replace(solved, result=replace(solved.result, x=x), of_clients=of_clients)

    def _in_work(self, personal: Sequence[int | str] | str) -> Sequence[int | str] | str:
        """The columns as the problem numbers them: of sparse rows it may have those alone that occur."""
        kept = self._columns.numbers
        if kept is None or isinstance(personal, str):
            return personal
        whole = [column for column in personal if isinstance(column, str)]
        numbers = np.array([column for column in personal if not isinstance(column, str)], np.int64)
        if len(bad := numbers[(numbers < 0) | (numbers >= self.n_features_in_)]):
            raise ValueError(f"personal: given the column {bad[0]}, must be from 0 to {self.n_features_in_ - 1}")
        return [*whole, *np.searchsorted(kept, numbers[np.isin(numbers, kept)]).tolist()]

    def _keep_clients(self, solutions: Array | None, clients: Array) -> None:
        """Set what every client held here has, of `solutions` (n, …, d); None where nothing is personal."""
        for name in ("personal_coef_", "personal_intercept_"):
            self.__dict__.pop(name, None)  # of a fit before
        if solutions is None:
            return
        names = [self._client_ids[client] for client in clients.tolist()]
        coefficients, intercepts = self._coefficients(solutions)
        self.personal_coef_ = dict(zip(names, coefficients, strict=True))
        self.personal_intercept_ = dict(zip(names, intercepts, strict=True))

    def _linear(self, X: Array, clients: Any = None) -> Array:
        check_is_fitted(self)
        if not hasattr(self, "personal_coef_"):
            return super()._linear(X)
        if clients is None:
            raise ValueError(
                "clients: missing, and this model has coefficients of each client's own: give every row's client id, "
                "or one id for all rows"
            )
        rows = self._read(X, reset=False)
        alone = isinstance(clients, str | int | np.integer)
        ids = np.full(rows.shape[0], clients) if alone else column_of("clients", clients)
        ids = client_ids("clients", ids, rows.shape[0])
        scores = np.empty((rows.shape[0], *np.shape(self.coef_)[:-1]))
        for client in np.unique(ids).tolist():
            if client not in self.personal_coef_:
                known = ", ".join(map(repr, list(self.personal_coef_)[:8])) + ", …" * (len(self.personal_coef_) > 8)
                raise ValueError(
                    f"clients: given the client {client!r}, and this model has coefficients of {known}: one that took "
                    "no part, or is on another rank, has none here"
                )
            mine = ids == client
            scores[mine] = rows[mine] @ self.personal_coef_[client].T + self.personal_intercept_[client]
        return scores
