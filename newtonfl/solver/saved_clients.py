"""What a checkpoint keeps of clients: their states, and what their problem has counted and remembers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.objectives.memory import RememberedPoint
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
    hessian_counts, gradient_counts : numpy.ndarray, shape (n,)
    points : list of RememberedPoint
    """

    clients: Array
    tree: StateTree
    hessian_counts: Array
    gradient_counts: Array
    points: list[RememberedPoint]

    @classmethod
    def joined(cls, groups: Sequence[Self]) -> Self:
        """Those of several groups, in client order."""
        clients = [group.clients for group in groups]
        order = np.argsort(np.concatenate(clients), kind="stable")
        hessians = np.concatenate([group.hessian_counts for group in groups])
        gradients = np.concatenate([group.gradient_counts for group in groups])
        points = []
        for same in zip(*(group.points for group in groups), strict=False):
            one = same[0]
            x = np.concatenate([other.x for other in same])[order] if one.x.ndim > 1 else one.x
            hessians_counted = all(other.hessians_counted for other in same)
            gradient_counted = np.concatenate([other.gradient_counted for other in same])[order]
            points.append(RememberedPoint(one.ridge_inside, x, hessians_counted, gradient_counted))
        tree = StateTree.joined([group.tree for group in groups], clients)
        return cls(np.concatenate(clients)[order], tree, hessians[order], gradients[order], points)

    def taken(self, positions: Array) -> Self:
        """The clients at `positions`."""
        points = [
            replace(
                point,
                x=point.x[positions] if point.x.ndim > 1 else point.x,
                gradient_counted=point.gradient_counted[positions],
            )
            for point in self.points
        ]
        return type(self)(
            self.clients[positions], self.tree.taken(positions), self.hessian_counts[positions],
            self.gradient_counts[positions], points,
        )  # fmt: skip

    def to_arrays(self) -> dict[str, Array]:
        """All of it as named arrays, of numbers alone."""
        values = {
            "description": self.tree.description,
            "sizes_of": self.tree.sizes_of,
            "points": [[point.ridge_inside, point.hessians_counted] for point in self.points],
        }
        arrays = {
            "clients": self.clients, "hessian_counts": self.hessian_counts, "gradient_counts": self.gradient_counts,
            "values": np.frombuffer(json.dumps(values).encode(), np.uint8),
        }  # fmt: skip
        arrays |= {f"state{i}": array for i, array in enumerate(self.tree.arrays)}
        arrays |= {f"point{i}": point.x for i, point in enumerate(self.points)}
        return arrays | {f"counted{i}": point.gradient_counted for i, point in enumerate(self.points)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """What :meth:`to_arrays` gave."""
        values = json.loads(arrays["values"].tobytes())
        states = [arrays[f"state{i}"] for i in range(len(values["sizes_of"]))]
        points = [
            RememberedPoint(inside, arrays[f"point{i}"], counted, arrays[f"counted{i}"])
            for i, (inside, counted) in enumerate(values["points"])
        ]
        tree = StateTree(values["description"], states, values["sizes_of"])
        return cls(arrays["clients"], tree, arrays["hessian_counts"], arrays["gradient_counts"], points)
