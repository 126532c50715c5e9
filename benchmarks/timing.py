"""What runs cost, measured so that figures can be compared on a machine that others use too.

Seconds are CPU seconds, user and system, of a process and of its own children. What is compared runs in turn, so that a
busy minute falls on all alike, and is compared pair by pair. A child's peak memory cannot be less than that of the
process that starts it: a script that measures memory imports its libraries in the children alone.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ENVIRONMENT = {**os.environ, **dict.fromkeys(THREADS, "1")}
PROCESSOR = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Cost:
    """One run: CPU seconds, peak memory in bytes, and the lines of its output."""

    seconds: float
    peak: int
    output: list[str] = field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        """The last line of its output, where that is JSON."""
        last = self.output[-1] if self.output else ""
        return json.loads(last) if last.startswith("{") else {}


def run(command: Sequence[str]) -> Cost:
    """The cost of a command in a process of its own, one thread a library; RuntimeError if it fails."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdout=out, env=ENVIRONMENT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"{' '.join(command)[:200]}: ended with status {child.returncode}")
        out.seek(0)
        lines = out.read().decode("utf-8", "replace").splitlines()
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss * unit, lines)


def python(program: str, *words: object) -> list[str]:
    """The command that runs a program of Python."""
    return [sys.executable, "-c", program, *map(str, words)]


def in_turn(commands: Mapping[str, Sequence[str]], repeats: int) -> dict[str, list[Cost]]:
    """Every command's costs, each run once before any runs again."""
    found: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            found[name].append(run(command))
    return found


def calls_in_turn(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """CPU seconds of calls in this process, each called once before any is called again."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            begun = time.process_time()
            call()
            found[name].append(time.process_time() - begun)
    return found


def median(costs: Sequence[Cost]) -> Cost:
    """Seconds and memory each at their median, and the first run's output."""
    seconds, peak = (
        statistics.median(part) for part in zip(*((cost.seconds, cost.peak) for cost in costs), strict=True)
    )
    return Cost(seconds, int(peak), costs[0].output)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """How many times theirs is of ours, pair by pair: the median, and from the least to the most."""
    pairs = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    return f"{statistics.median(pairs):.2f} ({pairs[0]:.2f} to {pairs[-1]:.2f})"


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The least-squares slope of log y in log x."""
    across, up = [math.log(value) for value in x], [math.log(value) for value in y]
    return statistics.linear_regression(across, up).slope


def machine() -> str:
    """What ran it: processor, Python and the libraries that count, the date, and the commit."""
    lines = PROCESSOR.read_text("utf-8").splitlines() if PROCESSOR.is_file() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    libraries = ("newtonfl", "numpy", "scipy", "scikit-learn", "numba")
    program = (
        "import importlib.metadata as m, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try: print(name, m.version(name), end=', ')\n"
        "    except m.PackageNotFoundError: print('no', name, end=', ')"
    )
    versions = subprocess.run(python(program, *libraries), capture_output=True, text=True, check=True).stdout
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=Path(__file__).parent
    ).stdout.strip()
    where = f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, {versions.rstrip(', ')}"
    return f"{where}; {time.strftime('%Y-%m-%d')}, commit {commit or 'unknown'}"
