"""Solves several problems on however many ranks there are, and tells a line of JSON a solve.

Run as a program: ``python same_bits.py JOB …`` with jobs from :data:`JOBS`, or hands of presets from :data:`HANDS`. In
process without a launcher.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

import newtonfl as nf
from newtonfl import registry
from newtonfl.comm.envelope import unpack
from newtonfl.comm.launcher import launched
from newtonfl.comm.mpi import MPITransport
from newtonfl.comm.transport import InProcess

sys.path.insert(0, str(Path(__file__).parents[1]))

from packet_lengths import first_of

JOBS = {
    "breast_cancer": ("breast_cancer", 16, lambda p: nf.newton_3pc(), 1000),
    "random": ("breast_cancer", 16, lambda p: nf.newton_3pc(compressor=nf.RandK(40), wire="float32"), 40),
    "rank": ("breast_cancer", 16, lambda p: nf.fednl(shift_norm="spectral"), 40),
    "project": ("breast_cancer", 16, lambda p: nf.fednl(compressor=nf.TopK("8d"), step="project", ridge="clients"), 15),
    "a1a": ("a1a", 16, lambda p: nf.newton_3pc(), 1000),
    "w8a": ("w8a", 142, lambda p: nf.newton_3pc(), 20),
    "game": ("game", 8, lambda p: nf.masha2(down=nf.TopK(4), stepsize="theory*8"), 60),
    "chunks": ("breast_cancer", 16, lambda p: nf.newton(), 3),
}

VARIED = {
    "newton-3pc": {"mechanism": "adacgd:2,topk:5", "basis": "psd", "gradient": "topk:20", "model": "topk:20"},
    "fednl": {"mechanism": "cbag:0.5", "compressor": "powersgd:1", "l": "last", "wire": "float32"},
    "newton-3pc-bc-pp": {"mechanism": "3pc-v5:0.5", "basis": "data", "participation": "independent:0.4"},
    "bl2": {"compressor": "topk:1r+natural", "model": "3pc-v4:topk:9/topk:9", "gradient_p": "0.5"},
    "newton-3pc-ls": {"mechanism": "3pc-v2:randk:9", "compressor": "dithering", "ridge": "clients", "line_search": "4"},
    "ef21": {"down": "adacgd:1,topk:2/topk:9", "batch": "5", "participation": "all", "ridge": "clients"},
    "adacgd": {"levels": "topk:1,natural,topk:9", "down": "3pc-v5:0.5/topk:5", "wire": "float32"},
    "marina": {"compressor": "permk", "p": "0.3"},
    "vr-marina": {"compressor": "permk", "batch": "5", "wire": "float32", "ridge": "clients"},
    "artemis": {"down": "exact", "participation": "independent:0.4", "compressor": "natural"},
    "m-fac": {"over": "aggregate", "compressor": "topk:5", "algorithm": "static", "window": "3"},
    "ef21-pp": {"wire": "float32", "compressor": "randk:5", "participation": "independent:0.3"},
}
"""Settings far from the presets' own: several sockets of the round at work at once."""


def preset(name, settings=None):
    """A job: a few rounds of the preset `name` on seven clients."""

    def make(problem):
        extra = {"optimum": nf.optimum(problem)[0]} if registry.asks_for_optimum(name) else {}
        return registry.method(name, {**(settings or {}), **extra})

    return "breast_cancer", 7, make, 5


PRESETS = {f"preset {name}": preset(name) for name in registry.METHODS}
PRESETS |= {f"varied {name}": preset(name, settings) for name, settings in VARIED.items()}
JOBS |= PRESETS
HANDS = {f"hand {k}": list(PRESETS)[k::6] for k in range(6)}
"""All presets, dealt."""


def counting(base):
    """A transport that counts the packets in the buffers that pass through it, apart from the ledger."""

    class Counting(base):
        lays_out_all = True

        def __init__(self, *args):
            super().__init__(*args)
            self.counted = {"up": 0, "down": 0, "setup_up": 0, "setup_down": 0}
            self.call = None
            self.order = None
            self.swapped = 0

        def shares(self, n_clients):
            if self.order is None:
                return super().shares(n_clients)
            shuffled = np.random.Generator(np.random.Philox(self.order)).permutation(n_clients)
            return [np.sort(part) for part in np.array_split(shuffled, self.size)]

        def broadcast(self, buffer):
            whole = super().broadcast(buffer)
            if whole[8:].startswith(b"{"):
                arrays, facts = unpack(whole)
                self.call = facts.get("call")
                self.senders = arrays.get("participants")
                if self.call in ("setup", "round", "mix") and len(arrays["packets"]):
                    # The first packet goes to all that hear, each of the others to one client.
                    packets = arrays["packets"].tobytes()
                    first = first_of(packets)
                    self.counted[self.way("down")] += first * len(arrays["recipients"]) + len(packets) - first
            return whole

        def swap(self, outbox):
            """On a ring, or over one edge: what goes to another rank is among the rank's own as well."""
            if self.rank in outbox:
                neighbours = 1 if len(self.senders) == 2 else 2
                self.swapped += neighbours * unpack(outbox[self.rank])[0]["packets"].nbytes
            return super().swap(outbox)

        def gather(self, buffer):
            parts = super().gather(buffer)
            if self.call in ("setup", "round"):
                self.counted[self.way("up")] += sum(unpack(part)[0]["packets"].nbytes for part in parts)
            self.call = None
            return parts

        def way(self, direction):
            return f"setup_{direction}" if self.call == "setup" else direction

    return Counting


def main() -> None:
    if launched() is None:
        transport = counting(InProcess)()
    else:
        from mpi4py import MPI

        transport = counting(MPITransport)(MPI.COMM_WORLD)
    for job in [job for word in sys.argv[1:] for job in HANDS.get(word, [word])]:
        name, clients, method, rounds = JOBS[job]
        # Dealt in order, and at random; the largest problem at random on three ranks alone, for the time it takes.
        at_random = transport.size > 1 and (job != "w8a" or transport.size == 3)
        for order in (None, 1) if at_random else (None,):
            transport.order = order
            transport.counted, transport.swapped = dict.fromkeys(transport.counted, 0), 0
            problem = nf.load(name, clients=clients, comm=transport)
            problem.transport = transport
            result = nf.solve(problem, method(problem), rounds=rounds)
            lines = [{k: v for k, v in json.loads(r.to_json()).items() if k != "seconds"} for r in result.history]
            told = {
                "job": job,
                "order": order,
                "x": result.x_sha256,
                "rounds": result.rounds,
                "reason": result.reason.name,
                "history": hashlib.sha256(json.dumps(lines).encode()).hexdigest(),
                "ledger": result.ledger.totals(),
                "each": hashlib.sha256(result.ledger.up.bytes.tobytes()).hexdigest(),
            }
            every = transport.gather(json.dumps(told).encode())
            swapped = sum(map(int, transport.gather(str(transport.swapped).encode())))
            if transport.rank == 0:
                transport.counted["up"] += swapped
                transport.counted["down"] += swapped
                assert len(set(every)) == 1, "ranks returned different results"
                print(json.dumps({**told, "counted": transport.counted}), flush=True)


if __name__ == "__main__":
    main()
