"""inference(): standard errors, tests and intervals of a fitted model's coefficients, from one exchange."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from newtonfl.comm.ledger import Ledger
from newtonfl.comm.messages import Dense
from newtonfl.comm.transport import InProcess
from newtonfl.core.backend import Array, one_blas_thread, to_host
from newtonfl.core.symmetric import triangle
from newtonfl.kernels import cholesky, cholesky_solve
from newtonfl.methods import Announcement, Replies
from newtonfl.objectives.base import Problem
from newtonfl.objectives.cox import Cox
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.personal import Personal
from newtonfl.solver.session import Session
from newtonfl.solver.solve import real_vector
from newtonfl.statistics import Covariance
from newtonfl.statistics.families import FAMILIES, Totals
from newtonfl.statistics.information import SUMS, Information
from newtonfl.statistics.table import Inference

_WHOLE = {"cox": "Cox regression", "ordinal": "ordinal regression"}
"""Families whose rows have no margin of their own each, and so no robust errors by row."""

_SCALED = {
    "standard": "columns are scaled: a coefficient is for one standard deviation more, over all rows",
    "maxabs": "columns are scaled: a coefficient is for as much more as the column's largest absolute value",
    "unit-rows": "rows are scaled: each was divided by its norm",
}
"""What coefficients of scaled rows are for."""


def inference(problem: Problem, x: Array, *, covariance: Covariance = "model", level: float = 0.95) -> Inference:
    """How sure the coefficients `x` of a generalised linear model, or of Cox regression, are.

    Every client sends its information Σ_j w_j h_j a_j a_jᵀ, its gradient and eight sums over its rows, once. For
    "model" h = E φ″, Fisher's (:meth:`newtonfl.Loss.information`), else h = φ″; they are one where the margin is the
    family's canonical parameter. With I their sum, Λ = (Σ w)·λ and the bread B = I + Λ, the covariance of x is
    B⁻¹ M B⁻¹ with M = σ²I ("model": σ² = 1 but for the normal, gamma and Tweedie families), M = Σ_j w_j φ′_j² a_j a_jᵀ
    ("HC0"; "HC1": times N/(N - d)), or M = Σ_i s_i s_iᵀ over the clients' own gradients s_i ("cluster": times
    G/(G - 1)·(N - 1)/(N - d), G clients). Cox and ordinal regression have "model" alone, with the Hessian for I.

    Where the problem carries a transport, every rank calls this; every rank returns the same.

    Parameters
    ----------
    problem : Problem
        Of rows, with a loss of one margin a row, or of Cox regression.
    x : array, shape (d,)
        The minimiser, as ``nf.solve(…).x``.
    covariance : {"model", "HC0", "HC1", "cluster"}
        "model" believes that the family is the right one. HC0 and HC1 hold whatever the variances of the rows are,
        "cluster" whatever rows of one client have in common, for many clients.
    level : float
        Of the confidence intervals, between 0 and 1.

    Returns
    -------
    Inference
        Prints as a table.

    Raises
    ------
    ValueError, TypeError
        If an argument is not allowed, the loss is no likelihood and `covariance` is "model", or the information is
        singular: columns that depend on each other, and no penalty.

    Examples
    --------
    >>> import newtonfl as nf
    >>> problem = nf.load("breast_cancer", clients=16)
    >>> found = nf.inference(problem, nf.solve(problem, "newton").x)
    >>> found.family, found.standard_errors.shape
    ('binomial', (30,))
    """
    transport = problem.transport or InProcess()
    quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")
    with transport.keeping_interrupts(), one_blas_thread(), quiet:
        with transport.agreed("checking the arguments of inference"):
            x = _checked(problem, x, covariance, level)
        transport.same("inference", f"covariance={covariance}, level={float(level)}, {problem.objective}")
        information = Information(covariance == "model", covariance in ("HC0", "HC1"))
        with Session(problem, information) as session:
            if transport.rank:
                sums, _ = session.answer_calls()
                x, ledger = sums["x"], Ledger.from_arrays(sums)
            else:
                x = to_host(x)
                announcement = Announcement(0, {"model": Dense(x)})
                replies = session.exchange(announcement, information.reply_sizes(problem.dim))
                sums, ledger = _gathered(replies, problem.dim), session.ledger
                session.end({"x": x, **sums, **ledger.to_arrays()})
        with transport.agreed("working out the covariance"):
            assert isinstance(problem, GLM | Cox)
            return _worked_out(problem, x, sums, covariance, float(level), ledger)


def _checked(problem: Problem, x: Array, covariance: str, level: float) -> Array:
    if isinstance(problem, Personal):
        raise ValueError("inference: the errors of shared coefficients beside personal columns are not worked out here")
    if not isinstance(problem, GLM | Cox):
        raise TypeError("problem: inference is for problems of rows with one margin each, as nf.load makes them")
    problem.check_smooth("inference")
    if covariance not in get_args(Covariance):
        raise ValueError(f"covariance: given {covariance!r}, must be one of {', '.join(get_args(Covariance))}")
    if isinstance(level, bool) or not isinstance(level, int | float | np.number) or not 0.0 < level < 1.0:
        raise ValueError(f"level: given {level!r}, must lie between 0 and 1")
    if problem.family in _WHOLE and covariance != "model":
        raise ValueError(f"covariance: given {covariance!r}, allowed with {_WHOLE[problem.family]} is model")
    if isinstance(problem, GLM) and covariance == "model" and problem.family not in FAMILIES:
        raise ValueError(
            f"covariance: given 'model', and the loss {problem.loss} is no likelihood: take HC0, HC1 or cluster"
        )
    problem.check_hessians("inference")
    vector = real_vector(x)
    if vector.shape != (problem.dim,) or not np.isfinite(vector).all():
        raise ValueError(f"x: given shape {vector.shape}, must be ({problem.dim},) and finite")
    return vector


def _gathered(replies: Replies, dim: int) -> dict[str, Array]:
    """Every client's sums and gradients, and the mean of what is packed; in client order."""

    def rows(part: str) -> Array:
        return np.stack([message.coordinates()[1] for message in replies.messages(part)])

    found = {"value": rows("value"), "gradient": rows("gradient")}
    for part in ("curvature", "gram"):
        if replies.have(part):
            found[part] = np.mean(rows(part), axis=0)[triangle(dim).square].reshape(dim, dim)
    return found


