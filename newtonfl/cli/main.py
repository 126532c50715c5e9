"""The command line: newtonfl solve | compare | plot | problems | check | methods."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from newtonfl.cli.signals import Interrupts
from newtonfl.cli.streams import silent_stdout, steady_streams
from newtonfl.cli.words import number, parsed, whole
from newtonfl.comm.launcher import launched, launched_rank

if TYPE_CHECKING:
    from newtonfl.comm.transport import Transport

OK, FAULT, BAD_INPUT, DIVERGED = 0, 1, 2, 3

_ON_RANKS = ("solve", "compare")
"""The commands that MPI ranks share; the others are rank 0's, and need no MPI."""


class _Parser(argparse.ArgumentParser):
    """An argument parser that prints on rank 0 alone."""

    silent = False

    def error(self, message: str) -> NoReturn:
        if not _Parser.silent:
            example = f"{self.epilog}; " if self.epilog else ""
            print(f"newtonfl: {message.removeprefix('argument ')}", file=sys.stderr)
            print(f"{example}`{self.prog} --help` lists what it takes", file=sys.stderr)
        sys.exit(BAD_INPUT)


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = _Parser(prog="newtonfl", description="Communication-efficient Newton-type methods over clients.")
    commands = top.add_subparsers(dest="command", parser_class=_Parser)
    top.set_defaults(commands=commands.choices)

    solve = commands.add_parser(
        "solve", help="solve a problem; under mpiexec its clients are spread over the ranks",
        epilog="for example `newtonfl solve breast_cancer --rounds 50`",
    )  # fmt: skip
    solve.add_argument("problem", help="a problem file (.toml, .py, or a run's run.toml), or a catalogue name")
    solve.add_argument("--method", help="NAME[,KEY=VALUE…] (`newtonfl methods`); default newton-3pc")
    solve.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the method")
    solve.add_argument("--tol", type=number, help="stop at ‖∇f(x)‖₂ ≤ TOL; default 1e-10")
    solve.add_argument("--rtol", type=number, help="stop at ‖∇f(x)‖₂ ≤ RTOL·‖∇f(0)‖₂ too; default 0, not at all")
    solve.add_argument("--out", type=Path, metavar="DIR", help="write run.toml, history.jsonl, x.npy, result.json")
    _add_run(solve)

    compare = commands.add_parser(
        "compare", help="several methods on one start: a table, and pictures with --out",
        epilog="for example `newtonfl compare breast_cancer --methods newton-3pc bl1`",
    )  # fmt: skip
    compare.add_argument("problem", help="as for solve")
    compare.add_argument(
        "--methods", nargs="+", required=True, metavar="METHOD",
        help="NAME[,KEY=VALUE…], as --method and --set of solve; one name may come with several settings",
    )  # fmt: skip
    compare.add_argument(
        "--out", type=Path, metavar="DIR", help="write a run's folder a method, comparison.csv and .txt, and pictures"
    )
    _add_network(compare)
    _add_run(compare)

    plot = commands.add_parser(
        "plot", help="draw one run, or several as a comparison, from their histories",
        epilog="for example `newtonfl plot runs/first`",
    )  # fmt: skip
    plot.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN",
        help="a folder that solve --out wrote, or compare --out; files among folders, as of DIR/*, are passed over",
    )  # fmt: skip
    plot.add_argument("--out", type=Path, metavar="DIR", help="where to; default the run's folder, or that of all runs")
    _add_network(plot)

    problems = commands.add_parser("problems", help="the catalogue; with a name, one problem and its data's state")
    problems.add_argument("name", nargs="?")
    _add_load(problems)

    check = commands.add_parser(
        "check", help="check the parts in a file of your own: a line for each",
        epilog="for example `newtonfl check parts.py`",
    )  # fmt: skip
    check.add_argument("file", type=Path, metavar="FILE.py", help="defines parts; it is run")
    _add_load(check)

    methods = commands.add_parser("methods", help="the methods; with a name, that method or part and its settings")
    methods.add_argument("name", nargs="?")
    _add_load(methods)
    return top


def _add_run(command: argparse.ArgumentParser) -> None:
    """What every command that runs methods takes."""
    command.add_argument("--l2", type=number, help="λ, instead of the file's")
    command.add_argument(
        "--nonconvex", type=number, metavar="RHO", help="ρ of ρ Σ x_j²/(1 + x_j²), instead of the file's"
    )
    command.add_argument("--clients", type=whole, help="number of clients, instead of the file's")
    command.add_argument("--rounds", type=whole, help="the most rounds; default 1000")
    command.add_argument("--x0", help="zeros (default), optimum+C, or FILE.npy")
    command.add_argument("--seed", type=whole, help="seed of every random draw; default 0")
    command.add_argument("--device", metavar="{cpu,cuda,auto}", help="where rows and Hessians live; default cpu")
    command.add_argument("--force", action="store_true", help="overwrite a result in DIR")
    command.add_argument("--quiet", action="store_true", help="no progress line")
    _add_load(command)


def _add_load(command: argparse.ArgumentParser) -> None:
    """What every command takes that is given names of parts."""
    command.add_argument(
        "--load", action="append", default=[], type=Path, metavar="FILE.py",
        help="a Python file with parts of your own, which can be named then",
    )  # fmt: skip


def _add_network(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--network", metavar="RATE/ROUNDTRIP",
        help="such as 10Mbps/50ms, a client's own link: adds its time to the seconds, an estimate on paper",
    )  # fmt: skip


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

    _Parser.silent = launched_rank() > 0
    with silent_stdout() if _Parser.silent else contextlib.nullcontext():
        args = parsed(parser(), words)
    return OK if _Parser.silent else run(args, InProcess())


def _run_on_ranks(words: list[str], interrupts: Interrupts) -> int:
    """Run a command that the ranks share; returns the exit status, the same on every rank."""
    from newtonfl.comm.transport import InProcess

    _Parser.silent = launched_rank() > 0
    if {"-h", "--help"} & set(words):
        return _run_here(words)
    transport: Transport = InProcess()
    try:
        interrupts.connecting = launched() is not None
        transport = _connect(words)
        interrupts.connected(transport)
        _Parser.silent = transport.rank > 0
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
        return connect()
    except RuntimeError:
        if ranks == 1:
            return InProcess()
        parsed(parser(), words)  # what is wrong with them is said in any environment
        raise


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
    if interrupts is not None and args.command == "solve":
        from newtonfl.cli.solve import solve_command

        return solve_command(args, transport, interrupts)
    if interrupts is not None and args.command == "compare":
        from newtonfl.cli.compare import compare_command

        return compare_command(args, transport, interrupts)
    if args.command == "check":
        from newtonfl.cli.check import check_command

        return check_command(args, transport)
    try:
        {"plot": _plot, "problems": _problems, "methods": _methods}[args.command](args)
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
    from newtonfl.results.figures import redraw
    from newtonfl.results.network import Network

    network = None if args.network is None else Network.parse(args.network)
    for path in redraw(args.runs, args.out, network):
        print(path)


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
