"""newtonfl solve: from the command line to a result on stdout and in a folder."""

from __future__ import annotations

import argparse
import textwrap
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, replace
from typing import Any

from newtonfl import registry
from newtonfl.cli.checkpoint_folder import CheckpointFolder, solve_arguments
from newtonfl.cli.run_spec import LoadedProblem, RunSpec, at_least, report_errors
from newtonfl.cli.signals import Interrupts
from newtonfl.cli.watched import monitors_named
from newtonfl.comm.transport import Fault, Transport
from newtonfl.core.timing import Timings, timed
from newtonfl.experiments.run_methods import Solution
from newtonfl.monitors.monitor import resolve
from newtonfl.results.progress import Progress
from newtonfl.results.record import Record
from newtonfl.results.run_folder import RunFolder
from newtonfl.solver.attendance import availability_law
from newtonfl.solver.limits import Limits
from newtonfl.solver.result import Reason, Result
from newtonfl.solver.solve import solve
from newtonfl.statistics import Covariance
from newtonfl.statistics.inference import inference
from newtonfl.statistics.table import Inference

_STATUS = {Reason.DIVERGED: 3, Reason.NOT_FINITE: 3, Reason.SINGULAR: 3, Reason.MISSING: 3}


def solve_command(args: argparse.Namespace, transport: Transport, interrupts: Interrupts) -> int:
    """Do ``newtonfl solve``, or resume; returns the exit status, the same on every rank."""
    with ExitStack() as opened:
        return report_errors(
            lambda: _prepare(_solve_arguments(args, transport), transport, interrupts, opened),
            lambda plan: _carry_out(plan, args, transport, interrupts),
            transport,
        )


def _solve_arguments(args: argparse.Namespace, transport: Transport) -> argparse.Namespace:
    with transport.agreed("reading the command line"):
        return args if args.command == "solve" else solve_arguments(args, transport.rank == 0)


def _prepare(
    args: argparse.Namespace, transport: Transport, interrupts: Interrupts, opened_folders: ExitStack
) -> RunSpec:
    """Read and check everything, and refuse what must be refused before a round is done."""
    keywords: dict[str, Any] = {}
    with transport.agreed("reading the command line"):
        name, inline = registry.parse(args.method) if args.method else ("", {})
        for entry in args.set:
            key, equals, value = entry.partition("=")
            if not equals or not key or not value:
                raise ValueError(f"--set: given {entry!r}, must be KEY=VALUE")
            if key in inline:
                raise ValueError(f"--set: given {entry!r}, and --method says {key}={inline[key]} already")
            if key in keywords:
                raise ValueError(f"--set: given {entry!r}, and {key}={keywords[key]} before it; give it once")
            keywords[key] = value
        keywords.update(inline)
    clock = Timings() if args.profile else None
    with clock.running() if clock else nullcontext(), timed("reading"):
        opened = LoadedProblem.of(args, transport)
    problem, run = opened.problem, opened.run
    with transport.agreed("reading the file's [method]"):
        chosen = _of_file(opened)
    solution = Solution(problem)
    name = name or chosen.get("name", "newton-3pc")
    if registry.asks_for_optimum(name):
        for where, said in (("with --set", keywords), ("in the file's [method]", chosen)):
            if "optimum" in said:
                raise ValueError(f"optimum: given {said['optimum']!r} {where}, and {name} finds it by itself")
        keywords["optimum"] = solution.x
    with transport.agreed("checking the settings"):
        # A file's settings belong to the file's method.
        kept = {k: v for k, v in chosen.items() if k != "name"} if name == chosen.get("name", name) else {}
        if "mechanism" in keywords:  # another one's compressor and rate go with it
            kept = {k: v for k, v in kept.items() if k not in ("mechanism", "compressor", "alpha")}
        method = registry.method(name, {**kept, **keywords}).for_problem(problem)
        rounds = at_least(0, "--rounds", args.rounds, run.get("rounds", 1000))
        tol = at_least(0.0, "--tol", args.tol, run.get("tol", 1e-10))
        rtol = at_least(0.0, "--rtol", args.rtol, run.get("rtol", 0.0))
        seed = at_least(0, "--seed", args.seed, run.get("seed", 0))
        origin = opened.origin(args.x0, transport)
        on_missing = args.on_missing or run.get("on_missing", "raise")
        law = availability_law(args.availability or run.get("availability"), on_missing, problem.n_clients)
        limits = Limits(*(getattr(args, key) or run.get(key) for key in ("accuracy", "max_bytes", "max_seconds")))
        if args.on_missing and law is None:
            raise ValueError(f"--on-missing: given {args.on_missing} without --availability LAW: all are always there")
    f_star = None if limits.accuracy is None else solution.f
    with transport.agreed("checking --accuracy"):
        if limits.accuracy is not None and f_star is None:
            raise ValueError(
                "--accuracy: given for a problem whose f* is not known: it need not be convex, or has no f"
            )
    monitors = monitors_named(args.monitor or run.get("monitors") or (), solution, transport)
    with transport.agreed("checking --monitor"):
        resolve([*monitors.values()], problem, method)
    plan = RunSpec(
        opened, method, origin, origin.at(problem, solution), rounds, tol, seed, rtol=rtol, availability=law,
        on_missing=on_missing, limits=limits, f_star=f_star, monitors=monitors, clock=clock,
    )  # fmt: skip
    interrupts.begin_rounds()  # before a folder is opened, which must be closed well
    with transport.agreed("opening --out"):
        if args.out and transport.rank == 0:
            plan.folder = opened_folders.enter_context(RunFolder(args.out, args.force))
            plan.write(plan.folder)
    with transport.agreed("opening --checkpoint"):
        _open_checkpoints(plan, args, transport.rank == 0)
    return plan


