"""A state as a description and arrays, and back: what a checkpoint holds of the server and the clients.

A state is None, a number, a text, an array, Blocks, or a dataclass, tuple, list or dictionary of such. What is made at
the set-up and never changes (a class with ``from_setup = True``, and functions) is taken from a fresh set-up instead.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Self

import numpy as np

from newtonfl.core.backend import Array, is_array, on_host, to_device, to_host
from newtonfl.core.ragged import Blocks, offsets_of, ranges


class NotSaveable(TypeError):
    """A state holds what no checkpoint can."""


@dataclass
class StateTree:
    """A state, taken apart.

    Attributes
    ----------
    description : JSON value
        What it is made of; arrays by their number.
    arrays : list of numpy.ndarray
    sizes_of : list of int
        Of the numbers of Blocks, which array has the blocks' sizes; -1 of others.
    """

    description: Any = None
    arrays: list[Array] = field(default_factory=list)
    sizes_of: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, state: object) -> Self:
        """Take `state` apart.

        Raises
        ------
        NotSaveable
            With the name of what cannot be saved.
        """
        tree = cls()
        tree.description = tree._describe(state, "the state")
        return tree

    def state(self, fresh: object, like: Array) -> Any:
        """Put it together: `fresh` is the same place's state after a set-up, `like` names the device.

        Raises
        ------
        ValueError
            If it names a class that is not there, or `fresh` lacks what is not saved.
        """
        return self._made(self.description, fresh, like)

    @classmethod
    def joined(cls, trees: Sequence[Self], clients: Sequence[Array]) -> Self:
        """The state of all `clients`, in their order, of those of groups of them; every array has the clients first."""
        if any(tree.description != trees[0].description for tree in trees[1:]):
            raise NotSaveable("the states of the clients on different ranks are not made alike")
        arrays = [np.concatenate([tree.arrays[i] for tree in trees]) for i in range(len(trees[0].arrays))]
        whole = cls(trees[0].description, arrays, trees[0].sizes_of)
        return whole.taken(np.argsort(np.concatenate(clients), kind="stable"))

    def taken(self, positions: Array) -> Self:
        """The state of the clients at `positions`."""
        arrays = []
        for array, sizes in zip(self.arrays, self.sizes_of, strict=True):
            chosen = positions
            if sizes >= 0:
                offsets = offsets_of(self.arrays[sizes])
                chosen = ranges(offsets[positions], self.arrays[sizes][positions])
            arrays.append(array[chosen])
        return type(self)(self.description, arrays, self.sizes_of)

    def _add(self, array: Array, sizes: int = -1) -> int:
        self.arrays.append(np.array(to_host(array), order="C"))
        self.sizes_of.append(sizes)
        return len(self.arrays) - 1

    def _describe(self, state: Any, where: str) -> Any:
        if state is None or type(state) in (bool, int, str):
            return state
        if type(state) is float:
            return {"float": state.hex()}
        if type(state) is bytes:
            return {"bytes": state.hex()}
        if isinstance(state, np.generic):
            return {"scalar": self._add(np.asarray(state)[None])}
        if is_array(state):
            return {"array": self._add(state), "host": on_host(state)}
        if isinstance(state, Blocks):
            sizes = self._add(state.sizes)
            return {"blocks": [self._add(state.values, sizes), sizes], "host": on_host(state.values)}
        if isinstance(state, (list, tuple)):
            return {type(state).__name__: [self._describe(entry, f"{where}[{i}]") for i, entry in enumerate(state)]}
        if isinstance(state, dict):
            pairs = [[self._describe(key, where), self._describe(state[key], f"{where}[{key!r}]")] for key in state]
            return {"dict": pairs}
        if getattr(type(state), "from_setup", False) or callable(state):
            return {"from_setup": True}
        names = _names(state)
        if names is None:
            raise NotSaveable(f"{where} holds {type(state).__name__}, of which a checkpoint knows nothing: use arrays")
        found = {name: self._describe(getattr(state, name), f"{where}.{name}") for name in names}
        return {"type": f"{type(state).__module__}:{type(state).__qualname__}", "fields": found}

    def _made(self, description: Any, fresh: Any, like: Array) -> Any:
        if not isinstance(description, dict):
            return description
        if "float" in description:
            return float.fromhex(description["float"])
        if "bytes" in description:
            return bytes.fromhex(description["bytes"])
        if "scalar" in description:
            return self.arrays[description["scalar"]][0]
        if "array" in description:
            return self._placed(description["array"], description["host"], like)
        if "blocks" in description:
            values, sizes = description["blocks"]
            return Blocks(self._placed(values, description["host"], like), offsets_of(self.arrays[sizes]))
        for kind in (list, tuple):
            if kind.__name__ in description:
                entries = description[kind.__name__]
                known = fresh if isinstance(fresh, kind) and len(fresh) == len(entries) else [None] * len(entries)
                return kind(self._made(entry, old, like) for entry, old in zip(entries, known, strict=True))
        if "dict" in description:
            return {self._made(key, None, like): self._made(value, None, like) for key, value in description["dict"]}
        if "from_setup" in description:
            if fresh is None:
                raise ValueError("the checkpoint leaves to the set-up what this method's set-up does not make")
            return fresh
        cls = _class(description["type"])
        made: Any = object.__new__(cls)
        for name, value in description["fields"].items():
            old = getattr(fresh, name, None) if type(fresh) is cls else None
            object.__setattr__(made, name, self._made(value, old, like))
        return made

    def _placed(self, number: int, host: bool, like: Array) -> Array:
        array = np.array(self.arrays[number])
        return array if host else to_device(array, like)


def _names(state: object) -> list[str] | None:
    """What an object consists of; None where nobody knows."""
    if is_dataclass(state):
        return [entry.name for entry in fields(state)]
    if type(state).__module__.partition(".")[0] == "newtonfl" and hasattr(state, "__dict__"):
        return sorted(vars(state))
    return None


def _class(name: str) -> type:
    """The class of that name, where its module has been loaded: nothing is imported for a file's sake."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type) or not (is_dataclass(found) or module.partition(".")[0] == "newtonfl"):
        raise ValueError(f"the checkpoint holds a {name}, which is not loaded here")
    return found
