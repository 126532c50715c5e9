"""newtonfl compare: several methods on one start; a table on stdout, and everything else in a folder."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from newtonfl.cli.continued import Goal, whole_runs
from newtonfl.cli.run_spec import LoadedProblem, RunSpec, at_least, report_errors
from newtonfl.cli.signals import Interrupts
from newtonfl.cli.watched import COLUMNS, monitors_named
from newtonfl.comm.transport import Transport
from newtonfl.experiments.compare import ACCURACIES, Comparison, accuracies_to, ending, seeds_from
from newtonfl.experiments.grids import expand
from newtonfl.experiments.run_methods import Solution, resolve, run_methods
from newtonfl.methods import Method
from newtonfl.results import figures
from newtonfl.results.figures import Look
from newtonfl.results.folder_lock import FolderLock
from newtonfl.results.history import History
from newtonfl.results.network import Network
from newtonfl.results.progress import Progress
from newtonfl.results.record import Record
from newtonfl.results.run_folder import RunFolder, keep
from newtonfl.solver.limits import Limits
from newtonfl.solver.result import Reason, Result


@dataclass(frozen=True)
class Comparing:
    """Everything about one problem's comparison that was settled before the first round."""

    opened: LoadedProblem
    solution: Solution
    methods: dict[str, Method]
    plans: dict[tuple[str, int], RunSpec]
    accuracies: tuple[float, ...]
    look: Look
    out: Path | None
    goal: Goal
    known: dict[tuple[str, int], Result] = field(default_factory=dict)
    """Runs that need not be done, as --out holds them."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of each method's runs."""
        return tuple(dict.fromkeys(seed for _, seed in self.plans))

    @property
    def first(self) -> RunSpec:
        """The plan of the first run."""
        return next(iter(self.plans.values()))


def compare_command(args: argparse.Namespace, transport: Transport, interrupts: Interrupts) -> int:
    """Do ``newtonfl compare``; returns the exit status, the same on every rank."""
    with ExitStack() as opened:
        return report_errors(
            lambda: _prepare(args, transport, interrupts, opened),
            lambda jobs: _carry_out(jobs, args, transport, interrupts),
            transport,
        )