def _open_checkpoints(plan: RunSpec, args: argparse.Namespace, writes: bool) -> None:
    if args.checkpoint is None:
        if args.every is not None:
            raise ValueError(f"--every: given {args.every} without --checkpoint DIR")
        return
    if args.out and args.out.resolve() == args.checkpoint.resolve():
        raise ValueError(f"--checkpoint {args.checkpoint}: given the folder of --out as well; give another one")
    plan.checkpoints = CheckpointFolder(args.checkpoint, 1 if args.every is None else args.every)
    if writes and not args.resume:
        plan.checkpoints.prepare(args.force, plan.write)
    elif writes and plan.folder:
        for record in plan.checkpoints.records():
            plan.folder.record(record)


def _of_file(opened: LoadedProblem) -> dict[str, Any]:
    """The name and settings of a file's [method]; its name may be a text that has settings too."""
    chosen = dict(opened.file.method or {})
    if not chosen:
        return {}
    name, inline = registry.parse(str(chosen["name"]))
    twice = next((key for key in inline if key in chosen), None)
    if twice is not None:
        raise ValueError(f"{opened.path}: [method] {twice}: given {chosen[twice]!r}, and name says {inline[twice]!r}")
    try:
        registry.find("method", name)
    except ValueError as error:
        raise ValueError(f"{opened.path}: [method] name: {error}") from None
    return {**chosen, **inline, "name": name}


def _carry_out(plan: RunSpec, args: argparse.Namespace, transport: Transport, interrupts: Interrupts) -> int:
    progress = Progress(silent=args.quiet or transport.rank > 0, rounds=plan.rounds)

    def callback(record: Record) -> bool:
        progress(record)
        if plan.folder:
            plan.folder.record(record)
        return interrupts.stop()

    result = solve(
        plan.problem, plan.method, tol=plan.tol, rtol=plan.rtol, rounds=plan.rounds, x0=plan.x0, seed=plan.seed,
        callback=callback, checkpoint=None if plan.checkpoints is None else plan.checkpoints.checkpoint,
        availability=plan.availability, on_missing=plan.on_missing, f_star=plan.f_star,
        monitors=[*plan.monitors.values()], profile=plan.clock or False, **asdict(plan.limits),
    )  # fmt: skip
    progress.close(in_log=False)
    status = _STATUS.get(result.reason, 0)
    if result.reason is Reason.STOPPED:
        result = replace(result, detail=f"{interrupts.agree()} came in round {result.rounds}")
        status = interrupts.status
    found, why = _inference(plan, result, args.summary)
    with transport.agreed("writing the result"):
        if plan.folder:
            plan.folder.finish(result.x, plan.summary(result, transport.size, found), plan.texts(result, found))
    print(table(plan, result, transport.size))
    if args.summary:
        print(f"\n{found or f'no summary: {why}'}\n")
    if result.profile is not None:
        print(f"\n{result.profile}\n")
    if plan.folder:
        print(f"written to      {plan.folder.path}")
    return status


def _inference(plan: RunSpec, result: Result, covariance: Covariance | None) -> tuple[Inference | None, str]:
    """What --summary asks for; or why there is none, for a result must not be lost for want of it. Collective."""
    if covariance is None:
        return None, ""
    try:
        return inference(plan.problem, result.x, covariance=covariance), ""
    except (ValueError, TypeError, Fault) as error:  # on every rank
        return None, str(error)


def table(plan: RunSpec, result: Result, ranks: int) -> str:
    """The short table on stdout."""
    last, problem = result.history[-1], plan.problem
    words = " ".join(f"{key}={value}" for key, value in registry.method_parameters(plan.method).items())
    spread = "in one process" if ranks == 1 else f"on {ranks} ranks"
    rows = [
        ("problem", problem.title),
        ("objective", problem.objective),
        *problem.schema.lines(),
        ("method", plan.method.name),
        *(("", line) for line in textwrap.wrap(words, 90)),
        ("clients", f"{problem.n_clients} {spread}, dimension {problem.dim}, {plan.opened.device}"),
        ("ended", f"{'converged: ' if result.converged else ''}{result.reason}"),
        *(("note", note) for note in result.notes),
        ("rounds", str(result.rounds)),
        *([] if last.f is None else [("f(x)", repr(last.f))]),
        *([] if last.gap is None else [("f(x) - f*", f"{last.gap:.3g}")]),
        ("‖∇f(x)‖₂", f"{last.gradient_norm:.3g}"),
        *(("monitor", f"{name} {value:.6g}") for name, value in (last.monitors or {}).items()),
        ("x_sha256", result.x_sha256[:16]),
    ]
    lines = [f"{name:16}{words}" for name, words in rows]
    counts = result.ledger.totals()
    lines += ["", f"{'mean per client':28}{'up':>14}{'down':>14}"]
    for label, kind, setup in (
        ("bytes, measured", "bytes", ""),
        ("bits, papers' formula", "formula_bits", ""),
        ("set-up bytes, measured", "bytes", "setup_"),
        ("set-up bits, formula", "formula_bits", "setup_"),
    ):
        up, down = counts[kind][f"{setup}up"]["mean"], counts[kind][f"{setup}down"]["mean"]
        lines.append(f"{label:28}{up:14,.1f}{down:14,.1f}")
    return "\n".join([*lines, "", f"{'seconds':16}{last.seconds:.3f} in rounds"])
