"""newtonfl compare: several methods on one start; a table on stdout, and everything else in a folder."""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from newtonfl.cli.run_spec import LoadedProblem, RunSpec, at_least, report_errors
from newtonfl.cli.signals import Interrupts
from newtonfl.comm.transport import Transport
from newtonfl.experiments.compare import Comparison, ending
from newtonfl.experiments.run_methods import Solution, resolve, run_methods
from newtonfl.results import figures
from newtonfl.results.folder_lock import FolderLock
from newtonfl.results.network import Network
from newtonfl.results.progress import Progress
from newtonfl.results.record import Record
from newtonfl.results.run_folder import RunFolder, keep
from newtonfl.solver.limits import Limits
from newtonfl.solver.result import Reason, Result


@dataclass
class Comparing:
    """Everything that was settled before the first round."""

    opened: LoadedProblem
    solution: Solution
    plans: dict[str, RunSpec]
    network: Network | None
    out: Path | None


def compare_command(args: argparse.Namespace, transport: Transport, interrupts: Interrupts) -> int:
    """Do ``newtonfl compare``; returns the exit status, the same on every rank."""
    with ExitStack() as opened:
        return report_errors(
            lambda: _prepare(args, transport, interrupts, opened),
            lambda job: _carry_out(job, args, transport, interrupts),
            transport,
        )


def _prepare(
    args: argparse.Namespace, transport: Transport, interrupts: Interrupts, opened_folders: ExitStack
) -> Comparing:
    """Read and check everything, and refuse what must be refused before a round is done."""
    with transport.agreed("reading the command line"):
        network = None if args.network is None else Network.parse(args.network)
        folders = folder_names(args.methods)
        if args.out and transport.rank == 0:
            for name in folders.values():
                keep(args.out / name, args.force)
    opened = LoadedProblem.of(args, transport)
    problem, run, solution = opened.problem, opened.run, Solution(opened.problem)
    with transport.agreed("checking the settings"):
        rounds = at_least(0, "--rounds", args.rounds, run.get("rounds", 1000))
        seed = at_least(0, "--seed", args.seed, run.get("seed", 0))
        origin = opened.origin(args.x0, transport)
        limits = Limits(None, *(getattr(args, key) or run.get(key) for key in ("max_bytes", "max_seconds")))
    x0 = origin.at(problem, solution)
    entries = resolve(problem, args.methods, solution, x0, seed)
    plans = {
        label: RunSpec(opened, method, origin, x0, rounds, 0.0, seed, limits=limits)
        for label, method in entries.items()
    }
    interrupts.begin_rounds()  # before a folder is opened, which must be closed well
    with transport.agreed("opening --out"):
        if args.out and transport.rank == 0:
            opened_folders.enter_context(FolderLock(args.out))
            for label, plan in plans.items():
                plan.folder = opened_folders.enter_context(RunFolder(args.out / folders[label], args.force))
                plan.write(plan.folder)
    return Comparing(opened, solution, plans, network, args.out)


def _carry_out(job: Comparing, args: argparse.Namespace, transport: Transport, interrupts: Interrupts) -> int:
    lines: dict[str, Progress] = {}

    def callback(label: str, record: Record) -> bool:
        if job.out and args.force and not lines:
            figures.remove_comparison(job.out)
        if label not in lines:
            lines[label] = Progress(label, silent=args.quiet, rounds=first.rounds)
        lines[label](record)
        folder = job.plans[label].folder
        if folder:
            folder.record(record)
        return interrupts.stop()

    first = next(iter(job.plans.values()))
    rounds, entries = first.rounds, {label: plan.method for label, plan in job.plans.items()}
    runs = run_methods(
        first.problem, entries, job.solution, rounds=rounds, x0=first.x0, seed=first.seed, callback=callback,
        max_bytes=first.limits.max_bytes, max_seconds=first.limits.max_seconds,
    )  # fmt: skip
    results: dict[str, Result] = {}
    status = 0
    for label, result in runs:
        if label in lines:
            lines[label].close(in_log=False)
        if result.reason is Reason.STOPPED and not ending(result, job.solution.measure)[0]:
            result = replace(result, detail=f"{interrupts.agree()} came in round {result.rounds}")
            status = interrupts.status
        with transport.agreed("writing a result"):
            _finish(job.plans[label], label, len(results), result, ending(result, job.solution.measure), transport.size)
        results[label] = result
        if status:  # those that have not begun leave their folders as they were
            break
    comparison = Comparison(results, job.solution.measure, first.problem.title)
    table = "\n".join([*_head(first, rounds, transport.size), "", comparison.table(job.network)])
    with transport.agreed("writing the comparison"):
        written = _write(comparison, table, job) if job.out and transport.rank == 0 else []
    print(table)
    if job.out:
        print(f"written to      {', '.join(str(path) for path in [job.out, *written])}")
    return status


def _finish(plan: RunSpec, label: str, entry: int, result: Result, end: tuple[bool, str], ranks: int) -> None:
    """Complete one method's folder; run.toml then says how many rounds were done, so that a solve stops there too."""
    if plan.folder:
        plan.rounds = result.rounds
        plan.write(plan.folder)
        summary = {
            **plan.summary(result, ranks), "reason": end[1], "converged": end[0],
            "comparison": {"label": label, "entry": entry},
        }  # fmt: skip
        plan.folder.finish(result.x, summary)


def _head(plan: RunSpec, rounds: int, ranks: int) -> list[str]:
    """What was compared on."""
    problem = plan.problem
    spread = "in one process" if ranks == 1 else f"on {ranks} ranks"
    return [
        f"{name:16}{words}"
        for name, words in (
            ("problem", problem.title),
            ("objective", problem.objective),
            *problem.schema.lines(),
            ("clients", f"{problem.n_clients} {spread}, dimension {problem.dim}, {plan.opened.device}"),
            ("start", f"{plan.origin.words}, at most {rounds} rounds, seed {plan.seed}"),
        )
    ]


def _write(comparison: Comparison, table: str, job: Comparing) -> list[Path]:
    """comparison.csv, comparison.txt and the pictures; returns the pictures."""
    assert job.out is not None
    comparison.to_csv(job.out / figures.COMPARISON[0], job.network)
    (job.out / figures.COMPARISON[1]).write_text(table + "\n", encoding="utf-8")
    try:
        return figures.compared(comparison.histories, job.out, comparison.measure, comparison.title, job.network)
    except RuntimeError as error:  # no matplotlib: the runs are kept all the same
        print(f"newtonfl: no pictures: {error}; `newtonfl plot {job.out}` draws them later", file=sys.stderr)
        return []


def folder_names(labels: list[str]) -> dict[str, str]:
    """A folder's name for each label: letters, digits and .=+- of it, and a number where two become the same."""
    found: dict[str, str] = {}
    for label in labels:
        safe = re.sub(r"[^A-Za-z0-9.=+-]+", "_", label).strip("._")[:80] or "method"
        name, number = safe, 1
        while name.lower() in {taken.lower() for taken in found.values()}:
            number += 1
            name = f"{safe}_{number}"
        found[label] = name
    return found
