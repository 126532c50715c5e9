"""Checks of parts against what they promise: the library's own, and yours.

check_compressor, check_mechanism, check_basis, check_loss, check_participation, check_aggregator, check_problem,
check_method, and check_biased_gradient for constants that one claims. Each takes the part alone, tries it on random and
on hard input, and raises an AssertionError that says in words which promise was broken. The command line runs them on a
file of parts: ``newtonfl check FILE.py``.

May be imported by: cli.
"""

from newtonfl.checks.aggregator import check_aggregator
from newtonfl.checks.basis import check_basis
from newtonfl.checks.biased_gradient import BiasedGradient, check_biased_gradient
from newtonfl.checks.compressor import check_compressor
from newtonfl.checks.loss import check_loss
from newtonfl.checks.mechanism import check_mechanism
from newtonfl.checks.method import check_method
from newtonfl.checks.participation import check_participation
from newtonfl.checks.problem import check_problem

__all__ = [
    "BiasedGradient", "check_aggregator", "check_basis", "check_biased_gradient", "check_compressor", "check_loss",
    "check_mechanism", "check_method", "check_participation", "check_problem",
]  # fmt: skip
