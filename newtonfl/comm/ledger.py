"""The ledger: how many bytes each client sent and received, and what the papers' formulas would count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np

from newtonfl.comm.messages import Batch, Batches, Choice
from newtonfl.comm.parts import ManyParts, Parts
from newtonfl.core.backend import Array


@dataclass
class Tally:
    """One direction. All arrays have shape (n,), one entry a client.

    Attributes
    ----------
    bytes, formula_bits : numpy.ndarray of int64
        The packets' lengths, and the papers' count for the same messages, over the rounds.
    setup_bytes, setup_formula_bits : numpy.ndarray of int64
        The same for the set-up.
    """

    bytes: Array
    formula_bits: Array
    setup_bytes: Array
    setup_formula_bits: Array

    @classmethod
    def of(cls, n: int) -> Tally:
        """Nothing sent yet."""
        return cls(*(np.zeros(n, np.int64) for _ in range(4)))

    def count(self, clients: Array, length: Array | int, formula_bits: Array | int, setup: bool) -> None:
        """Enter packets of the given `length` in bytes for the `clients`."""
        (self.setup_bytes if setup else self.bytes)[clients] += length
        (self.setup_formula_bits if setup else self.formula_bits)[clients] += formula_bits


@dataclass
class Ledger:
    """What was sent, from the packets themselves; the buffers' framing is not counted.

    Framing (which packets stand in which rank's buffer) depends on the number of ranks, the packets do not. A packet
    that goes to all counts once for each client that receives it. Beside the counts stands how often each level of a
    ladder (:class:`Choice`) was used; a message to all is one.
    """

    n_clients: int
    up: Tally = field(init=False)
    down: Tally = field(init=False)
    levels: dict[str, Counter[int]] = field(default_factory=lambda: {"up": Counter(), "down": Counter()})

    def __post_init__(self) -> None:
        self.up, self.down = Tally.of(self.n_clients), Tally.of(self.n_clients)

    def count_levels(self, way: str, parts: Sequence[Parts]) -> None:
        """Enter the levels of messages of a ladder."""
        columns = parts.columns.values() if isinstance(parts, ManyParts) else [mine.values() for mine in parts]
        for messages in columns:
            if not isinstance(messages, Batch | Batches):
                self.levels[way].update(message.level for message in messages if isinstance(message, Choice))

    def levels_so_far(self, way: str) -> tuple[int, ...] | None:
        """How many messages were of level 0, 1, …; None where none was of any."""
        found = self.levels[way]
        return tuple(found[level] for level in range(max(found) + 1)) if found else None

    def to_arrays(self) -> dict[str, Array]:
        """All counts, by name."""
        arrays: dict[str, Array] = {}
        for way, tally in (("up", self.up), ("down", self.down)):
            arrays |= {f"{way}_{count.name}": getattr(tally, count.name) for count in fields(Tally)}
            arrays[f"levels_{way}"] = np.array(sorted(self.levels[way].items()), np.int64).reshape(-1, 2)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """What :meth:`to_arrays` gave."""
        ledger = cls(len(arrays["up_bytes"]))
        for way in ("up", "down"):
            setattr(ledger, way, Tally(*(np.array(arrays[f"{way}_{count.name}"]) for count in fields(Tally))))
            ledger.levels[way] = Counter(dict(arrays[f"levels_{way}"].tolist()))
        return ledger

    def totals(self) -> dict[str, dict[str, dict[str, float]]]:
        """Total, mean and max over the clients of up, down, setup_up, setup_down and setup, by kind of count."""
        table = {
            kind: {
                "up": getattr(self.up, kind),
                "down": getattr(self.down, kind),
                "setup_up": getattr(self.up, f"setup_{kind}"),
                "setup_down": getattr(self.down, f"setup_{kind}"),
                "setup": getattr(self.up, f"setup_{kind}") + getattr(self.down, f"setup_{kind}"),
            }
            for kind in ("bytes", "formula_bits")
        }
        return {
            kind: {
                name: {"total": int(a.sum()), "mean": float(a.mean()), "max": int(a.max())} for name, a in row.items()
            }
            for kind, row in table.items()
        }
