"""What a checkpoint keeps of clients: their states, and what their problem has counted and remembers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.solver.state_tree import StateTree


@dataclass(frozen=True)
class SavedClients:
    """Some clients, saved.

    Attributes
    ----------
    clients : numpy.ndarray of int64, shape (n,)
        Who they are, increasing.
    tree : StateTree
        Their state; every array has the clients first.
    hessian_counts : numpy.ndarray of int64, shape (n,)
    points : list of (bool, numpy.ndarray, bool)
        As :meth:`newtonfl.Problem.remembered` has them.
    """

    clients: Array
    tree: StateTree
    hessian_counts: Array
    points: list[tuple[bool, Array, bool]]

    @classmethod
    def joined(cls, groups: Sequence[Self]) -> Self:
        """Those of several groups, in client order."""
        clients = [group.clients for group in groups]
        order = np.argsort(np.concatenate(clients), kind="stable")
        counts = np.concatenate([group.hessian_counts for group in groups])
        points = []
        for same in zip(*(group.points for group in groups), strict=False):
            (inside, x, counted), *others = same
            if x.ndim > 1:
                x = np.concatenate([x for _, x, _ in same])[order]
            points.append((inside, x, counted and all(other[2] for other in others)))
        tree = StateTree.joined([group.tree for group in groups], clients)
        return cls(np.concatenate(clients)[order], tree, counts[order], points)

    def taken(self, positions: Array) -> Self:
        """The clients at `positions`."""
        points = [(inside, x[positions] if x.ndim > 1 else x, counted) for inside, x, counted in self.points]
        return type(self)(
            self.clients[positions], self.tree.taken(positions), self.hessian_counts[positions], points
        )  # fmt: skip

    def to_arrays(self) -> dict[str, Array]:
        """All of it as named arrays, of numbers alone."""
        values = {
            "description": self.tree.description,
            "sizes_of": self.tree.sizes_of,
            "points": [[inside, counted] for inside, _, counted in self.points],
        }
        arrays = {
            "clients": self.clients, "hessian_counts": self.hessian_counts,
            "values": np.frombuffer(json.dumps(values).encode(), np.uint8),
        }  # fmt: skip
        arrays |= {f"state{i}": array for i, array in enumerate(self.tree.arrays)}
        return arrays | {f"point{i}": x for i, (_, x, _) in enumerate(self.points)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """What :meth:`to_arrays` gave."""
        values = json.loads(arrays["values"].tobytes())
        states = [arrays[f"state{i}"] for i in range(len(values["sizes_of"]))]
        points = [(inside, arrays[f"point{i}"], counted) for i, (inside, counted) in enumerate(values["points"])]
        tree = StateTree(values["description"], states, values["sizes_of"])
        return cls(arrays["clients"], tree, arrays["hessian_counts"], points)
