"""Statistics: how sure the coefficients of a fitted model are, and how private its messages were.

families
    Which losses are likelihoods: of the binomial, Poisson, normal, gamma and Tweedie families, of ordered classes, and
    Cox's partial one.
information
    What clients send of themselves at x: sums, gradients, Fisher information; once, on the ledger.
spent_privacy
    ``nf.spent_epsilon``: (ε, δ) of clipped messages with noise, after so many rounds.
inference, table
    ``nf.inference``: standard errors, tests and intervals; and the table of them.

May be imported by: estimators, cli.
"""

from typing import Literal

Covariance = Literal["model", "HC0", "HC1", "cluster"]
"""How the covariance of coefficients is estimated: see :func:`newtonfl.inference`."""
