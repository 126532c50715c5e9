"""What packets cost: python benchmarks/wire.py [--repeats N] [SIZE …]

A packet of one part in every message form, about vectors of 10³ to 10⁶ coordinates unless sizes are named (a matrix is
the largest whose triangle fits): its bytes beside the papers' formula, whose bits are written as bytes, and the CPU
time to encode and to decode it, medians. Sparse forms carry one coordinate in 32, drawn evenly.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import numpy as np
from timing import machine

from newtonfl.comm.heads import Kind
from newtonfl.comm.messages import (
    FORMS,
    Choice,
    Dense,
    Factors,
    Indices,
    Integers,
    Lattice,
    Levels,
    LowRank,
    Message,
    Nothing,
    Run,
    Several,
    Sparse,
)
from newtonfl.comm.packets import Packet, decode, encode
from newtonfl.core.backend import one_blas_thread

SIZES = (1_000, 10_000, 100_000, 1_000_000)
SHARE = 32  # one coordinate of so many in the sparse forms


def messages(size: int) -> list[tuple[str, Message, int]]:
    """A message of each form, its name, and how many coordinates its vector has."""
    draw = np.random.Generator(np.random.Philox(size))
    values = draw.standard_normal(size)
    k = max(size // SHARE, 1)
    places = np.sort(draw.choice(size, k, replace=False))
    dim = (math.isqrt(8 * size + 1) - 1) // 2
    triangle = dim * (dim + 1) // 2
    codes = draw.integers(-3, 4, size)
    sparse = Sparse(places, values[:k])
    return [
        ("nothing", Nothing(), size),
        ("dense", Dense(values), size),
        ("dense, float32", Dense(values, precision="float32"), size),
        ("dense, natural", Dense(values, precision="natural"), size),
        ("indices", Indices(places), size),
        ("sparse", sparse, size),
        ("sparse, float32", sparse.to_precision("float32"), size),
        ("sparse, natural", sparse.to_precision("natural"), size),
        ("integers", Integers.of_many(codes, np.array([size]), np.array([-9]))[0], size),
        ("lattice, the same code", Lattice(Integers.of_many(codes, np.array([size]), np.array([-9]))[0].code), size),
        ("run", Run(k, values[:k], size), size),
        ("levels", Levels(codes, np.array([1.5]), 3), size),
        ("levels of some", Levels(codes[:k], np.array([1.5]), 3, 2, places), size),
        ("low rank 1", LowRank(values[None, :dim], np.array([1.0])), triangle),
        ("factors of rank 1", Factors(Dense(values[:dim]), Dense(values[-dim:]), 1), triangle),
        ("choice", Choice(1, sparse), size),
        ("several", Several((sparse, Run(0, values[:k], size))), size),
    ]


def seconds(call: Callable[[], object], repeats: int) -> float:
    """The median CPU seconds of a call, each taken over a millisecond of calls at least."""
    begun = time.process_time()
    call()
    times = max(int(1e-3 / (time.process_time() - begun + 1e-9)), 1)
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        for _ in range(times):
            call()
        taken.append((time.process_time() - begun) / times)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description="Bytes and CPU time of packets of every form.")
    parser.add_argument("sizes", nargs="*", type=int, metavar="SIZE", default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    print(machine())
    for size in asked.sizes:
        cases = messages(size)
        assert {message.form for _, message, _ in cases} == set(FORMS)
        print(f"\n### {size:,} coordinates\n")
        print("| form | bytes | formula | ratio | encode, µs | decode, µs |")
        print("|---|--:|--:|--:|--:|--:|")
        for name, message, coordinates in cases:
            packet = Packet(Kind.REPLY, 1, 0, 0, {"curvature": message})
            with one_blas_thread():
                buffer = encode(packet)
                view = memoryview(buffer)
                writing = seconds(lambda packet=packet: encode(packet), asked.repeats)
                reading = seconds(lambda view=view, n=coordinates: decode(view, lambda *_: n), asked.repeats)
            formula = packet.formula_bits / 8
            times = f"{len(buffer) / formula:.2f}" if formula else "–"
            cells = f"{len(buffer):,} | {formula:,.0f} | {times} | {1e6 * writing:,.1f} | {1e6 * reading:,.1f}"
            print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
