"""Experiments: several methods on one problem.

compare
    ``nf.compare``: methods side by side, from one start to stated accuracies, and what each cost.
grids
    One text that stands for several methods, alternatives in braces.
run_methods
    Methods by name and settings, resolved before any of them runs, then run one by one.

May be imported by: cli.
"""
