"""Faults planted in MPI jobs: python benchmarks/faults.py [--quick] [--launcher WORDS] [FAULT …]

Each of nine faults (an exception, sys.exit(0) and (3), os._exit(0) and (3), SIGKILL, SIGSEGV, SIGTERM, SIGSTOP with
--timeout 4) in each of six phases (import, reading, set-up, a round, evaluating, the callback's round) on the first and
the last of 2, 3 or 4 ranks. A job must end with a status that is not 0, within 10 s of the fault (and --timeout), and
leave no process and nothing in /dev/shm. A line a fault; what fell short is printed. MPICH takes os._exit(0) for a good
end, unless told otherwise: --launcher "mpiexec -disable-auto-cleanup".
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from mpi_launch import processes_with

FAULTS = {
    "raise": "raise ArithmeticError('planted')", "sys.exit(0)": "sys.exit(0)", "sys.exit(3)": "sys.exit(3)",
    "os._exit(0)": "os._exit(0)", "os._exit(3)": "os._exit(3)", "SIGKILL": "os.kill(os.getpid(), 9)",
    "SIGSEGV": "os.kill(os.getpid(), 11)", "SIGTERM": "os.kill(os.getpid(), 15); time.sleep(0.01)",
    "SIGSTOP": "os.kill(os.getpid(), 19)",
}  # fmt: skip
PHASES = ("import", "reading", "set-up", "round", "evaluating", "late round")
LIMIT = 4.0

PROGRAM = """
import os, sys, time
import numpy as np
import newtonfl as nf

RANK = int(os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", "0")))
calls = {"gradient": 0, "value": 0}

def fault(phase):
    if phase == PHASE and RANK == WHO:
        with open(MARK, "w") as file:
            file.write(str(time.time()))
        FAULT

fault("import")

def value(i, x):
    calls["value"] += 1
    if calls["value"] == 25:
        fault("evaluating")
    return 0.5 * float((x - i) @ (x - i))

def gradient(i, x):
    calls["gradient"] += 1
    for phase, call in (("round", 31), ("late round", 301)):
        if calls["gradient"] == call:
            fault(phase)
    return x - i

def hessian(i, x):
    fault("set-up")
    return np.eye(2)

def problem(comm=None):
    fault("reading")
    return nf.FromFunctions(8, 2, value, gradient, hessian, transport=comm, verify=False)
"""


def case(launcher: list[str], fault: str, phase: str, who: int, ranks: int) -> list[str]:
    """What fell short of one job."""
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        folder, shared = Path(place), set(os.listdir("/dev/shm"))
        program = PROGRAM.replace("PHASE", repr(phase)).replace("WHO", str(who)).replace("FAULT", FAULTS[fault])
        (folder / "own.py").write_text(program.replace("MARK", repr(str(folder / "at"))))
        method = "gd,stepsize=1e-4" if phase in ("round", "evaluating", "late round") else "newton"
        words = ["solve", str(folder / "own.py"), "--method", method, "--tol", "0"]
        words += ["--rounds", "400", "--quiet", "--timeout", str(LIMIT), "--out", str(folder / "out")]
        command = [str(Path(sys.executable).with_name(launcher[0])), *launcher[1:], "-n", str(ranks), sys.executable]
        job = subprocess.Popen(
            [*command, "-m", "newtonfl", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip
        short = []
        try:
            _, err = job.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, signal.SIGKILL)
            return ["did not end"]
        planted = float((folder / "at").read_text()) if (folder / "at").exists() else None
        if planted is None:
            return ["the fault was not reached"]
        allowed = 10.0 + (LIMIT if fault == "SIGSTOP" else 0.0)
        if time.time() - planted > allowed:
            short.append(f"ended after {time.time() - planted:.1f} s")
        if job.returncode == 0:
            short.append("status 0")
        if (folder / "out" / "result.json").exists() and fault != "SIGTERM":
            short.append("a result was written")
        if fault in ("raise", "sys.exit(0)", "sys.exit(3)", "SIGSTOP") and f"rank {who}" not in err:
            short.append(f"rank {who} is not named: {err[-200:]!r}")
        if processes_with(place):
            short.append("processes are left")
        if set(os.listdir("/dev/shm")) - shared:
            short.append("something is left in /dev/shm")
        return short


def main() -> None:
    parser = argparse.ArgumentParser(description="Faults planted in MPI jobs.")
    parser.add_argument("--quick", action="store_true", help="two ranks, the last of them alone")
    parser.add_argument("--launcher", default="mpiexec", help="of the environment's, with options")
    parser.add_argument("faults", nargs="*", default=list(FAULTS), metavar="FAULT")
    asked = parser.parse_args()
    total = Counter[str]()
    for fault in asked.faults:
        sizes = product((2,), ("last",)) if asked.quick else product((2, 3, 4), ("first", "last"))
        for (ranks, which), phase in product(sizes, PHASES):
            who = 0 if which == "first" else ranks - 1
            short = case(asked.launcher.split(), fault, phase, who, ranks)
            total[fault] += 1
            total["short"] += bool(short)
            for words in short:
                print(f"{fault}, {phase}, rank {who} of {ranks}: {words}", flush=True)
        print(f"{fault:12} {total[fault]} jobs", flush=True)
    print(f"{sum(total.values()) - total['short']} jobs, {total['short']} fell short")


if __name__ == "__main__":
    main()
