"""Checks of parts against what they promise: the library's own, and yours."""

from newtonfl.checks.basis import check_basis
from newtonfl.checks.compressor import check_compressor
from newtonfl.checks.mechanism import check_mechanism
from newtonfl.checks.method import check_method

__all__ = ["check_basis", "check_compressor", "check_mechanism", "check_method"]
