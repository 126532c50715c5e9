"""A GPU for every rank, and the same script where there is none.

Start it with ``mpiexec -n 2 python mpi_examples/03_a_gpu_per_rank.py``, best with as many ranks as the machine has
GPUs; with more ranks they share. A rank finds its number among the ranks of its own machine and leaves itself one GPU
to see; ``device="auto"`` then takes it, or the CPU where there is no GPU. GPUs need ``pip install 'newtonfl[gpu]'``.
A GPU adds in another order than a CPU, so the last digits differ; how far they may, strong convexity says.
"""

import os
from pathlib import Path

import numpy as np
from mpi4py import MPI

import newtonfl as nf

comm = MPI.COMM_WORLD
local = comm.Split_type(MPI.COMM_TYPE_SHARED).rank  # 0, 1, … on each machine

# What the batch system granted, else what the driver shows. The first load starts CUDA, and then it is too late.
granted = os.environ.get("CUDA_VISIBLE_DEVICES")
if granted is None:
    granted = ",".join(str(i) for i, _ in enumerate(Path("/dev").glob("nvidia[0-9]*")))
if granted:
    gpus = granted.split(",")
    os.environ["CUDA_VISIBLE_DEVICES"] = gpus[local % len(gpus)]

method = nf.newton_3pc(compressor=nf.TopK("8d"))  # eight times as many entries of a Hessian as x has
problem = nf.load("digits", comm=comm, device="auto")
result = nf.solve(problem, method)

where = "CPU" if isinstance(problem.like, np.ndarray) else f"GPU {os.environ['CUDA_VISIBLE_DEVICES']}"
places = comm.gather(f"rank {comm.rank} on {MPI.Get_processor_name()}: {where}")
if comm.rank == 0:
    print(*places, sep="\n")
    print(f"{result.reason}, in {result.rounds} rounds and {result.history[-1].seconds:.2f} s")
    cpu = nf.solve(nf.load("digits", device="cpu"), method)
    # f is λ-strongly convex: whoever has a gradient of norm g is at most g/λ away from the minimiser.
    apart = (result.history[-1].gradient_norm + cpu.history[-1].gradient_norm) / problem.strong_convexity
    assert result.converged and cpu.converged
    assert np.linalg.norm(result.x - cpu.x) <= apart, "the answer is not the CPU's"
    if all(place.endswith("CPU") for place in places):
        assert result.x_sha256 == cpu.x_sha256, "x has other bits than in one process"
    print(f"x is {np.linalg.norm(result.x - cpu.x):.1e} away from the CPU's, where {apart:.1e} is allowed")
