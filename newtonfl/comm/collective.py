"""What all ranks come to know together: labels and client ids, which may be numbers or strings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from newtonfl.comm.packets import pack, unpack
from newtonfl.comm.transport import Transport
from newtonfl.core.backend import Array


def client_ids(name: str, given: Any, many: int) -> Array:
    """Every row's client id as an array of numbers or strings, shape (`many`,).

    Raises
    ------
    ValueError
        If there are more or fewer, or one of them is neither a finite number nor a string; the message has `name`.
    """
    ids = np.asarray(given)
    if ids.shape != (many,):
        raise ValueError(f"{name}: given ids of shape {ids.shape}, must be one for each of {many} rows")
    return in_order(f"{name}: client ids", ids)


def distinct(values: Array, transport: Transport) -> list[Any]:
    """The distinct numbers or strings that any rank passes, in sorted order. Collective.

    Raises
    ------
    ValueError
        If a label is neither a finite number nor a string, or ranks pass some of each kind.
    """
    with transport.agreed("looking at the labels"):
        found = np.unique(in_order("y: labels", np.asarray(values))).tolist()
    everyone = [facts["found"] for _, facts in allgather(pack({}, found=found), transport)]
    with transport.agreed("comparing the labels"):
        kinds = {isinstance(value, str) for told in everyone for value in told}
        if len(kinds) > 1:
            words = next(rank for rank, told in enumerate(everyone) if told and isinstance(told[0], str))
            numbers = next(rank for rank, told in enumerate(everyone) if told and not isinstance(told[0], str))
            raise ValueError(f"y: rank {words} has strings for labels, and rank {numbers} numbers")
        return in_one_order({value for told in everyone for value in told})


def in_order(what: str, values: Array) -> Array:
    """Numbers, booleans or strings: what has an order, and can be told to another rank."""
    if values.dtype.kind == "O":
        kinds = {str if isinstance(value, str) else type(value) for value in values.tolist()}
        if kinds <= {str}:
            return values.astype(str)
        if kinds <= {bool} or kinds <= {int, float}:
            return in_order(what, np.array(values.tolist()))
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"{what} must all be numbers or all be strings, given {names}")
    if values.dtype.kind not in "biufU":
        raise ValueError(f"{what} must be numbers or strings, given {values.dtype}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{what} must be finite, given {values[~np.isfinite(values)][0]}")
    return values


def in_one_order(values: Iterable[Any]) -> list[Any]:
    """Numbers, then strings, each sorted."""
    return sorted(values, key=lambda value: (isinstance(value, str), value))


def allgather(mine: bytes, transport: Transport) -> list[tuple[dict[str, Array], dict[str, Any]]]:
    """What every rank packed, in rank order, on every rank."""
    buffers = transport.gather(mine)
    whole = {str(rank): np.frombuffer(buffer, np.uint8) for rank, buffer in enumerate(buffers)}
    arrays, _ = unpack(transport.broadcast(pack(whole) if transport.rank == 0 else None))
    return [unpack(memoryview(arrays[str(rank)])) for rank in range(transport.size)]
