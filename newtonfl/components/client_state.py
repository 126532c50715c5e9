"""Some of the clients' part of a state whose every field has the clients' axis first."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TypeVar, cast

import numpy as np

from newtonfl.core.backend import Array, namespace, to_device
from newtonfl.core.ragged import Blocks

State = TypeVar("State")


def take_clients(state: State, chosen: Array) -> State:
    """The part of `state` that belongs to the clients at the positions `chosen`."""
    return cast(State, _taken(state, chosen))


def put_clients(state: State, chosen: Array, part: State) -> State:
    """`state` with the clients at the positions `chosen` as in `part`."""
    return cast(State, _put(state, chosen, part))


def _taken(state: object, chosen: Array) -> object:
    if state is None:
        return None
    if isinstance(state, Blocks):
        return state.select(chosen)
    if is_dataclass(state) and not isinstance(state, type):
        return type(state)(**{f.name: _taken(getattr(state, f.name), chosen) for f in fields(state)})
    return namespace(state).take(state, to_device(chosen, state), axis=0)


def _put(state: object, chosen: Array, part: object) -> object:
    if state is None:
        return None
    if isinstance(state, Blocks):
        assert isinstance(part, Blocks)
        return state.put(chosen, part)
    if is_dataclass(state) and not isinstance(state, type):
        made = {f.name: _put(getattr(state, f.name), chosen, getattr(part, f.name)) for f in fields(state)}
        return type(state)(**made)
    array: Array = state
    # The Array API has no scatter: rows are picked from both, end to end.
    order = np.arange(array.shape[0])
    order[chosen] = array.shape[0] + np.arange(len(chosen))
    xp = namespace(array)
    return xp.take(xp.concat([array, part]), to_device(order, array), axis=0)
