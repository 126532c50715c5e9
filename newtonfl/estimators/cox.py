"""Federated Cox regression: hazards that covariates multiply, each client a stratum with a hazard of its own."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self, get_args

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.datasets.distribute import Federation
from newtonfl.datasets.frames import column_of, rows_of
from newtonfl.datasets.per_row import row_events
from newtonfl.datasets.values import client_ids
from newtonfl.estimators.base import Federated
from newtonfl.estimators.parameters import ALPHA, ATTRIBUTES, SOLVE
from newtonfl.methods import Method
from newtonfl.objectives.risk_sets import Ties

_PAIRS = 1 << 22
"""So many pairs of rows are compared at a time."""


@dataclass(eq=False, repr=False)
class FederatedCoxRegression(Federated):
    __doc__ = f"""Cox regression over clients, each a stratum: -(1/N) log partial likelihood + (alpha/2)‖w‖².

    A row's hazard is its client's own, whatever that is, times exp(a_jᵀw): :class:`newtonfl.objectives.cox.Cox`. So
    coefficients are compared within clients alone, no times leave a client, and there is no intercept. The solution is
    that of statsmodels' ``PHReg(…, strata=, ties=)`` without a penalty, and at alpha = a/N with one client that of
    scikit-survival's ``CoxPHSurvivalAnalysis(alpha=a, ties=)``. It runs on the CPU.

    Parameters
    ----------
    {ALPHA}
    ties : {{"efron", "breslow"}}
        What is done about events at the same time.
    {SOLVE}
    inference : "model" or None
        Standard errors from the Hessian (:func:`newtonfl.inference`), for ``inference_`` and :meth:`summary`, with one
        more exchange; None is not at all.

    Attributes
    ----------
    coef_ : numpy.ndarray, shape (n_features,)
        Logarithms of hazard ratios.
    intercept_ : float
        0.
    {ATTRIBUTES}

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> draw = np.random.default_rng(0)
    >>> X, site = draw.standard_normal((200, 2)), np.repeat(np.arange(4), 50)
    >>> times = draw.exponential(np.exp(-X @ [0.7, -0.4]) * (1 + site))
    >>> y = np.column_stack([np.minimum(times, 2.0), times < 2.0])
    >>> model = nf.FederatedCoxRegression(alpha=0.0, inference="model").fit(X, y, groups=site)
    >>> model.coef_.shape, model.inference_.standard_errors.shape
    ((2,), (2,))
    """

    fit_intercept: ClassVar[bool] = False  # type: ignore[misc]
    _covariances: ClassVar[tuple[str, ...]] = ("model",)
    _: KW_ONLY
    ties: str = "efron"

    def fit(self, X: Array, y: Array, groups: Array | None = None) -> Self:  # type: ignore[override]
        """Fit the model.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
            As in :meth:`newtonfl.estimators.base.Federated.fit`.
        y : array or table of two columns, shape (N, 2), or structured array of two fields, shape (N,)
            A column of times and one of whether they are an event's, 1 or 0; or, as scikit-survival has it, a boolean
            field of events and then one of times.
        groups : array, shape (N,), or None
            Every row's client, as there: a stratum. It, or the parameter `clients`, must be given where not each rank
            is a client.

        Returns
        -------
        self
            Fitted.

        Raises
        ------
        ValueError, Fault
            As :meth:`newtonfl.estimators.base.Federated.fit`; also where `y` has other columns, or no event.
        """
        transport = self._transport()
        with transport.agreed("reading times and events"):
            times, events = survival(y)
            if groups is None and self.clients is None and self.ranks != "own":
                raise ValueError(
                    "groups: missing, and with Cox regression every client is a stratum: give every row's client id, "
                    "or clients=1 for one stratum"
                )
        return self._fit_rows(X, times, None, groups, event=events)

    def _method(self) -> Method | None:
        if self.ties not in get_args(Ties):
            raise ValueError(f"ties: given {self.ties!r}, allowed are {', '.join(get_args(Ties))}")
        if self.device == "cuda":
            raise ValueError("device: given 'cuda', and Cox regression runs on the CPU alone: say 'cpu' or 'auto'")
        return super()._method()

    def _beside(self, n_rows: int, **beside: Any) -> dict[str, Array]:
        return {"events": row_events(beside["event"], n_rows)}

    def _fit(self, federation: Federation, method: Method | None, seed: int) -> Self:
        some = federation.sums(federation.per_row["events"][:, None])
        with federation.transport.agreed("looking at the events"):
            if not some.any():
                raise ValueError(f"y: {type(self).__name__} needs an event, and there is none")
        initial = self._initial(1, self._width(federation))
        times, x0 = np.asarray(federation.labels, np.float64), None if initial is None else initial[0]
        ties: Any = self.ties
        solved = self._solve(federation, times, None, ties, x0, method, seed)
        self.coef_, _ = self._coefficients(solved.result.x)
        self.intercept_ = 0.0
        self._finish([solved], federation.transport)
        return self

    def predict(self, X: Array) -> Array:
        """a_jᵀw of each row: the larger, the earlier its event is expected.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)

        Returns
        -------
        numpy.ndarray, shape (N,)
            Logarithms of hazards, against the hazard of a row of zeros at the same client.
        """
        return self._linear(X)

    def score(self, X: Array, y: Array, groups: Array | None = None) -> float:
        """Harrell's concordance: the share of pairs of rows that are predicted in the order in which events came.

        Pairs that count are those of an event and a row that is known to be without one for longer; a pair of equal
        predictions counts half.

        Parameters
        ----------
        X : array, sparse matrix or table, shape (N, n_features)
        y : array
            As in :meth:`fit`.
        groups : array, shape (N,), or None
            Every row's client: then pairs within a client alone count, which share a hazard.

        Returns
        -------
        float
            Between 0 and 1; 0.5 of predictions that say nothing. NaN where no pair counts.
        """
        times, events = survival(y)
        predicted, events = self.predict(X), row_events(events, len(times))
        strata: Array = np.zeros(len(times))
        if groups is not None:
            strata = client_ids("groups", column_of("groups", groups), len(times))
        return concordance(predicted, np.asarray(times, np.float64), events, strata)


def survival(y: Any) -> tuple[Array, Array]:
    """Times, and whether each is an event's, from a structured array of events and times or from two columns.

    Raises
    ------
    ValueError
        If it is neither.
    """
    names = getattr(getattr(y, "dtype", None), "names", None)
    if names is not None:
        if len(names) != 2 or y[names[0]].dtype.kind != "b":
            raise ValueError(f"y: given fields {', '.join(names)}, must be a boolean one of events and one of times")
        return np.asarray(y[names[1]]), np.asarray(y[names[0]])
    columns = np.asarray(rows_of(y)[0])
    if columns.ndim != 2 or columns.shape[1] != 2:
        raise ValueError(
            f"y: given shape {columns.shape}, must be two columns, times and whether they are an event's, or a "
            "structured array of events and times"
        )
    return columns[:, 0], columns[:, 1]


def concordance(predicted: Array, times: Array, events: Array, strata: Array) -> float:
    """The share of pairs, of rows of one stratum, that are predicted in the order in which they came."""
    counted = agreed = 0.0
    rows, step = np.flatnonzero(events), max(_PAIRS // max(len(times), 1), 1)
    for a in range(0, len(rows), step):
        some = rows[a : a + step, None]
        later = (times > times[some]) | ((times == times[some]) & ~events)
        later &= strata == strata[some]
        counted += float(np.sum(later))
        agreed += float(np.sum(later & (predicted[some] > predicted)))
        agreed += 0.5 * float(np.sum(later & (predicted[some] == predicted)))
    return agreed / counted if counted else float("nan")
