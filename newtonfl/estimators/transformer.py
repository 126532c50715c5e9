"""What the transformers share: rows over ranks and clients, and a ledger of what their summaries take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import TransformerMixin

from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array
from newtonfl.datasets.arrays import distribute_arrays
from newtonfl.datasets.distribute import Federation
from newtonfl.datasets.frames import column_of
from newtonfl.datasets.levels import Levels, guarded_counts
from newtonfl.datasets.per_row import row_weights, rows_that_count
from newtonfl.datasets.summaries import SummaryExchange
from newtonfl.datasets.values import client_ids
from newtonfl.estimators.ranks import OverRanks

PARAMETERS = """clients : int, str or None
        How rows are shared out where `fit` gets no `groups`, as the models' `clients` say it. What is fitted does not
        depend on it, what travels does.
    ranks : None, "same" or "own"
        None: everything in this process. "same": under mpiexec every rank calls fit with the same rows, which is
        checked. "own": every rank calls fit with rows of its own, perhaps none, and they never leave it. With both, fit
        is collective and all ranks get the same; `transform` asks nobody."""

ATTRIBUTES = """ledger_ : Ledger
        What each client sent and received; ``ledger_.totals()["bytes"]`` adds it up.
    n_features_in_ : int
    feature_names_in_ : numpy.ndarray of str
        Where X has names."""


@dataclass(eq=False, repr=False)
class FederatedTransformer(TransformerMixin, OverRanks, ABC):
    """Fits on summaries of each client's rows, which never travel themselves."""

    _: KW_ONLY
    clients: int | str | None = None
    ranks: str | None = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _fit(self, X: Array, y: Array | None, groups: Array | None, sample_weight: Array | None = None) -> Self:
        """Read the rows, exchange summaries of them, and learn from these. Collective."""
        transport = self._transport()
        with transport.keeping_interrupts():
            with transport.agreed("checking the arguments of fit"):
                rows, levels = self._rows_to_fit(X)
            federation = self._distributed(rows, y, groups, transport, levels, sample_weight=sample_weight)
            exchange = SummaryExchange(federation)
            self._learn(exchange, levels)
            self.ledger_ = exchange.ledger
            return self

    def _rows_to_fit(self, X: Array) -> tuple[Array, Levels]:
        """`X` as numbers, its parameters checked; where these are positions among levels, the levels of each column."""
        return self._numbers(X, reset=True), []

    @abstractmethod
    def _learn(self, exchange: SummaryExchange, levels: Levels) -> None:
        """Set the attributes from what all clients' summaries come to. Collective."""

    def _least(self) -> int:
        """The least number of rows of a call: a rank that holds none takes part in a pipeline, and transforms them."""
        return 0 if self.ranks == "own" else 1

    def _numbers(self, X: Array, reset: bool) -> Array:
        """Rows of numbers, with NaN where a value is missing; `reset` in fit, which learns the columns' names."""
        rows: Array = self._read(X, reset=reset, ensure_all_finite="allow-nan", ensure_min_samples=self._least())
        return rows

    def _distributed(
        self,
        X: Array,
        y: Array | None,
        groups: Array | None,
        transport: Transport,
        levels: Levels,
        *,
        sample_weight: Array | None = None,
    ) -> Federation:
        """The rows `X`, as they have been read, at the ranks of their clients. Collective."""
        with transport.agreed("checking the arguments of fit"):
            n_rows = X.shape[0]
            ids = None if groups is None else client_ids("groups", column_of("groups", groups), n_rows)
            labels, weights, own = self._labels(y, n_rows), None, self.ranks == "own"
            if sample_weight is not None:
                weights = row_weights(sample_weight, n_rows)
                kept = rows_that_count(weights, own)
                X, labels, weights = X[kept], labels[kept], weights[kept]
                ids = None if ids is None else ids[kept]
            if own and levels:  # before anything of their positions is compared
                whose = np.zeros(n_rows, np.int64) if ids is None else np.unique(ids, return_inverse=True)[1]
                called = [f"a client of rank {transport.rank}"] * (int(whose.max(initial=-1)) + 1)
                guarded_counts(X, levels, self._names(), whose, called)
        arguments = {"sample_weight": None if weights is None else "some"}
        self._common_seed(self._arguments(arguments), 0, transport)
        names = getattr(self, "feature_names_in_", None)
        beside = {} if weights is None else {"weights": weights}
        federation = distribute_arrays(
            X, labels, beside, clients=self.clients if ids is None else ids, transport=transport,
            own=own, column_names=names, remedy='ranks="own"', also=levels,
        )  # fmt: skip
        with transport.agreed("comparing the columns"):
            shared = federation.agreement.shared.names
            if names is not None and tuple(names) != shared:
                raise ValueError(
                    f"rank {transport.rank} has the columns {', '.join(names)}, in another order than rank 0, which "
                    f"has {', '.join(shared or ())}: transform could not tell them apart"
                )
        counts = federation.sums(np.ones((len(federation.labels), 1)))
        with transport.agreed("counting the rows"):
            if not counts.sum():
                raise ValueError(f"{type(self).__name__}: no rank has a row that counts")
        return federation

    def _names(self) -> list[Any]:
        return list(getattr(self, "feature_names_in_", range(self.n_features_in_)))

    def _labels(self, y: Array | None, n_rows: int) -> Array:
        """What splits by label look at; zeros where none does."""
        by_label = isinstance(self.clients, str) and self.clients.startswith(("by-label", "dirichlet"))
        if not by_label:
            return np.zeros(n_rows)
        if y is None:
            raise ValueError(f"clients: given {self.clients!r}, which needs the labels: pass y to fit")
        labels = np.asarray(column_of("y", y))
        if labels.shape != (n_rows,):
            raise ValueError(f"y: given shape {labels.shape}, must be ({n_rows},), a label for each row of X")
        return labels
