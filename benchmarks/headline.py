"""FedNL from a cold start: python benchmarks/headline.py [--peer CMD] [--rounds N] [--repeats N] [--method M] [SET …]

Top-8d, 142 clients, λ = 1e-3, on w8a, a9a and phishing unless sets are named. Every run is a fresh process, so that its
CPU seconds hold the import, the load and the set-up. With --peer the command CMD, in which {name} is the set's name and
{rounds} the number of rounds, runs in turn with ours, and ratios are taken pair by pair. Where numba can be had, both
forms of the loops are measured: numba's, from its disk cache, and NumPy's. Needs the data that NEWTONFL_DATA names.
"""

from __future__ import annotations

import argparse
import shlex
from itertools import combinations

from timing import Cost, in_turn, machine, median, python, ratio, run

SETS = ("w8a", "a9a", "phishing")
WITHOUT = "import sys; sys.modules['numba'] = None\n"  # as where it is not installed
PROGRAM = """
import json, sys, time
import newtonfl as nf
from newtonfl.solver.stopping import StoppingRule
StoppingRule.reason = lambda self, record, x: None  # as a peer's, its rounds go on where x stands still
name, rounds, method = sys.argv[1], int(sys.argv[2]), sys.argv[3]
imported = time.process_time()
problem = nf.load(name, clients=142, l2=1e-3)
loaded = time.process_time()
stamps = []
result = nf.solve(problem, method, rounds=rounds, tol=0.0, callback=lambda record: stamps.append(time.process_time()))
each = sorted(after - before for before, after in zip(stamps, stamps[1:]))
last = result.history[-1]
print(json.dumps({
    "import": imported, "load": loaded - imported, "setup": stamps[0] - loaded, "round": each[len(each) // 2],
    "dim": problem.dim, "f": last.f, "gradient": last.gradient_norm, "up": last.bytes_up / max(last.round, 1),
}))
"""
COMPILED = """
import importlib, json
try:
    compiled = importlib.import_module("newtonfl.kernels.compiled")
except ModuleNotFoundError as error:
    if error.name != "newtonfl.kernels.compiled":
        raise
    print(json.dumps({"missing": "this newtonfl has no compiled kernels"}))
else:
    print(json.dumps({"missing": "" if compiled.available() else "numba is not installed"}))
"""


def forms() -> tuple[dict[str, str], str]:
    """The programs of the forms that can be had, by name, and in words what cannot."""
    missing = run(python(COMPILED)).values["missing"]
    return ({} if missing else {"numba": PROGRAM}) | {"numpy": WITHOUT + PROGRAM}, missing


def show(name: str, costs: list[Cost]) -> None:
    """One line of a form or a peer: its median, and of ours where the seconds go."""
    cost = median(costs)
    spread = f"{min(c.seconds for c in costs):.2f} to {max(c.seconds for c in costs):.2f}"
    line = f"  {name:8}{cost.seconds:9.2f} s ({spread}){cost.peak / 2**20:8.0f} MiB"
    if values := cost.values:
        line += "".join(f"   {part} {values[part]:.2f} s" for part in ("import", "load", "setup"))
        line += f"   a round {1e3 * values['round']:.2f} ms   {values['up']:,.0f} bytes up"
        line += f"   f {values['f']:.12f}   ‖∇f‖ {values['gradient']:.1e}"
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="FedNL from a cold start, beside a peer if there is one.")
    parser.add_argument("sets", nargs="*", metavar="SET", default=list(SETS))
    parser.add_argument("--peer", metavar="CMD", help="runs in turn; {name} and {rounds} are replaced in it")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--method", default="fednl,compressor=topk:8d")
    asked = parser.parse_args()
    programs, missing = forms()
    print(machine())
    print(f"{asked.method}, 142 clients, {asked.rounds} rounds, medians of {asked.repeats}")
    if missing:
        print(f"NumPy's form alone: {missing}")
    for name in asked.sets:
        commands = {form: python(program, name, asked.rounds, asked.method) for form, program in programs.items()}
        if "numba" in commands:
            run(python(PROGRAM, name, 2, asked.method))  # fills the disk cache
        if asked.peer:
            words = shlex.split(asked.peer)
            commands["peer"] = [word.replace("{name}", name).replace("{rounds}", str(asked.rounds)) for word in words]
        found = in_turn(commands, asked.repeats)
        print(f"{name}:")
        for form, costs in found.items():
            show(form, costs)
        seconds = {form: [cost.seconds for cost in costs] for form, costs in found.items()}
        for ours, other in combinations(seconds, 2):
            print(f"  {other} is {ratio(seconds[ours], seconds[other])} times {ours}")


if __name__ == "__main__":
    main()
