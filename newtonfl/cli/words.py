"""The words of a command line: read by the grammar, and refused with the nearest word that it has."""

from __future__ import annotations

import argparse
import difflib
import math
import re


def whole(words: str) -> int:
    """An option's whole number; which ones are allowed is for the command to say."""
    try:
        return int(words)
    except ValueError:
        raise argparse.ArgumentTypeError(f"given {words!r}, must be a whole number") from None


def number(words: str) -> float:
    """An option's number."""
    try:
        return float(words)
    except ValueError:
        raise argparse.ArgumentTypeError(f"given {words!r}, must be a number") from None


def positive(words: str) -> float:
    """An option's number above 0."""
    value = number(words)
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"given {words!r}, must be a finite number above 0")
    return value


def parsed(top: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """What a command line says; a word that the grammar does not have ends it, with the nearest that it has.

    Parameters
    ----------
    top : argparse.ArgumentParser
        Its default `commands` are the parsers of the commands, by name.
    words : list of str
        Behind the program's name.

    Returns
    -------
    argparse.Namespace
    """
    commands: dict[str, argparse.ArgumentParser] = top.get_default("commands")
    if not words:
        top.error(f"no command, must be one of {', '.join(commands)}, as in `newtonfl solve breast_cancer`")
    if not words[0].startswith("-") and words[0] not in commands:
        near = difflib.get_close_matches(words[0], commands, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        top.error(f"command: given {words[0]!r}{hint} (allowed are {', '.join(commands)})")
    args, surplus = top.parse_known_args(words)
    if surplus and args.command is None:
        top.error(f"there is no {surplus[0]} before a command")
    if surplus and words.index(surplus[0]) < words.index(args.command):
        top.error(f"given {surplus[0]} before {args.command}, must stand behind it")
    if surplus:
        commands[args.command].error(f"{args.command}: {_refusal(commands[args.command], surplus[0])}")
    return args


def _refusal(command: argparse.ArgumentParser, word: str) -> str:
    """What is said of a word that a command has no place for."""
    options = re.findall(r"(?<!\w)--[a-z][a-z0-9-]*", command.format_usage())
    if not word.startswith("-"):
        behind = [option for option in options if option.startswith("--method")]
        return f"given {word!r} too many" + "".join(f"; a method stands behind {option}" for option in behind)
    name = word.partition("=")[0]
    longer = [option for option in options if name.startswith(option)]  # --tolerance
    near = (longer or difflib.get_close_matches(name, options, 1, 0.7))[:1]
    return f"there is no {name}" + "".join(f"; did you mean {option}?" for option in near)