def _prepare(
    args: argparse.Namespace, transport: Transport, interrupts: Interrupts, opened_folders: ExitStack
) -> list[Comparing]:
    """Read and check everything, and refuse what must be refused before a round is done."""
    with transport.agreed("reading the command line"):
        if args.go_on and (args.out is None or args.force):
            raise ValueError("--continue: goes with --out DIR, whose runs it keeps, and without --force")
        network = None if args.network is None else Network.parse(args.network)
        args.methods = [one for spec in args.methods for one in expand(spec)]
        accuracies = accuracies_to(ACCURACIES[-1] if args.accuracy is None else args.accuracy)
        twice = next((name for name in args.problems if args.problems.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"problems: given {twice!r} twice")
        outs = _folders(args)
        if transport.rank == 0:
            first = args.seed or 0
            names = _run_folders(args.methods, range(first, first + args.seeds)).values()
            for folder in filter(None, outs.values()):
                for inside in names:
                    keep(folder / inside, args.force or args.go_on)
    jobs = []
    for name, out in outs.items():
        jobs.append(_settle(argparse.Namespace(**{**vars(args), "problem": name}), transport, accuracies, network, out))
    interrupts.begin_rounds()  # before a folder is opened, which must be closed well
    with transport.agreed("opening --out"):
        if args.out and transport.rank == 0:
            opened_folders.enter_context(FolderLock(args.out))
            for job in jobs:
                folders = _run_folders(args.methods, job.seeds)
                for run, plan in job.plans.items():
                    assert job.out is not None
                    taken = RunFolder(job.out / folders[run], args.force or args.go_on)
                    plan.folder = opened_folders.enter_context(taken)
                    plan.write(plan.folder)
    if args.go_on:
        jobs = [replace(job, known=whole_runs(job.plans, job.goal, transport)) for job in jobs]
    return jobs


def _settle(
    args: argparse.Namespace,
    transport: Transport,
    accuracies: tuple[float, ...],
    network: Network | None,
    out: Path | None,
) -> Comparing:
    """One problem with its methods, each made definite. Collective."""
    opened = LoadedProblem.of(args, transport)
    problem, run, solution = opened.problem, opened.run, Solution(opened.problem)
    with transport.agreed("checking the settings"):
        rounds = at_least(0, "--rounds", args.rounds, run.get("rounds", 1000))
        seeds = seeds_from(at_least(0, "--seed", args.seed, run.get("seed", 0)), args.seeds)
        origin = opened.origin(args.x0, transport)
        limits = Limits(None, *(getattr(args, key) or run.get(key) for key in ("max_bytes", "max_seconds")))
        if args.y == "gap" and solution.measure != "gap":
            raise ValueError(f"--y: given gap, and f* of {args.problem} is not known, which need not be convex")
    monitors = monitors_named(args.monitor or run.get("monitors") or (), solution, transport)
    with transport.agreed("checking --y"):
        allowed = (*History().numbers, *(column for monitor in monitors.values() for column in monitor.columns))
        if args.y not in (None, *allowed):
            raise ValueError(f"--y: given {args.y!r}, allowed are {', '.join(allowed)}")
    look = Look(args.y or solution.measure, network, args.setup, args.scale)
    x0 = origin.at(problem, solution)
    methods = resolve(problem, args.methods, solution, x0, seeds[0], [*monitors.values()])
    plans = {
        (label, seed): RunSpec(opened, method, origin, x0, rounds, 0.0, seed, limits=limits, monitors=monitors)
        for label, method in methods.items()
        for seed in seeds
    }
    goal: Goal = {"rounds": rounds, "accuracy": accuracies[-1]}
    return Comparing(opened, solution, methods, plans, accuracies, look, out, goal)


def _carry_out(jobs: list[Comparing], args: argparse.Namespace, transport: Transport, interrupts: Interrupts) -> int:
    compared, status, written = [], 0, []
    for job in jobs:
        rounds = job.first.rounds
        comparison, status = _compare(job, args, transport, interrupts)
        compared.append(comparison)
        table = "\n".join([*_head(job.first, rounds, transport.size), "", comparison.table(job.look.network)])
        with transport.agreed("writing the comparison"):
            if job.out and transport.rank == 0:
                comparison.to_csv(job.out / figures.COMPARISON[0], job.look.network)
                (job.out / figures.COMPARISON[1]).write_text(table + "\n", encoding="utf-8")
        print(table if job is jobs[0] else f"\n{table}")
        if status:  # what has not begun leaves its folder as it was
            break
    with transport.agreed("drawing the comparison"):
        if args.out and transport.rank == 0:
            written = _draw(compared, jobs, args.out)
    if args.out:
        print(f"written to      {', '.join(str(path) for path in [args.out, *written])}")
    return status


def _compare(
    job: Comparing, args: argparse.Namespace, transport: Transport, interrupts: Interrupts
) -> tuple[Comparison, int]:
    """Run one problem's methods; with the status of a signal, if one came."""
    lines: dict[tuple[str, int], Progress] = {}
    first, seeds, measure = job.first, job.seeds, job.solution.measure

    def callback(label: str, seed: int, record: Record) -> bool:
        if args.out and (args.force or args.go_on) and not lines:
            for folder in dict.fromkeys(filter(None, (args.out, job.out))):
                figures.remove_comparison(folder, (*History().numbers, *COLUMNS))
        if (label, seed) not in lines:
            words = label if len(seeds) == 1 else f"{label}, seed {seed}"
            lines[label, seed] = Progress(words, silent=args.quiet, rounds=first.rounds)
        lines[label, seed](record)
        folder = job.plans[label, seed].folder
        if folder:
            folder.record(record)
        return interrupts.stop()

    runs = run_methods(
        first.problem, job.methods, job.solution, rounds=first.rounds, x0=first.x0, seeds=seeds,
        accuracy=job.accuracies[-1], callback=callback, max_bytes=first.limits.max_bytes,
        max_seconds=first.limits.max_seconds, monitors=[*first.monitors.values()], known=job.known,
    )  # fmt: skip
    results: dict[str, tuple[Result, ...]] = {}
    status = 0
    for label, seed, result in runs:
        if (label, seed) in lines:
            lines[label, seed].close(in_log=False)
        if result.reason is Reason.STOPPED and not ending(result, measure, job.accuracies[-1])[0]:
            result = replace(result, detail=f"{interrupts.agree()} came in round {result.rounds}")
            status = interrupts.status
        results[label] = (*results.get(label, ()), result)
        if (label, seed) in job.known:
            continue
        entry = {
            "label": label, "entry": len(results) - 1, "goal": job.goal, "ending": result.reason.name,
        }  # fmt: skip
        if len(seeds) > 1:
            entry["seed"] = seed
        with transport.agreed("writing a result"):
            end = ending(result, measure, job.accuracies[-1])
            _finish(job.plans[label, seed], entry, result, end, transport.size)
        if status:  # those that have not begun leave their folders as they were
            break
    return Comparison(results, seeds, measure, first.problem.title, job.accuracies), status


def _finish(plan: RunSpec, entry: dict[str, Any], result: Result, end: tuple[bool, str], ranks: int) -> None:
    """Complete one method's folder; run.toml then says how many rounds were done, so that a solve stops there too."""
    if plan.folder:
        plan.rounds = result.rounds
        plan.write(plan.folder)
        summary = {**plan.summary(result, ranks), "reason": end[1], "converged": end[0], "comparison": entry}
        plan.folder.finish(result.x, summary, plan.texts(result, end=end))


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


def _draw(compared: list[Comparison], jobs: list[Comparing], out: Path) -> list[Path]:
    """The pictures, of several problems side by side."""
    titles = [comparison.title or job.opened.name for comparison, job in zip(compared, jobs, strict=False)]
    if len(set(titles)) < len(titles):
        titles = [job.opened.name for job in jobs[: len(compared)]]
    try:
        histories = {title: comparison.repeated for title, comparison in zip(titles, compared, strict=True)}
        return figures.compared(histories, out, jobs[0].look)
    except RuntimeError as error:  # no matplotlib: the runs are kept all the same
        print(f"newtonfl: no pictures: {error}; `newtonfl plot {out}` draws them later", file=sys.stderr)
        return []


def _folders(args: argparse.Namespace) -> dict[str, Path | None]:
    """Where each problem's folders go: of several each has one of its own in --out."""
    if args.out is None or len(args.problems) == 1:
        return dict.fromkeys(args.problems, args.out)
    stems = [Path(name).stem for name in args.problems]
    words = stems if len(set(stems)) == len(stems) else args.problems
    names = folder_names(words)
    return {name: args.out / names[word] for name, word in zip(args.problems, words, strict=True)}


def _run_folders(labels: Sequence[str], seeds: Sequence[int]) -> dict[tuple[str, int], str]:
    """A folder's name for each run."""
    if len(seeds) == 1:
        return {(label, seeds[0]): name for label, name in folder_names(labels).items()}
    runs = {(label, seed): f"{label},seed={seed}" for label in labels for seed in seeds}
    names = folder_names(list(runs.values()))
    return {run: names[words] for run, words in runs.items()}


def folder_names(labels: Sequence[str]) -> dict[str, str]:
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
