"""The command line's grammar: its commands, their options, and what is said of words that are none."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn, get_args

from newtonfl import __version__
from newtonfl.cli.words import number, positive, whole
from newtonfl.statistics import Covariance

BAD_INPUT = 2


class Parser(argparse.ArgumentParser):
    """An argument parser that prints on rank 0 alone."""

    silent = False

    def __init__(self, **options: Any) -> None:
        # Words in full: --timeout is read before there are ranks, and a part of a word might be another one's later.
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        if not Parser.silent:
            example = f"{self.epilog}; " if self.epilog else ""
            print(f"newtonfl: {message.removeprefix('argument ')}", file=sys.stderr)
            print(f"{example}`{self.prog} --help` lists what it takes", file=sys.stderr)
        sys.exit(BAD_INPUT)


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = Parser(prog="newtonfl", description="Communication-efficient Newton-type methods over clients.")
    top.add_argument("--version", action="version", version=f"newtonfl {__version__}")
    commands = top.add_subparsers(dest="command", parser_class=Parser)
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
    solve.add_argument(
        "--availability", metavar="LAW", help="who is there: trace:FILE, independent:P, lost:COUNT:AFTER; default all"
    )
    solve.add_argument(
        "--on-missing", metavar="{raise,wait,skip}", help="what is done about a client that is away; default raise"
    )
    solve.add_argument("--out", type=Path, metavar="DIR", help="write run.toml, history.jsonl, x.npy, model.json, …")
    _add_monitor(solve)
    solve.add_argument("--checkpoint", type=Path, metavar="DIR", help="keep the state there, for `newtonfl resume DIR`")
    _add_profile(solve)
    _add_every(solve)
    _add_summary(solve)
    _add_accuracy(solve)
    _add_limits(solve)
    _add_run(solve)
    solve.set_defaults(resume=False)

    resume = commands.add_parser(
        "resume", help="go on with a solve that was cut off, or has ended, from its checkpoint",
        epilog="for example `newtonfl resume runs/long --rounds 5000`",
    )  # fmt: skip
    resume.add_argument("folder", type=Path, metavar="DIR", help="what solve --checkpoint was given")
    resume.add_argument("--rounds", type=whole, help="the most rounds from the beginning on; default as before")
    resume.add_argument("--tol", type=number, help="stop at ‖∇f(x)‖₂ ≤ TOL; default as before")
    resume.add_argument("--out", type=Path, metavar="DIR", help="write run.toml, history.jsonl, x.npy, result.json")
    resume.add_argument("--force", action="store_true", help="overwrite a result in the DIR of --out")
    _add_profile(resume)
    resume.add_argument("--quiet", action="store_true", help="no progress line")
    _add_every(resume)
    _add_summary(resume)
    _add_accuracy(resume)
    _add_limits(resume)
    _add_timeout(resume)
    _add_load(resume)

    compare = commands.add_parser(
        "compare", help="several methods on one start: a table, and pictures with --out",
        epilog="for example `newtonfl compare breast_cancer --methods newton-3pc bl1`",
    )  # fmt: skip
    compare.add_argument("problems", nargs="+", metavar="problem", help="as for solve; several are compared one by one")
    compare.add_argument(
        "--methods", nargs="+", required=True, metavar="METHOD",
        help="NAME[,KEY=VALUE…], as --method and --set of solve; {A,B} within quotes stands for both",
    )  # fmt: skip
    compare.add_argument("--seeds", type=whole, default=1, metavar="N", help="run each with N seeds, from --seed on")
    compare.add_argument("--accuracy", type=positive, help="where a run ends, of f(x) - f*; default 1e-12")
    compare.add_argument(
        "--out", type=Path, metavar="DIR", help="write a run's folder a method, comparison.csv and .txt, and pictures"
    )
    compare.add_argument(
        "--continue", dest="go_on", action="store_true", help="keep the runs that DIR holds whole, and do the others"
    )
    _add_monitor(compare)
    _add_network(compare)
    _add_look(compare)
    _add_limits(compare)
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
    _add_look(plot)

    predict = commands.add_parser(
        "predict", help="what a run's model says of the rows of a table: classes with probabilities, or means",
        epilog="for example `newtonfl predict runs/first patients.csv`",
    )  # fmt: skip
    predict.add_argument("run", type=Path, metavar="RUN", help="a folder that solve --out wrote, or a model.json")
    predict.add_argument(
        "file",
        metavar="FILE",
        help="a table: .csv, .npz, .libsvm or .svm, or csv:PATH and the like; labels or none",
    )
    predict.add_argument("--out", type=Path, metavar="FILE.csv", help="where to; default the terminal")

    report = commands.add_parser(
        "report", help="one HTML page of a run, or of several: how it ended, curves, bytes by client and part",
        epilog="for example `newtonfl report runs/first`",
    )  # fmt: skip
    report.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="as for plot")
    report.add_argument(
        "--out",
        type=Path,
        metavar="FILE.html",
        help="where to; default report.html in the run's folder, or that of all",
    )

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


def _add_every(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--every", type=whole, metavar="N", help="a checkpoint after every N rounds, and at the end; default 1"
    )


def _add_accuracy(command: argparse.ArgumentParser) -> None:
    command.add_argument("--accuracy", type=positive, help="stop at f(x) - f* ≤ ACCURACY too; f* is found if need be")


def _add_limits(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--max-bytes", metavar="BYTES", help="stop when the mean client has sent and received so many, such as 500kB"
    )
    command.add_argument("--max-seconds", type=positive, metavar="S", help="stop after so many seconds in rounds")


def _add_summary(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--summary", nargs="?", const="model", choices=get_args(Covariance), metavar="COVARIANCE",
        help="standard errors, tests and intervals of the coefficients: model (default), HC0, HC1 or cluster",
    )  # fmt: skip


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
    _add_timeout(command)
    _add_load(command)


def _add_timeout(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--timeout", type=positive, metavar="SECONDS",
        help="under mpiexec: end the job where a rank waits so long for another; default never",
    )  # fmt: skip


def _add_load(command: argparse.ArgumentParser) -> None:
    """What every command takes that is given names of parts."""
    command.add_argument(
        "--load", action="append", default=[], type=Path, metavar="FILE.py",
        help="a Python file with parts of your own, which can be named then",
    )  # fmt: skip


def _add_profile(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", action="store_true", help="say where the time went, by phase, over the ranks")


def _add_monitor(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--monitor", action="append", metavar="NAME",
        help="measure distance, hessian_error or client_bytes after every round, for the history; may come again",
    )  # fmt: skip


def _add_network(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--network", metavar="RATE/ROUNDTRIP",
        help="such as 10Mbps/50ms, a client's own link: adds its time to the seconds, an estimate on paper",
    )  # fmt: skip


def _add_look(command: argparse.ArgumentParser) -> None:
    """How a comparison is drawn."""
    command.add_argument(
        "--y", metavar="COLUMN", help="what is drawn: gap, the default where f* is known, gradient_norm, a monitor's, …"
    )
    command.add_argument("--scale", choices=["auto", "log", "linear"], default="auto", help="from left to right")
    command.add_argument(
        "--without-setup", dest="setup", action="store_false", help="draw bytes and bits without the set-up's"
    )
