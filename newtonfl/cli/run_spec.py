"""What solve and compare share: opening a problem, a run's settings and result in its folder, refusals in words."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from newtonfl import __version__, registry
from newtonfl.cli.checkpoint_folder import CheckpointFolder
from newtonfl.cli.starting_point import Start
from newtonfl.cli.streams import warnings_as_lines
from newtonfl.comm.ledger_table import LedgerTable
from newtonfl.comm.transport import Fault, Transport, is_refusal
from newtonfl.core.backend import Array, Unavailable, on_host
from newtonfl.core.timing import Timings
from newtonfl.datasets.load import build, open_problem
from newtonfl.datasets.problem_file import ProblemFile, PythonRun
from newtonfl.methods import Method, Participation
from newtonfl.monitors import Monitor
from newtonfl.objectives.base import Problem
from newtonfl.prediction.fitted_model import FittedModel
from newtonfl.results.run_folder import LEDGER, MODEL, RunFolder, to_toml
from newtonfl.solver.attendance import OnMissing
from newtonfl.solver.environment import environment
from newtonfl.solver.limits import NO_LIMITS, Limits
from newtonfl.solver.result import Result
from newtonfl.statistics.table import Inference

BAD_INPUT, FAULT = 2, 1

T = TypeVar("T")


@dataclass(frozen=True)
class LoadedProblem:
    """A problem that a command line named, and its file."""

    name: str
    path: Path
    file: ProblemFile | PythonRun
    problem: Problem
    device: str

    @classmethod
    def of(cls, args: argparse.Namespace, transport: Transport) -> LoadedProblem:
        """Read the problem of a command line and hand its rows to the ranks. Collective."""
        path, file = open_problem(args.problem, transport, args.clients, args.l2, args.nonconvex)
        with warnings_as_lines():
            problem = build(path, file, transport, args.device or file.run.model_dump().get("device") or "cpu")
        return cls(args.problem, path, file, problem, "cpu" if on_host(problem.like) else "cuda")

    @property
    def run(self) -> dict[str, Any]:
        """What the file says of a run."""
        return {key: value for key, value in self.file.run.model_dump().items() if value is not None}

    @property
    def reading(self) -> dict[str, Any]:
        """How the file has its source read, which a model's new rows are read by as well."""
        data = None if isinstance(self.file, PythonRun) else self.file.data
        if data is None:
            return {}
        # A file without a header has numbers for names; names that are numbers take header = true to be read.
        named = data.header is True or not all(name.isdecimal() for name in self.problem.schema.columns or ())
        named = named or not data.source.startswith("csv:")
        return {"separator": data.separator, "zero_based": data.zero_based, "header": named}

    def origin(self, words: str | None, transport: Transport) -> Start:
        """Where to begin: by these `words`, else as the file says, else zeros. A file's content counts on rank 0."""
        beside = self.path.parent if words is None else Path()
        chosen = words or self.run.get("x0", "zeros")
        return Start.read(chosen, beside, self.problem.dim, reads=transport.rank == 0)


