"""What a GPU does for a round: python benchmarks/gpu.py [--small]

Checks the device against the host, then measures: the FP64 matrix rate and the copy bandwidth of the card, Hessians as
a share of that rate, whole rounds beside the host's (one core, one BLAS thread), and what crosses between host and
device in a round. Medians after a warm-up, random data. Needs CuPy and a GPU; --small is for trying the script.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Self

import numpy as np

import newtonfl as nf
from newtonfl.core import backend
from newtonfl.kernels.select import largest
from newtonfl.methods import Method
from newtonfl.objectives.glm import GLM
from newtonfl.objectives.losses import Logistic

Lines = list[tuple[str, str]]
METHODS: dict[str, Callable[[], Method]] = {
    "fednl topk:8d": lambda: nf.fednl(compressor=nf.TopK("8d"), init="zero"),
    "newton-3pc topk:8d": lambda: nf.newton_3pc(compressor=nf.TopK("8d"), init="zero"),
    "gd": lambda: nf.gd(),
}


def seconds(work: Callable[[], object], repeats: int = 7) -> float:
    """The median time of `work` on the device, by events, after two runs that are not counted."""
    from cupyx.profiler import benchmark

    return float(np.median(benchmark(work, n_warmup=2, n_repeat=repeats).gpu_times))


def card(cp: Any, small: bool) -> tuple[Lines, float]:
    """The card's own measured limits, and its FP64 matrix rate in flop/s."""
    n = 1024 if small else 8192
    left, right = cp.random.standard_normal((2, n, n))
    rate = 2.0 * n**3 / seconds(lambda: left @ right)
    source = cp.random.standard_normal((1 if small else 256) << 20)
    copied = cp.empty_like(source)
    bandwidth = 2.0 * source.nbytes / seconds(lambda: cp.copyto(copied, source))
    name = cp.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return [
        ("card", name),
        (f"FP64 matrix product, {n}", f"{rate / 1e12:.1f} Tflop/s"),
        ("device copy, read and written", f"{bandwidth / 1e12:.2f} TB/s"),
    ], rate


def problem(n: int, m: int, d: int, like: Any) -> GLM:
    """n clients of m dense rows each in d columns, logistic loss."""
    draw = np.random.Generator(np.random.SFC64(5))
    rows = draw.standard_normal((n * m, d)) / np.sqrt(d)
    labels = np.where(rows[:, 0] + 0.1 * draw.standard_normal(n * m) > 0, 1.0, -1.0)
    more = {"like": like, "n_clients": n, "ridge": 1e-3, "objective": "random rows"}
    return GLM(rows, labels, [m] * n, Logistic(), float(n * m), **more)


def apart(device: Any, host: Any) -> float:
    """‖device − host‖ / ‖host‖."""
    return float(np.linalg.norm(backend.to_host(device) - host) / np.linalg.norm(host))


def check(device: GLM, host: GLM, name: str) -> Lines:
    """Gradients, Hessians and selections of the device beside the host's."""
    x = np.random.Generator(np.random.SFC64(6)).standard_normal(host.dim)
    ours, theirs = device.at(backend.to_device(x, device.like)), host.at(x)
    hessians = theirs.hessians
    k = 8 * host.dim
    on_device = largest(backend.to_device(hessians.values, device.like), hessians.offsets, k)
    on_host = largest(hessians.values, hessians.offsets, k)
    same = all(np.array_equal(a, b) for a, b in zip(on_device, on_host, strict=True))
    return [
        (f"{name}: gradients, relative error", f"{apart(ours.gradient, theirs.gradient):.1e}"),
        (f"{name}: Hessians, relative error", f"{apart(ours.hessians.values, hessians.values):.1e}"),
        (f"{name}: Top-{k} of each client", "the same" if same else "DIFFERENT"),
    ]


