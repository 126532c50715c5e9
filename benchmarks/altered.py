"""Altered packets: python benchmarks/altered.py [SECONDS] [SEED]

One packet of a solve is altered on its way, with the checksum made right again, as tests/support/altered.py does: kind,
round, client, flags, a section's part or form, a section out, twice or elsewhere, a byte, a cut, bytes more. Counts how
solves of all presets end: refused (WireError), the same x, other numbers; anything else is printed with its trace.
As many packets of these solves are altered without that, in some of their bytes, cut or made longer, and must all be
refused where they are read. Of one in a hundred the memory is measured that reading it takes at its peak.
"""

from __future__ import annotations

import copy
import sys
import time
import traceback
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from timing import machine

import newtonfl as nf
from newtonfl import registry
from newtonfl.comm.coding import WireError
from newtonfl.comm.envelope import unpack
from newtonfl.comm.packets import decode_many
from newtonfl.comm.parts import Sizes
from newtonfl.comm.transport import InProcess

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from altered import CHANGES, Altering, altered
from packet_lengths import first_of

ROUNDS = 2


class Listening(InProcess):
    """In process, with all packets laid out, which are kept."""

    lays_out_all = True

    def __init__(self) -> None:
        self.buffers: list[bytes] = []

    def broadcast(self, buffer: bytes | None) -> bytes:
        self.buffers.append(buffer or b"")
        return super().broadcast(buffer)

    def gather(self, buffer: bytes) -> list[bytes]:
        self.buffers.append(buffer)
        return super().gather(buffer)


def packets_of(name: str, problem: nf.Problem, method: nf.methods.Method) -> list[bytes]:
    """All packets of a solve."""
    mine, transport = copy.copy(problem), Listening()
    mine.transport = transport
    nf.solve(mine, method, rounds=ROUNDS, tol=0.0)
    found = []
    for buffer in transport.buffers:
        arrays = unpack(buffer)[0] if buffer[8:9] == b"{" else {}
        whole = arrays["packets"].tobytes() if len(arrays.get("packets", ())) else b""
        while whole:
            length = first_of(whole)
            found.append(whole[:length])
            whole = whole[length:]
    return found


def damaged(packet: bytes, draw: np.random.Generator) -> bytes:
    """Some of its bytes other ones, or cut, or made longer."""
    content = bytearray(packet)
    match draw.integers(4):
        case 0:
            content[draw.integers(len(content))] ^= 1 << draw.integers(8)
        case 1:
            at = int(draw.integers(len(content)))
            content[at : at + 8] = draw.bytes(len(content[at : at + 8]))
        case 2:
            del content[draw.integers(len(content)) :]
        case _:
            content += draw.bytes(int(draw.integers(1, 9)))
    return bytes(content)


def is_read(packet: bytes, sizes: Sizes) -> bool:
    try:
        with np.errstate(all="ignore"):
            decode_many(np.frombuffer(packet, np.uint8), [len(packet)], sizes)
    except WireError:
        return False
    return True


def main() -> None:
    seconds, seed = (float(sys.argv[1]) if len(sys.argv) > 1 else 60.0), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    draw = np.random.default_rng(seed)
    X, y = draw.standard_normal((12, 3)), draw.integers(0, 2, 12)
    problem = nf.from_arrays(X, y, "logistic", l2=0.1, clients=3)
    names = [name for name in registry.METHODS if not registry.asks_for_optimum(name)]
    methods = {name: registry.method(name).resolved(problem) for name in names}
    warnings.simplefilter("ignore")

    def solve(name: str, transport: Altering | None) -> str:
        mine = copy.copy(problem)
        mine.transport = transport
        with np.errstate(all="ignore"):
            return nf.solve(mine, methods[name], rounds=ROUNDS, tol=0.0).x_sha256

    whole = {name: solve(name, None) for name in names}
    ends: Counter[str] = Counter()
    seen = [packet for name in names for packet in packets_of(name, problem, methods[name])]
    sizes, peak = (lambda part, clients, decoded: problem.dim), 0.0
    until, slowest = time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        name, change = names[draw.integers(len(names))], CHANGES[draw.integers(len(CHANGES))]
        transport, begun = Altering(change, int(draw.integers(1, 7)), draw), time.monotonic()
        try:
            end = "the same x" if solve(name, transport) == whole[name] else "other numbers"
        except WireError:
            end = "refused"
        except Exception as error:
            end = type(error).__name__
            print(f"{name}, {change}: {traceback.format_exc()}", flush=True)
        slowest = max(slowest, time.monotonic() - begun)
        packet = seen[draw.integers(len(seen))]
        changed = damaged(packet, draw)
        if damaged_is_read := changed != packet and is_read(changed, sizes):
            print(f"read with a wrong checksum: {changed.hex()}", flush=True)
        ends["damaged"] += not damaged_is_read
        if ends["damaged"] % 100 == 0:
            sealed = altered(packet, CHANGES[draw.integers(len(CHANGES))], draw)
            tracemalloc.start()
            is_read(sealed, sizes)
            peak = max(peak, tracemalloc.get_traced_memory()[1] / (20 * (len(sealed) + 8 * problem.dim) + 65536))
            tracemalloc.stop()
        ends["altered"] += transport.done
        ends[end] += 1
    print(machine())
    whole_solves = sum(ends.values()) - ends["altered"] - ends["damaged"]
    print(f"{whole_solves:,} solves: {dict(ends.most_common())}; the slowest {slowest:.2f} s; memory {peak:.2f} of 1")


if __name__ == "__main__":
    main()