def _worked_out(
    problem: GLM | Cox, x: Array, sums: dict[str, Array], covariance: str, level: float, ledger: Ledger
) -> Inference:
    whole = dict(zip(SUMS, np.sum(sums["value"], axis=0).tolist(), strict=True))
    weight, dim, n, notes = float(problem.total_weight), problem.dim, problem.n_clients, []
    family = FAMILIES.get(problem.family)
    spare = weight - dim
    if spare <= 0:
        raise ValueError(f"{weight:g} rows and {dim} coefficients: there must be more rows than coefficients")
    dispersion = whole["residual"] / spare if family is not None and family.dispersed else 1.0
    totals = Totals(whole["loss"], whole["base"], weight, whole["label"], whole["square"], dispersion)
    information = weight * sums["curvature"]
    bread = cholesky(information + weight * np.diag(problem.ridge))
    if bread is None:
        raise ValueError(
            "the Fisher information is singular: columns that depend on each other, or a coefficient that no row tells "
            "anything of; leave columns out, or give an l2"
        )
    scores = sums["gradient"] * (weight / n)
    middle = {
        "model": lambda: dispersion * information,
        "HC0": lambda: weight * sums["gram"],
        "HC1": lambda: weight * sums["gram"] * (weight / spare),
        "cluster": lambda: scores.T @ scores * _small_sample(n, weight, spare),
    }[covariance]()
    half = _solved(bread, middle)
    matrix = _solved(bread, half.T)
    errors = np.sqrt(np.diag(matrix))
    import scipy.stats  # a third of a second

    freedom = spare if family is not None and family.dispersed and covariance == "model" else math.inf
    law: Any = scipy.stats.norm if math.isinf(freedom) else scipy.stats.t(freedom)
    statistics = x / errors
    reach = float(law.isf(0.5 * (1.0 - level))) * errors
    log_likelihood = null = r2 = math.nan
    if family is not None:
        log_likelihood = family.log_likelihood(totals.loss, totals)
        intercept = whole["other than 1"] == 0.0  # the last column
        if intercept and isinstance(problem, GLM) and problem.offset is None:
            null = family.log_likelihood(family.null_loss(totals), totals)
            least = family.saturated(totals)
            share = (totals.loss - least) / (family.null_loss(totals) - least)  # of the deviance
            r2 = 1.0 - (share if family.dispersed else log_likelihood / null)
    if problem.ridge.max() > 0.0:
        notes.append(
            f"the penalty ({problem.ridge.max():g}/2)‖x‖² draws the coefficients towards 0: the errors are those of "
            "the penalised estimate, and the intervals need not cover what would be estimated without it"
        )
    if problem.schema.scaling.how != "none":
        notes.append(_SCALED[problem.schema.scaling.how])
    slope = np.sum(sums["gradient"], axis=0) / n + problem.ridge * x
    far = np.abs(_solved(bread, weight * slope[:, None])[:, 0]) / errors
    if not far.max() <= 1e-2:
        notes.append(f"x is no optimum: a Newton step moves a coefficient by {far.max():.2g} of its standard error")
    numbered = tuple(f"x{j}" for j in range(dim))
    if whole["other than 1"] == 0.0:
        numbered = (*numbered[:-1], "intercept")
    return Inference(
        names=problem.schema.features or numbered, x=x, standard_errors=errors,
        statistics=statistics, p_values=2.0 * law.sf(np.abs(statistics)),
        intervals=np.column_stack([x - reach, x + reach]), covariance_matrix=matrix, covariance=covariance, level=level,
        family=problem.family, rows=weight, degrees_of_freedom=freedom, dispersion=dispersion,
        log_likelihood=log_likelihood, null_log_likelihood=null, pseudo_r2=r2, notes=notes, ledger=ledger,
    )  # fmt: skip


def _small_sample(clusters: int, weight: float, spare: float) -> float:
    if clusters < 2:
        raise ValueError("covariance: given 'cluster' with one client: there must be two at least, better dozens")
    return clusters / (clusters - 1.0) * (weight - 1.0) / spare


def _solved(factor: Array, columns: Array) -> Array:
    """L⁻ᵀL⁻¹ times each of the `columns`."""
    solved: Sequence[Array] = [cholesky_solve(factor, column) for column in columns.T]
    return np.column_stack(solved)
