"""The launcher that started this process, by its environment variables: reading them starts no MPI."""

from __future__ import annotations

import os

_VARIABLES = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("PMI_SIZE", "PMI_RANK"),
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
)
"""A launcher's word for how many ranks it started, and for which of them this one is."""


def launched() -> int | None:
    """How many ranks the launcher started, by its own account; None where there is no launcher."""
    return next((int(os.environ[size]) for size, _ in _VARIABLES if os.environ.get(size, "").isdigit()), None)


def launched_rank() -> int:
    """Which rank this process is, by its launcher's account; 0 where there is no launcher, and in a rank's child."""
    if is_child_of_rank():
        return 0
    for size, rank in _VARIABLES:
        if os.environ.get(size, "").isdigit():
            value = os.environ.get(rank, "")
            return int(value) if value.isdigit() else 0
    return 0


def is_child_of_rank() -> bool:
    """Whether a rank started this process: it then has the rank's variables, but not its talk with the launcher."""
    number = os.environ.get("PMI_FD", "")  # the open file over which MPICH's launcher and a rank talk
    if not number.isdigit():
        return False
    try:
        os.fstat(int(number))
    except OSError:
        return True
    return False


def threads(ranks: int) -> int:
    """How many threads this process may use: its cores where it is alone, at most what OMP_NUM_THREADS says.

    Several ranks share the cores, so there it is 1 unless that variable says more. Never more than four: the rest of a
    round is Python, which one thread runs at a time.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = int(wanted) if wanted.isdecimal() and int(wanted) else cores if ranks == 1 else 1
    return min(cores, limit, 4)
