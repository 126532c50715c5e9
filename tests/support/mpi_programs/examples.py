"""Runs scripts one after the other on the ranks of one launch: ``python examples.py SCRIPT …``, JSON on rank 0.

Every script runs in an empty current folder. A script that fails is named, and ends the job; what is printed on
another rank than 0 is a failure, and so are files left behind.
"""

from __future__ import annotations

import io
import json
import os
import runpy
import sys
import tempfile
import time
import traceback
from contextlib import redirect_stdout
from pathlib import Path

from mpi4py import MPI


def run(script: Path) -> str:
    """Run one script as a program; what it printed."""
    printed = io.StringIO()
    sys.argv = [str(script)]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(printed):
        os.chdir(folder)
        runpy.run_path(str(script), run_name="__main__")
        assert not list(Path(folder).iterdir()), "the current folder is no longer empty"
        os.chdir("/")
    text = printed.getvalue()
    assert not MPI.COMM_WORLD.rank or not text, f"printed on rank {MPI.COMM_WORLD.rank}: {text}"
    return text


def main() -> None:
    comm = MPI.COMM_WORLD
    for script in map(Path, sys.argv[1:]):
        begun = time.perf_counter()
        try:
            text = run(script)
        except BaseException:
            traceback.print_exc()
            print(f"{script.name} failed on rank {comm.rank}", file=sys.stderr, flush=True)
            time.sleep(1.0)  # the launcher passes it on, and would not after an abort
            comm.Abort(1)
            raise
        gpus = comm.gather(os.environ.get("CUDA_VISIBLE_DEVICES"))
        seconds = time.perf_counter() - begun
        if comm.rank == 0:
            told = {"script": script.name, "ranks": comm.size, "text": text, "gpus": gpus, "seconds": seconds}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
