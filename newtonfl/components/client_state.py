"""Some of the clients' part of a state whose every field has the clients' axis first."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from newtonfl.core.backend import Array, namespace, to_device
from newtonfl.core.ragged import Blocks


def take_clients(state: Any, chosen: Array) -> Any:
    """The part of `state` that belongs to the clients at the positions `chosen`."""
    if state is None:
        return None
    if isinstance(state, Blocks):
        return state.select(chosen)
    if is_dataclass(state) and not isinstance(state, type):
        return type(state)(**{f.name: take_clients(getattr(state, f.name), chosen) for f in fields(state)})
    return namespace(state).take(state, to_device(chosen, state), axis=0)


def put_clients(state: Any, chosen: Array, part: Any) -> Any:
    """`state` with the clients at the positions `chosen` as in `part`."""
    if state is None:
        return None
    if isinstance(state, Blocks):
        return state.put(chosen, part)
    if is_dataclass(state) and not isinstance(state, type):
        made = {f.name: put_clients(getattr(state, f.name), chosen, getattr(part, f.name)) for f in fields(state)}
        return type(state)(**made)
    # The Array API has no scatter: rows are picked from both, end to end.
    order = np.arange(state.shape[0])
    order[chosen] = state.shape[0] + np.arange(len(chosen))
    xp = namespace(state)
    return xp.take(xp.concat([state, part]), to_device(order, state), axis=0)
