"""Memory over many rounds: mpiexec -n 2 python benchmarks/long_run.py [--rounds N] [METHOD …]

gd, ef21, adacgd and m-fac on breast_cancer, 20,000 rounds unless said otherwise: how much the resident memory of
each rank grows after the first 1000 rounds, how many files it holds open before and after, and what the job leaves in
/dev/shm. The history takes 50 to 80 bytes a round on rank 0; nothing else may grow.
"""

from __future__ import annotations

import argparse
import os
import threading
from pathlib import Path

import numpy as np
from timing import machine

import newtonfl as nf
from newtonfl.comm.launcher import launched


def resident() -> int:
    """Bytes of this process's memory that are in the machine's."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def shared() -> set[str]:
    return set(os.listdir("/dev/shm"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory over many rounds.")
    parser.add_argument("methods", nargs="*", default=["gd", "ef21", "adacgd", "m-fac"], metavar="METHOD")
    parser.add_argument("--rounds", type=int, default=20_000)
    asked = parser.parse_args()
    comm = None
    if launched() is not None:
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
    rank, size = (0, 1) if comm is None else (comm.Get_rank(), comm.Get_size())
    problem = nf.load("breast_cancer", clients=8, comm=comm)
    if not rank:
        print(f"{machine()}; {size} ranks, {asked.rounds} rounds")
    for method in asked.methods:
        files, names, seen = open_files(), shared(), dict[int, int]()

        def look(record: nf.Record, seen: dict[int, int] = seen) -> None:
            if record.round in (1000, asked.rounds):
                seen[record.round] = resident()

        # The other ranks have no callback: a thread looks at them, once their memory stands still.
        sizes: list[int] = []
        done = threading.Event()

        def watch(sizes: list[int] = sizes, done: threading.Event = done) -> None:
            while not done.wait(0.05):
                sizes.append(resident())

        watching = threading.Thread(target=watch)
        if rank:
            watching.start()
        result = nf.solve(problem, method, rounds=asked.rounds, tol=0.0, callback=look, rtol=0.0)
        done.set()
        if rank:
            watching.join()
            tenth = max(1, len(sizes) // 20)
            grown = int(np.median(sizes[-2 * tenth : -tenth])) - int(np.median(sizes[tenth : 2 * tenth]))
        else:
            grown = seen.get(result.rounds, resident()) - seen.get(1000, resident())
        grown_by_rank = [grown] if comm is None else comm.gather(grown, 0)
        if not rank:
            more = f"{open_files() - files} files, {len(shared() - names)} names in /dev/shm"
            kilobytes = ", ".join(f"{size / 1000:,.0f}" for size in grown_by_rank)
            print(f"{method:12} {result.rounds} rounds: {kilobytes} kB by rank; {more}", flush=True)


if __name__ == "__main__":
    main()
