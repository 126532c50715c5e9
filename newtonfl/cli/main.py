"""The command line: newtonfl solve | resume | compare | plot | predict | report | problems | check | methods."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from newtonfl.cli.grammar import BAD_INPUT, Parser, parser
from newtonfl.cli.signals import Interrupts
from newtonfl.cli.streams import silent_stdout, steady_streams, warnings_as_lines
from newtonfl.cli.words import parsed
from newtonfl.comm.launcher import launched, launched_rank

if TYPE_CHECKING:
    from newtonfl.comm.transport import Transport

OK, FAULT = 0, 1

_ON_RANKS = ("solve", "resume", "compare")
"""The commands that MPI ranks share; the others are rank 0's, and need no MPI."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 fault, 2 bad input, 3 diverged or not finite, 130 or 143 by a signal."""
    words = sys.argv[1:] if argv is None else list(argv)
    with Interrupts(argv is None) as interrupts, steady_streams() as out:
        try:
            status = _run_on_ranks(words, interrupts) if set(words[:1]) & set(_ON_RANKS) else _run_here(words)
        except SystemExit as ended:  # of the parser
            status = OK if ended.code is None else int(ended.code)
        except KeyboardInterrupt:
            interrupts.report("stopped before the first round" if interrupts.transport else "stopped")
            status = interrupts.status
        out.flush()
        if out.fault is not None:
            print(f"newtonfl: stdout: {out.fault}", file=sys.stderr)
            status = status or FAULT
    sys.exit(status)


def _run_here(words: list[str]) -> int:
    """Run a command that needs no ranks; where several were started rank 0 alone does."""
    from newtonfl.comm.transport import InProcess

    Parser.silent = launched_rank() > 0
    with silent_stdout() if Parser.silent else contextlib.nullcontext():
        args = parsed(parser(), words)
    return OK if Parser.silent else run(args, InProcess())


def _run_on_ranks(words: list[str], interrupts: Interrupts) -> int:
    """Run a command that the ranks share; returns the exit status, the same on every rank."""
    Parser.silent = launched_rank() > 0
    if {"-h", "--help"} & set(words):
        return _run_here(words)
    interrupts.connecting = launched() is not None
    from newtonfl.comm.transport import InProcess  # takes a while: a signal meanwhile has ranks to speak for

    transport: Transport = InProcess()
    try:
        transport = _connect(words)
        interrupts.connected(transport)
        Parser.silent = transport.rank > 0
        with silent_stdout() if transport.rank else contextlib.nullcontext():  # only rank 0 prints
            # Rank 0's words count: a launcher may give each rank its own.
            ours = transport.broadcast(json.dumps(words).encode() if transport.rank == 0 else None)
            return run(parsed(parser(), json.loads(ours)), transport, interrupts)
    except (SystemExit, KeyboardInterrupt):
        raise  # every rank comes here with the same status
    except BaseException as error:
        if transport.size > 1:
            _abort(transport)
        if not isinstance(error, RuntimeError):
            raise
        _say(error)
        return FAULT


def _connect(words: list[str]) -> Transport:
    """The MPI job that this process was launched in, if any."""
    from newtonfl.comm.transport import InProcess

    ranks = launched()
    if ranks is None:
        return InProcess()
    from newtonfl.comm.mpi import connect

    try:
        return connect(timeout=_timeout(words))
    except RuntimeError:
        if ranks == 1:
            return InProcess()
        parsed(parser(), words)  # what is wrong with them is said in any environment
        raise


def _timeout(words: list[str]) -> float:
    """What --timeout says, before there are ranks that could agree on what all words say; infinite without it."""
    found = math.inf
    for word, after in zip(words, [*words[1:], ""], strict=True):
        name, _, value = word.partition("=")
        if name == "--timeout":
            with contextlib.suppress(ValueError):  # what is none is refused with the other words
                found = float(value or after)
    return found if found > 0 else math.inf


