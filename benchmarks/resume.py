"""Solves killed after every round on 3 ranks, gone on with on 1, 2 and 4: python benchmarks/resume.py [METHOD …]

Each of twelve rounds of bl1, newton-3pc-bc-pp, fednl-cr, adacgd, ef21-pp and m-fac is a job that its rank 0 ends by
SIGKILL; each of three jobs then goes on from a copy of its folder. x, the history (but times) and the ledger are
compared with those of the solve that nobody killed. A line a method.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "tests" / "support" / "mpi_programs" / "checkpointed.py"
METHODS = ("bl1", "newton-3pc-bc-pp", "fednl-cr", "adacgd", "ef21-pp", "m-fac")
ROUNDS = 12


def job(ranks: int, name: str, folder: Path, kill: int) -> subprocess.CompletedProcess[str]:
    """One solve on so many ranks."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    words = [str(mpiexec), "-n", str(ranks), sys.executable, str(PROGRAM), name, str(folder), str(kill)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def main() -> None:
    for name in sys.argv[1:] or METHODS:
        equal = jobs = 0
        with tempfile.TemporaryDirectory() as place:
            whole = json.loads(job(1, name, Path(place) / "whole", -1).stdout)
            for kill in range(1, ROUNDS + 1):
                killed = Path(place) / f"killed {kill}"
                assert job(3, name, killed, kill).returncode != 0
                for ranks in (1, 2, 4):
                    folder = Path(place) / f"on {ranks}, {kill}"
                    shutil.copytree(killed, folder)
                    ended, jobs = job(ranks, name, folder, -1), jobs + 1
                    equal += ended.returncode == 0 and json.loads(ended.stdout) == whole
        print(f"{name:20} {equal} of {jobs} equal", flush=True)


if __name__ == "__main__":
    main()
