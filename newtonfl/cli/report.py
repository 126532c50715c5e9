"""newtonfl report."""

import argparse


def report_command(args: argparse.Namespace) -> None:
    """Not yet."""