class Traffic:
    """Counts what crosses between host and device while it is on."""

    def __enter__(self) -> Self:
        self.up = self.down = self.calls = 0
        to_device, to_host = backend.to_device, backend.to_host
        self.kept: list[tuple[Any, str, Any]] = []

        def counted_up(array: Any, like: Any) -> Any:
            if not backend.on_host(like):
                self.up, self.calls = self.up + array.nbytes, self.calls + 1
            return to_device(array, like)

        def counted_down(array: Any) -> Any:
            if not backend.on_host(array):
                self.down, self.calls = self.down + array.nbytes, self.calls + 1
            return to_host(array)

        for module in [m for name, m in sys.modules.items() if name.startswith("newtonfl")]:
            for name, counted in (("to_device", counted_up), ("to_host", counted_down)):
                if name in vars(module):
                    self.kept.append((module, name, vars(module)[name]))
                    setattr(module, name, counted)
        return self

    def __exit__(self, *error: object) -> None:
        for module, name, function in self.kept:
            setattr(module, name, function)


def round_seconds(problem: nf.Problem, method: Method, rounds: int) -> tuple[float, nf.Result]:
    """The median wall clock of a round but the first two, objective values left out."""
    result = nf.solve(problem, method, rounds=rounds, tol=0.0)
    clock = [record.seconds for record in result.history]
    return statistics.median([after - before for before, after in pairwise(clock)][2:]), result


def rounds(device: nf.Problem, host: nf.Problem | None, name: str, count: int) -> Lines:
    """Whole rounds of every method, their traffic, and the host's where there is one."""
    lines = []
    for label, make in METHODS.items():
        ours, result = round_seconds(device, make(), count)
        with Traffic() as few:
            nf.solve(device, make(), rounds=2, tol=0.0)
        with Traffic() as more:
            nf.solve(device, make(), rounds=4, tol=0.0)
        crossing = f"{(more.up - few.up) / 2e6:,.1f} MB up, {(more.down - few.down) / 2e6:,.1f} MB down"
        text = f"{1e3 * ours:,.1f} ms a round; {crossing}, {(more.calls - few.calls) / 2:.0f} copies"
        if host is not None:
            theirs, same = round_seconds(host, make(), count)
            text += f"; host {1e3 * theirs:,.1f} ms; x apart {apart(result.x, same.x):.1e}"
        lines.append((f"{name}: {label}", text))
        print(*lines[-1], sep=": ", flush=True)
    return lines


def main(words: list[str]) -> None:
    small = "--small" in words
    cp = backend.cupy()
    lines, rate = card(cp, small)
    for line in lines:
        print(*line, sep=": ", flush=True)
    like = cp.zeros(0)
    n, m, d = (4, 60, 20) if small else (4, 4096, 2000)
    host, device = (problem(n, m, d, each) for each in (np.zeros(0), like))
    lines += check(device, host, f"{n} × {m} × {d}")
    lines += rounds(device, host, f"{n} × {m} × {d}", 5)
    if "NEWTONFL_DATA" in os.environ:
        for name in ("phishing", "w8a"):
            device, host = nf.load(name, device="cuda"), nf.load(name)
            lines += rounds(device, host, name, 8)
    n, m, d = (8, 60, 20) if small else (64, 4096, 2000)
    begun = time.perf_counter()
    device = problem(n, m, d, like)
    lines.append((f"{n} × {m} × {d}: set up", f"{time.perf_counter() - begun:.1f} s"))
    x = cp.random.standard_normal(d)
    flops = n * m * d * (d + 1.0)  # of the triangles alone: a multiplication and an addition an entry
    took = seconds(lambda: device._at(x).hessians, 3)
    share = f"{took * 1e3:.1f} ms, {flops / took / 1e12:.1f} Tflop/s, {100 * flops / took / rate:.0f} % of the rate"
    lines.append((f"{n} × {m} × {d}: Hessians", share))
    lines += rounds(device, None, f"{n} × {m} × {d}", 6)
    lines.append(("device memory, most", f"{cp.get_default_memory_pool().total_bytes() / 1e9:.1f} GB"))
    print("\n" + "\n".join(f"| {left} | {right} |" for left, right in lines))


if __name__ == "__main__":
    main(sys.argv[1:])
