"""What the estimators' parameters and attributes mean, and what alpha is elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from newtonfl.core.backend import Array

ALPHA = """alpha : float
        The penalty's weight, at least 0."""

INTERCEPT = """fit_intercept : bool
        Whether to add an intercept. It is not penalised."""

SOLVE = """method : str or Method
        "NAME[,KEY=VALUE…]" such as "newton-3pc,compressor=topk:30" (``newtonfl methods`` lists them), or an instance.
        "auto" is newton, newton-cg, l-bfgs or newton-3pc, whichever is likely to take the least time
        (:func:`newtonfl.estimators.choice.choose`): ``method_`` and ``method_why_`` say which, and why.
    clients : int, str or None
        How rows are shared out where `fit` gets no `groups`: that many near-equal blocks of consecutive rows, at most
        one a row, or "SPLIT:COUNT" with SPLIT of blocks, shuffled, by-label, dirichlet:BETA. None is 8. With
        ``ranks="own"`` it must be None: every rank is one client.
    ranks : None, "same" or "own"
        None: everything in this process, however it was launched. "same": under mpiexec every rank calls fit with the
        same rows, which is checked, and each computes for its share of the clients. "own": every rank calls fit with
        rows of its own, perhaps none, and they never leave it. Both are collective, and all ranks get the same model.
    tol : float
        Converged means ‖∇f‖₂ ≤ tol, an absolute number. A gradient that stalls at the level of its own rounding has
        converged too.
    rtol : float
        Converged means also ‖∇f‖₂ ≤ rtol·‖∇f(0)‖₂, whatever the units of X and y. 0 is not at all.
    max_rounds : int
        The most rounds of a solve.
    max_bytes, max_seconds : float, str or None
        A solve ends when the mean client has sent and received so many bytes ("500kB" will do), or after so many
        seconds in rounds, with a ConvergenceWarning.
    warm_start : bool
        Start from the coefficients of the last fit.
    device : {"cpu", "cuda", "auto"}
        Where rows and Hessians live.
    random_state : int, RandomState or None
        Seeds splits and the method's draws. None draws a seed anew at every fit.
    verbose : bool or int
        Keep a progress line on stderr (rank 0).
    checkpoint : Checkpoint, str, Path or None
        A folder in which fit keeps its state, and from which the same fit of the same rows goes on after it was cut
        off, as :func:`newtonfl.solve` says; several classes have a folder each in it. Needs a `random_state` that is a
        number."""

INFERENCE = """inference : {"model", "HC0", "HC1", "cluster"} or None
        How the errors of the coefficients are estimated (:func:`newtonfl.inference`), for ``inference_`` and
        :meth:`summary`, with one more exchange; None is not at all."""

PERSONAL = """personal : sequence of int or str, str, or None
        Columns with coefficients of each client's own, by number from 0 or, of a table, by name; "intercept" is one
        (:meth:`newtonfl.objectives.base.Problem.personal`). They stay with the client; prediction then asks whose each
        row is.
    personal_alpha : float or None
        The penalty's weight of those; None is alpha, and 0 for the intercept. At 0 a client whose rows say nothing
        against an infinite coefficient, as labels of one class do, is refused."""

PARAMETERS = "\n    ".join([ALPHA, INTERCEPT, SOLVE, INFERENCE, PERSONAL])

ATTRIBUTES = """n_iter_ : int, or numpy.ndarray of int with one number a class
        Rounds.
    method_, method_why_ : str
        The method that was taken, and why.
    n_features_in_ : int
    feature_names_in_ : numpy.ndarray of str
        Where X has names.
    objective_ : str
        What was minimised, as a formula.
    converged_reason_ : str
        Why the solve ended, as a sentence; of several solves the first that did not converge.
    history_ : History, or list of History with one a class
        A record a round: f, ‖∇f‖₂, bytes, formula bits, seconds; ``history_.to_pandas()``.
    communication_ : dict
        Totals over all clients and solves: bytes_up, bytes_down, formula_bits_up, formula_bits_down of the rounds, and
        the same of the set-up, setup_bytes_up, ….
    ledger_ : Ledger
        What these are the totals of, client by client; ``ledger_.table()`` has every part of it.
    inference_ : Inference, or list of Inference with one a class
        Standard errors, tests and intervals, where `inference` asks for them."""

OF_CLIENTS = """personal_coef_, personal_intercept_ : dict
        With personal columns, the whole model of every client held here by its id, as coef_ and intercept_ have it
        else; these have NaN for what is personal."""

ELSEWHERE = {
    "C": "alpha, and alpha_from_C(C, N) is C's alpha for N rows",
    "l2": "alpha, the same λ",
    "reg_param": "alpha, the same λ",
    "penalty": "the ridge alone; alpha=0 is none",
    "l1_ratio": "the ridge alone, which is l1_ratio=0",
    "solver": 'method, such as method="newton-3pc"',
    "max_iter": "max_rounds",
    "rounds": "max_rounds",
    "eps": "tol and rtol, of the gradient's norm",
    "epsilon": "delta where the loss is Huber's, in units of y: epsilon times the scale",
    "n_jobs": 'clients and ranks; mpiexec with ranks="same" takes several processes',
    "dual": "the primal problem alone",
    "loss": "an estimator a loss: logistic, squared hinge, squared, Huber, Poisson",
    "multi_class": "one class against the rest",
    "intercept_scaling": "an intercept that is not penalised, and needs no scaling",
    "n_clients": "clients",
    "seed": "random_state",
    "x0": "warm_start",
}
"""What other libraries, and nf.solve, call what the estimators have under another name, or not at all."""


def hint(estimator: str, names: Iterable[str], known: Iterable[str]) -> str:
    """What the first of `names` that is known elsewhere is called here; empty where there is none.

    Parameters
    ----------
    estimator : str
        The class's name.
    names : iterable of str
        As a user gave them.
    known : iterable of str
        What the estimator's own parameters are called.

    Returns
    -------
    str
        Such as "C: FederatedRidge has alpha, and …".
    """
    foreign = (name for name in names if name in ELSEWHERE and name not in set(known))
    return next((f"{name}: {estimator} has {ELSEWHERE[name]}" for name in foreign), "")


def alpha_from_C(C: float, sample_weight: int | Array) -> float:
    """The `alpha` at which the objective is scikit-learn's at `C`: 1/(C Σw).

    scikit-learn minimises C Σ w_j loss_j + ½‖w‖² in LogisticRegression and LinearSVC, here it is
    (1/Σw) Σ w_j loss_j + (alpha/2)‖w‖².

    Parameters
    ----------
    C : float
        Positive.
    sample_weight : int or array
        The number of rows, or their weights (times class weights, where there are any).

    Returns
    -------
    float
        alpha.

    Raises
    ------
    ValueError
        If `C` or the sum of the weights is not a positive number.

    Examples
    --------
    >>> alpha_from_C(1.0, 200)
    0.005
    """
    numbers = isinstance(C, (int, float, np.number)) and np.asarray(sample_weight).dtype.kind in "biuf"
    if not numbers or np.min(sample_weight, initial=1.0) < 0:
        raise ValueError(f"alpha_from_C: given C = {C!r}, and weights that are not all numbers of at least 0")
    total = float(np.sum(sample_weight))
    if not (0 < C < math.inf and 0 < total < math.inf and C * total > np.finfo(float).tiny):
        raise ValueError(f"alpha_from_C: given C = {C} and weights that sum to {total}, both must be positive")
    return 1.0 / (C * total)