def _abort(transport: Transport) -> None:
    """A failure that no vote has shown: end every rank."""
    print(f"newtonfl: rank {transport.rank} failed", file=sys.stderr)
    traceback.print_exc()
    transport.abort()


def run(args: argparse.Namespace, transport: Transport, interrupts: Interrupts | None = None) -> int:
    """Run one command; returns the exit status, the same on every rank."""
    from newtonfl.comm.transport import is_refusal

    if getattr(args, "load", ()):
        status = _load(args.load, transport)
        if status:
            return status
    if interrupts is not None and args.command in ("solve", "resume"):
        from newtonfl.cli.solve import solve_command

        return solve_command(args, transport, interrupts)
    if interrupts is not None and args.command == "compare":
        from newtonfl.cli.compare import compare_command

        return compare_command(args, transport, interrupts)
    if args.command == "check":
        from newtonfl.cli.check import check_command

        return check_command(args, transport)
    try:
        commands = {
            "plot": _plot, "predict": _predict, "report": _report, "problems": _problems, "methods": _methods,
        }  # fmt: skip
        commands[args.command](args)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        _say(error)
        return BAD_INPUT if is_refusal(error) else FAULT
    return OK


def _load(paths: Sequence[Path], transport: Transport) -> int:
    """Run the files of parts on every rank; returns the exit status, the same on every rank."""
    from newtonfl.cli.run_spec import report_errors
    from newtonfl.registry import load_file, text_digest

    def prepare() -> None:
        with transport.agreed("loading parts"):
            for path in paths:
                load_file(path)
            own = {str(path): text_digest(path) for path in paths}
        first = json.loads(transport.broadcast(json.dumps(own).encode() if transport.rank == 0 else None))
        with transport.agreed("loading parts"):
            for file, digest in own.items():
                if digest != first[file]:
                    raise ValueError(f"{file}: its text differs from rank 0's, must be the same on every rank")

    return report_errors(prepare, lambda _: OK, transport)


def _say(error: BaseException) -> None:
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", []))
    print(f"newtonfl: {error}{notes}", file=sys.stderr)


def _plot(args: argparse.Namespace) -> None:
    from newtonfl.results.figures import Look, redraw
    from newtonfl.results.network import Network

    network = None if args.network is None else Network.parse(args.network)
    with warnings_as_lines():
        paths = redraw(args.runs, args.out, Look(args.y or "gap", network, args.setup, args.scale))
    for path in paths:
        print(path)


def _predict(args: argparse.Namespace) -> None:
    from newtonfl.cli.predict import predict_command

    predict_command(args)


def _report(args: argparse.Namespace) -> None:
    from newtonfl.cli.report import report_command

    report_command(args)


def _problems(args: argparse.Namespace) -> None:
    from newtonfl.datasets.catalogue import catalogue, find

    if args.name is None:
        for name, path in catalogue().items():
            print(f"{name:20}{_title(path)}")
        print("\n`newtonfl problems NAME` shows one; `newtonfl solve NAME` solves it.")
        return
    path = find(args.name)
    print(f"# {path}")
    if path.suffix == ".py":
        print(_title(path))
        print("A formula: nothing is read. `newtonfl solve` runs this file.")
        return
    from newtonfl.datasets.partition import state
    from newtonfl.datasets.problem_file import PythonRun
    from newtonfl.datasets.problem_reader import read

    print(path.read_text(encoding="utf-8").rstrip())
    file = read(path)
    if not isinstance(file, PythonRun):
        print(f"\n# data: {state(file, path.parent)}")


def _title(path: Path) -> str:
    """The first line that a problem file says of itself; Python is read, not run."""
    if path.suffix == ".py":
        import ast

        try:
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        except SyntaxError as error:
            raise ValueError(f"{path}, line {error.lineno}: not Python: {error.msg}") from None
        return (docstring.strip() or path.stem).splitlines()[0]
    import tomllib

    return str(tomllib.loads(path.read_text(encoding="utf-8")).get("title", path.stem))


def _methods(args: argparse.Namespace) -> None:
    from newtonfl.cli.names import print_names

    print_names(args.name)
