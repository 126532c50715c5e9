"""newtonfl check FILE.py: the parts in a file of one's own, each with the check of its kind."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from newtonfl import registry
from newtonfl.checks.own_file import CHECKS, check_part, parts_of
from newtonfl.comm.transport import Transport

SOUND, BROKEN, MISUSE = 0, 1, 2


def check_command(args: argparse.Namespace, transport: Transport) -> int:
    """Do ``newtonfl check``.

    Parameters
    ----------
    args : argparse.Namespace
        Its `file`.
    transport : Transport
        Rank 0 checks and prints; the others wait.

    Returns
    -------
    int
        0 where every part is sound, 1 where one is not, 2 where there is nothing to check; the same on every rank.
    """
    status = json.dumps(check_file(args.file)).encode() if transport.rank == 0 else None
    return int(json.loads(transport.broadcast(status)))


def check_file(path: Path) -> int:
    """Check the parts in a file, and print a line for each.

    Parameters
    ----------
    path : Path
        A Python file; it is run.

    Returns
    -------
    int
        As for :func:`check_command`.
    """
    try:
        module = registry.load_file(path)
    except (ValueError, OSError) as error:
        print(f"newtonfl: {error}", file=sys.stderr)
        return MISUSE
    found = list(parts_of(module))
    width = max((len(part.name) for part in found), default=0)
    sound: list[bool] = []
    for part in found:
        if part.make is None:
            print(f"{part.name:{width}}  not checked: {part.skipped}")
            continue
        check, fault = check_part(part)
        print(f"{part.name:{width}}  {check:20}  {fault or 'ok'}", flush=True)
        sound.append(not fault)
    if not sound:
        kinds = ", ".join(kind.__name__ for kind in CHECKS)
        print(f"newtonfl: {path}: nothing could be checked; looked for {kinds} defined in this file", file=sys.stderr)
        return MISUSE
    return SOUND if all(sound) else BROKEN