@dataclass
class RunSpec:
    """Everything about one run that was settled before its first round."""

    opened: LoadedProblem
    method: Method
    origin: Start
    x0: Array
    rounds: int
    tol: float
    seed: int
    folder: RunFolder | None = None
    rtol: float = 0.0
    checkpoints: CheckpointFolder | None = None
    availability: Participation | None = None
    on_missing: OnMissing = "raise"
    limits: Limits = NO_LIMITS
    f_star: float | None = None
    monitors: Mapping[str, Monitor] = field(default_factory=dict)
    clock: Timings | None = None

    @property
    def problem(self) -> Problem:
        """What is minimised."""
        return self.opened.problem

    def write(self, folder: RunFolder | CheckpointFolder) -> None:
        """Write run.toml into the `folder`, with which ``newtonfl solve`` does this run again."""
        document = self.opened.file.resolved(self.opened.path.parent, self.problem.data_schema, folder.path)
        document["method"] = {"name": self.method.name, **registry.method_parameters(self.method)}
        document["run"] = {
            "rounds": self.rounds, "tol": self.tol, "x0": self.origin.kept(folder), "seed": self.seed,
            "device": self.opened.device,
        }  # fmt: skip
        if self.rtol:
            document["run"]["rtol"] = self.rtol
        document["run"] |= {key: value for key, value in asdict(self.limits).items() if value is not None}
        if self.availability is not None:
            document["run"] |= {"availability": self.availability.to_spec(), "on_missing": self.on_missing}
        if self.monitors:
            document["run"]["monitors"] = list(self.monitors)
        folder.write_run_file(to_toml(document))

    def summary(self, result: Result, ranks: int, found: Inference | None = None) -> dict[str, Any]:
        """The content of result.json."""
        last, schema = result.history[-1], self.problem.schema
        return {
            "problem": self.opened.name,
            "title": self.problem.title,
            "objective": self.problem.objective,
            "label": schema.label or None,
            "classes": list(schema.classes) or None,
            "features": None if schema.features is None else list(schema.features),
            "rows_left_out": schema.left_out,
            "method": self.method.name,
            "settings": registry.method_parameters(self.method),
            "reason": result.reason.value,
            "notes": result.notes,
            "converged": result.converged,
            "rounds": result.rounds,
            "f": None if last.f is None else _finite(last.f),
            "f_star": self.problem.f_star,
            "gap": None if last.gap is None else _finite(last.gap),
            "gradient_norm": _finite(last.gradient_norm),
            "monitors": None if last.monitors is None else {k: _finite(v) for k, v in last.monitors.items()},
            **result.ledger.totals(),
            "parts": self._table(result, found).by("direction", "phase", "part").to_json(),
            "seconds": last.seconds,
            "ranks": ranks,
            "n_clients": self.problem.n_clients,
            "dim": self.problem.dim,
            "seed": self.seed,
            "availability": None if self.availability is None else self.availability.to_spec(),
            "on_missing": None if self.availability is None else self.on_missing,
            "waits": last.waits,
            "device": self.opened.device,
            "version": __version__,
            "environment": environment(),
            "x_sha256": result.x_sha256,
            "profile": None if result.profile is None else result.profile.to_json(),
            "inference": None if found is None else found.to_json(),
        }

    def texts(
        self, result: Result, found: Inference | None = None, end: tuple[bool, str] | None = None
    ) -> dict[str, str]:
        """What a folder holds beside result.json, by file: what every client sent, and the model, where it is one.

        `end` is whether it converged and why it ended, where that is not for the result to say.
        """
        converged, reason = end or (result.converged, result.reason.value)
        model = FittedModel.of(
            self.problem, result.x, reason=reason, converged=converged, rounds=result.rounds,
            gradient_norm=result.history[-1].gradient_norm, versions=environment(), **self.opened.reading,
        )  # fmt: skip
        texts = {LEDGER: self._table(result, found).csv}
        return texts if model is None else {**texts, MODEL: model.to_json()}

    def _table(self, result: Result, found: Inference | None) -> LedgerTable:
        """What was sent for the solve, and for inference after it."""
        return (result.ledger if found is None else result.ledger + found.ledger).table()


def report_errors(prepare: Callable[[], T], carry_out: Callable[[T], int], transport: Transport) -> int:
    """Prepare and carry out a command; returns the exit status, the same on every rank. What fails is said in words."""
    try:
        plan = prepare()
    except Exception as error:  # with the status that every rank agrees on
        _say(error, transport)
        return BAD_INPUT if is_refusal(error) else FAULT
    try:
        return carry_out(plan)
    except Exception as error:  # a fault that every rank knows of; it names rank and phase
        _say(error, transport)
        return FAULT


def at_least(least: float, name: str, number: Any, default: Any) -> Any:
    """The `number` where one was given, else the default; ValueError where it is less than `least` or not finite."""
    value = default if number is None else number
    if not least <= value < math.inf:
        raise ValueError(f"{name}: given {value}, must be a finite number of at least {least}")
    return value


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _say(error: BaseException, transport: Transport) -> None:
    if transport.rank == 0:
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", []))
        kind = "" if isinstance(error, (ValueError, OSError, Fault, Unavailable)) else f"{type(error).__name__}: "
        print(f"newtonfl: {kind}{error}{notes}", file=sys.stderr)
