"""Some of the clients' part of a state whose every field has the clients' axis first."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

from newtonfl.backend import Array, namespace, on_host, to_device
from newtonfl.blocks import Blocks

State = TypeVar("State")


def take_clients(state: State, chosen: Array) -> State:
    """The part of `state` that belongs to the clients at the positions `chosen`."""
    return _each(state, lambda value: value.take(chosen), lambda array: _rows(array, chosen))


def put_clients(state: State, chosen: Array, part: State) -> State:
    """`state` with the clients at the positions `chosen` as in `part`."""
    if state is None or part is None:
        return part
    if isinstance(state, Blocks):
        return state.put(chosen, part)  # type: ignore[arg-type,return-value]
    if is_dataclass(state) and not isinstance(state, type):
        made = {f.name: put_clients(getattr(state, f.name), chosen, getattr(part, f.name)) for f in fields(state)}
        return type(state)(**made)
    return _put_rows(state, chosen, part)


def _each(state: Any, blocks: Any, array: Any) -> Any:
    if state is None:
        return None
    if isinstance(state, Blocks):
        return blocks(state)
    if is_dataclass(state) and not isinstance(state, type):
        return type(state)(**{f.name: _each(getattr(state, f.name), blocks, array) for f in fields(state)})
    return array(state)


def _rows(array: Array, chosen: Array) -> Array:
    return namespace(array).take(array, to_device(chosen, array), axis=0)


def _put_rows(array: Any, chosen: Array, rows: Any) -> Any:
    if on_host(array):
        array = array.copy()
        array[chosen] = rows
        return array
    # The Array API has no scatter: rows are picked from both, end to end.
    xp = namespace(array)
    order = to_device(_order(array.shape[0], chosen), array)
    return xp.take(xp.concat([array, rows]), order, axis=0)


def _order(n: int, chosen: Array) -> Array:
    order = np.arange(n)
    order[chosen] = n + np.arange(len(chosen))
    return order
