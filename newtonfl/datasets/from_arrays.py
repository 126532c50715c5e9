"""from_arrays(): rows and labels in memory → the Problem."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import scipy

from newtonfl.core.backend import Array
from newtonfl.datasets.arrays import distribute_arrays
from newtonfl.datasets.build import Kind
from newtonfl.datasets.csv_columns import OFFSETS
from newtonfl.datasets.frames import column_of, refuse_order, rows_of
from newtonfl.datasets.load import connected
from newtonfl.datasets.per_row import row_events, row_offset, row_weights, rows_that_count
from newtonfl.datasets.values import client_ids, numbered, ordered, unboxed
from newtonfl.objectives.base import Problem
from newtonfl.objectives.losses import Loss, loss_of
from newtonfl.objectives.risk_sets import Ties

MULTINOMIAL, COX, ORDINAL = "multinomial", "cox", "ordinal"


def from_arrays(
    X: Array,
    y: Array,
    loss: str | Loss = "logistic",
    *,
    clients: int | str | Sequence[Any] | Array | None = None,
    sample_weight: Array | None = None,
    offset: Array | None = None,
    exposure: Array | None = None,
    event: Array | None = None,
    l2: float = 0.0,
    nonconvex: float = 0.0,
    intercept: bool = False,
    huber_delta: float = 1.35,
    comm: Any = None,
    own: bool = False,
    device: str = "cpu",
    seed: int = 0,
    title: str = "",
) -> Problem:
    """The problem (1/Σw) Σ_j w_j φ(a_jᵀx + o_j, y_j) + (l2/2)‖x‖² of rows in memory.

    Parameters
    ----------
    X : array (N, c), SciPy sparse array, or table (N, c) of pandas, polars, pyarrow or another library narwhals knows
        Rows a_j, real and finite. A table's columns hold numbers or booleans. They are copied, but for a float64 array
        in C order that is read-only (``X.flags.writeable = False``): the problem then holds that array itself.
    y : array or column of such a table, shape (N,)
        Numbers; for the losses of classes any two labels (the smaller one, or the first in the alphabet, becomes -1),
        for "multinomial" any K ≥ 2 labels, for "ordinal" too, whose order is theirs: numbers', or the alphabet's; for
        "cox" times, of which the order counts.
    loss : str or Loss
        "logistic", "squared", "huber", "squared-hinge", "poisson", "multinomial", the name of another
        registered one, or a :class:`newtonfl.Loss`. Multinomial problems have dimension (K - 1)·c: see
        :class:`newtonfl.objectives.multinomial.Multinomial`. "cox", with Efron's ties, or "cox:breslow" is Cox
        regression, each client a stratum: see :class:`newtonfl.objectives.cox.Cox`. It takes no weights, offset or
        intercept, and runs on the CPU. "ordinal" is proportional odds with K - 1 thresholds behind the coefficients,
        without an intercept: see :class:`newtonfl.objectives.ordinal.Ordinal`.
    clients : int, str, array of shape (N,), or None
        A number: near-equal blocks of consecutive rows, at most one a row. "SPLIT:COUNT", SPLIT of blocks, shuffled,
        by-label, dirichlet:BETA. An array or column: every row's client id, strings or whole numbers; 3.0 is the client
        3. None is 8; with `own`, a client a rank. For "cox" it must be said, or `own`: a client is a stratum.
    sample_weight : array or column, shape (N,), or None
        w_j ≥ 0; None is 1.
    offset : array or column, shape (N,), or None
        o_j, what is known of the margins; None is 0. Not for multinomial problems.
    exposure : array or column, shape (N,), or None
        e_j > 0, the time, area or number that a row's events were counted over: log e_j is added to the offset. For
        losses whose link is log: "poisson", "gamma", "tweedie".
    event : array or column, shape (N,), or None
        For "cox", and there only: true or 1 where y is the time of an event, false or 0 where observation ended then.
    l2, nonconvex : float
        λ, and ρ of ρ Σ x_j²/(1 + x_j²).
    intercept : bool
        Add a last column of ones, which is not penalised.
    huber_delta : float
        Huber's δ, in units of y.
    comm : mpi4py.MPI.Comm, Transport or None
        Where to spread the clients; every rank then calls this. None keeps them in this process.
    own : bool
        Every rank passes rows of its own. Else all ranks pass the same rows, which is checked, and each keeps those of
        its clients.
    device : {"cpu", "cuda", "auto"}
    seed : int
        Of the drawn splits.
    title : str
        What is minimised, in one line; empty for the formula.

    Returns
    -------
    Problem
        With its rows on the ranks that hold its clients.

    Raises
    ------
    ValueError, TypeError
        If an array or argument is not allowed.
    Fault
        If that happened on another rank; the message names the rank.

    Examples
    --------
    >>> import numpy as np, newtonfl as nf
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
    >>> p = nf.from_arrays(X, ["no", "yes", "yes", "no"], l2=0.1, clients=2)
    >>> p.n_clients, p.dim
    (2, 2)
    """
    transport = connected(comm)
    with transport.keeping_interrupts():
        numbers = {"l2": l2, "nonconvex": nonconvex, "huber_delta": huber_delta}
        with transport.agreed("checking the arrays"):
            for name, number in numbers.items():
                if isinstance(number, bool) or not isinstance(number, (int, float, np.number)):
                    raise TypeError(f"{name}: given {number!r}, must be a number")
            chosen = loss if isinstance(loss, str) and _is_own_kind(loss) else loss_of(loss, huber_delta)
            ties = _ties(chosen, event, device)
            if ties is not None and clients is None and not own:
                raise ValueError(
                    "clients: missing, and with Cox regression every client is a stratum: give every row's "
                    "client id, or clients=1 for one stratum"
                )
            if chosen == ORDINAL:
                refuse_order("y", y)
            X, y, weights, names = _checked(X, y, sample_weight)
            offset_names = (OFFSETS[0] * (offset is not None), OFFSETS[1] * (exposure is not None))
            offset = row_offset(offset, exposure, len(y), chosen.link if isinstance(chosen, Loss) else "")
            events = None if ties is None else row_events(event, len(y))
            beside = {"weights": weights, "offset": offset, "events": events}
            per_row = {name: values for name, values in beside.items() if values is not None}
            clients = column_of("clients", clients)
            classifies = chosen in (MULTINOMIAL, ORDINAL) or (isinstance(chosen, Loss) and chosen.classifies)
            y = ordered("y: labels", y) if classifies else y
            if not classifies and (y.dtype.kind not in "fiub" or not np.isfinite(y).all()):
                raise ValueError(f"y: given {y.dtype} values, and this loss needs finite real numbers")
            if isinstance(chosen, Loss) and len(y) and not classifies and (fault := chosen.label_fault(float(y.min()))):
                raise ValueError(f"y: loss '{chosen}' {fault}")
        definite = {key: float(number) for key, number in numbers.items()}
        arguments = (
            f"{chosen!r}, {definite}, intercept={bool(intercept)}, own={own}, seed={seed}, "
            f"weighted={weights is not None}, offsets={offset_names}"
        )
        transport.same("problem", re.sub(r" at 0x[0-9a-f]+", "", arguments))  # a user's loss may print its address
        if weights is not None:
            with transport.agreed("leaving out rows of weight zero"):
                kept = rows_that_count(weights, own)
                if clients is not None and not isinstance(clients, (str, int, np.integer)):
                    clients = client_ids("clients", clients, len(y))[kept]
                X, y = X[kept], y[kept]
                per_row = {name: values[kept] for name, values in per_row.items()}
        federation = distribute_arrays(
            X,
            y,
            per_row,
            offset_names=offset_names,
            clients=clients,
            transport=transport,
            own=own,
            classes=classifies,
            column_names=names,
            seed=seed,
        )
        labels = federation.labels
        final: Kind
        if ties is not None:
            some = federation.sums(federation.per_row["events"][:, None])
            with transport.agreed("looking at the events"):
                if not some.any():
                    raise ValueError("event: no row has one, and times without events say nothing")
            final, device = ties, "cpu"
        elif classifies:
            classes = federation.agreement.labels
            with transport.agreed("looking at the labels"):
                many = isinstance(chosen, str)
                if len(classes) < 2 or (len(classes) > 2 and not many):
                    needed = "at least two" if many else "two"
                    some = ", ".join(map(str, classes[:8])) + (", …" if len(classes) > 8 else "")
                    raise ValueError(f"y: {needed} different labels are needed, and there are {len(classes)}: {some}")
                codes = numbered(labels, classes)
            federation = replace(federation, classes=tuple(classes))
            if isinstance(chosen, Loss):
                final, labels = chosen, 2.0 * codes - 1.0
            else:
                labels = codes
                final = len(classes) if chosen == MULTINOMIAL else federation.ordered(codes)
        else:
            assert isinstance(chosen, Loss)
            final = chosen
        return federation.problem(
            np.asarray(labels, np.float64), federation.weights, final, device=device,
            l2=l2, nonconvex=nonconvex, intercept=intercept, title=title,
        )  # fmt: skip


def _is_own_kind(loss: str) -> bool:
    """Whether it is no loss of one margin a row, but has a problem of its own."""
    return loss in (MULTINOMIAL, ORDINAL) or loss.partition(":")[0] == COX


def _ties(loss: str | Loss, event: Any, device: str) -> Ties | None:
    """What Cox regression does about ties; None for other losses."""
    if not isinstance(loss, str) or loss in (MULTINOMIAL, ORDINAL):
        if event is not None:
            raise ValueError(f"event: given with the loss {loss}, allowed only with 'cox' and 'cox:breslow'")
        return None
    for ties in get_args(Ties):
        if loss in (f"{COX}:{ties}", COX):
            if event is None:
                raise ValueError("event: missing, and Cox regression needs it: 1 where y is the time of an event, or 0")
            if device == "cuda":
                raise ValueError("device: given 'cuda', and Cox regression runs on the CPU alone: say 'cpu' or 'auto'")
            found: Ties = ties
            return found
    raise ValueError(f"loss: given {loss!r}, allowed are 'cox', which is 'cox:efron', and 'cox:breslow'")


def _checked(X: Array, y: Array, sample_weight: Array | None) -> tuple[Array, Array, Array | None, list[str] | None]:
    """Sound arrays, and the names of the columns where `X` has some."""
    X, names = rows_of(X)
    X = scipy.sparse.csr_array(X) if scipy.sparse.issparse(X) else np.asarray(X)
    if X.ndim != 2 or X.dtype.kind not in "fiub":
        raise ValueError(f"X: given shape {X.shape} of {X.dtype}, must be a matrix of real numbers")
    if not np.isfinite(X.data if scipy.sparse.issparse(X) else X).all():
        raise ValueError("X: holds a number that is not finite")
    y = column_of("y", y)
    if isinstance(y, (list, tuple)):
        y = np.asarray(y, object)  # else NumPy makes floats of some whole numbers
        y = unboxed(y) if y.ndim == 1 else y
    y = np.asarray(y)
    if y.shape != (X.shape[0],):
        raise ValueError(f"y: given shape {y.shape}, must be ({X.shape[0]},), one label a row")
    return X, y, None if sample_weight is None else row_weights(sample_weight, len(y)), names
