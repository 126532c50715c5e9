"""From a rank's rows to its Problem: intercept column, penalty, formula. Files and arrays end here alike."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import numpy as np
import scipy

from newtonfl.comm.transport import InProcess, Transport
from newtonfl.core.backend import Array
from newtonfl.objectives.cox import Cox
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Loss
from newtonfl.objectives.multinomial import Multinomial
from newtonfl.objectives.ordinal import Ordered, Ordinal
from newtonfl.objectives.regularisers import formula
from newtonfl.objectives.risk_sets import Ties
from newtonfl.objectives.row_problem import RowProblem, mean_over

Kind: TypeAlias = Loss | int | Ties | Ordered
"""What says which problem is made of rows."""


def assemble(
    rows: Array,
    labels: Array,
    sizes: Array,
    loss: Kind,
    *,
    clients: Array,
    n_clients: int,
    total: float,
    transport: Transport,
    weights: Array | None = None,
    offset: Array | None = None,
    events: Array | None = None,
    l2: float = 0.0,
    nonconvex: float = 0.0,
    intercept: bool = False,
    penalise_intercept: bool = False,
    like: Array = None,
    f_star: float | None = None,
    title: str = "",
) -> RowProblem:
    """The problem of rows that are here already.

    Parameters
    ----------
    rows : array (N, c) or SciPy CSR array
        Those of the clients held here, end to end.
    labels : numpy.ndarray, shape (N,)
    sizes, clients : arrays of int
        How many rows each client held here has, and which clients these are.
    loss : Loss, int, "efron", "breslow" or Ordered
        A number K stands for multinomial regression with the classes 0 to K - 1, ties for Cox regression, and ordered
        classes for ordinal regression.
    n_clients, total
        Over all ranks: how many clients, and the sum of the weights.
    transport : Transport
    weights, offset : numpy.ndarray, shape (N,), or None
    events : numpy.ndarray of bool, shape (N,), or None
        For Cox regression: whether a row's time is an event's.
    l2, nonconvex : float
        λ and ρ.
    intercept, penalise_intercept : bool
        Whether a column of ones comes last, and whether λ and ρ hold for it.
    like : array or None
        Names the library and device that shall hold the data.
    f_star : float or None
    title : str
        Empty: the formula.

    Raises
    ------
    ValueError
        If there is an offset, weights or an intercept, which the loss does not take.
    """
    if offset is not None and not isinstance(loss, Loss):
        kind = {int: "a multinomial loss", str: "Cox regression"}.get(type(loss), "ordinal regression")
        raise ValueError(f"offset: given with {kind}, allowed only with losses of one row and one margin each")
    if isinstance(loss, Ordered) and intercept:
        raise ValueError("intercept: given with ordinal regression, whose thresholds are all that there can be")
    if isinstance(loss, str) and (weights is not None or intercept):
        name, why = ("sample_weight", "rows count once") if weights is not None else ("intercept", "hazards have none")
        raise ValueError(f"{name}: given with Cox regression, where {why}")
    penalised = np.ones(rows.shape[1])
    if intercept:
        ones = np.ones((rows.shape[0], 1))
        sparse = scipy.sparse.issparse(rows)
        rows = scipy.sparse.hstack([rows, ones], format="csr") if sparse else np.hstack([rows, ones])
        penalised = np.append(penalised, float(penalise_intercept))  # by ridge and regulariser alike
    mean = mean_over(total, weights)
    weight = "" if weights is None else "w_j "
    if isinstance(loss, int):
        objective, penalised = (
            f"{mean} Σ_j {weight}(log Σ_k exp(a_jᵀw_k) - a_jᵀw_{{y_j}})",
            np.tile(penalised, loss - 1),
        )
    elif isinstance(loss, str):
        objective = f"{mean} Σ_events (log Σ_at-risk exp(aᵀx) - aᵀx), a stratum a client, ties {loss}"
    elif isinstance(loss, Ordered):
        objective = f"{mean} Σ_j {weight}(-log P(y_j)), P(y ≤ k) = 1/(1 + exp(aᵀβ - θ_k))"
        penalised = np.append(penalised, np.zeros(len(loss.thresholds)))
    else:
        objective = f"{mean} Σ_j {weight}{loss.formula if offset is None else _with_offset(loss.formula)}"
    penalty = f" + ({l2:g}/2)‖x‖²" if l2 else ""
    penalty += f" + {formula(nonconvex)}" if nonconvex else ""
    if penalty and isinstance(loss, Ordered):
        penalty += " (thresholds not penalised)"
    if penalty and intercept and not penalise_intercept:
        penalty += " (intercept not penalised)"
    more: dict[str, Any] = {
        "n_clients": n_clients, "ridge": l2 * penalised, "objective": objective + penalty, "clients": clients,
        "transport": None if isinstance(transport, InProcess) else transport, "f_star": f_star,
        "nonconvex": nonconvex * penalised,
    }  # fmt: skip
    made: RowProblem
    if isinstance(loss, int):
        made = Multinomial(rows, labels, sizes, loss, total, weights, like, **more)
    elif isinstance(loss, str):
        made = Cox(rows, labels, sizes, events, loss, total, **more)
    elif isinstance(loss, Ordered):
        made = Ordinal(rows, labels, sizes, loss, total, weights, like, **more)
    else:
        made = GLM(rows, labels, sizes, loss, total, weights, like, offset=offset, **more)
    made.title = title or made.objective
    return made


def _with_offset(formula: str) -> str:
    """A loss's formula at margins aᵀx + o."""
    return re.sub(r"(?<!\()aᵀx", "(aᵀx + o)", formula.replace("(aᵀx", "(aᵀx + o"))
