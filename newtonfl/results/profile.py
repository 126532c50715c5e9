"""Profile: where the time of a solve has gone, by phase and rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.core.timing import PHASES


@dataclass(frozen=True, eq=False)
class Profile:
    """Where the time of a solve has gone: ``nf.solve(…, profile=True).profile``; ``print`` shows its table.

    What a phase takes does not count for the one around it, so a rank's phases add up to its time; but for threads,
    whose seconds add up.

    Attributes
    ----------
    phases : tuple of str
        Their names.
    calls, seconds, bytes : numpy.ndarray, shape (ranks, phases)
        How often, how long and, of packing and transport, how much.
    """

    calls: Array
    seconds: Array
    bytes: Array
    phases: tuple[str, ...] = PHASES

    @classmethod
    def of(cls, tables: Array) -> Profile:
        """From `tables`, what every rank's clock has, shape (ranks, phases, 3)."""
        return cls(tables[:, :, 0].astype(np.int64), tables[:, :, 1], tables[:, :, 2].astype(np.int64))

    def to_array(self) -> Array:
        """What :meth:`of` took."""
        return np.stack([self.calls, self.seconds, self.bytes], axis=2).astype(np.float64)

    @property
    def total(self) -> Array:
        """Seconds of each rank, all phases together, shape (ranks,)."""
        return self.seconds.sum(axis=1)

    def rows(self) -> list[dict[str, Any]]:
        """A dict a phase that took any time.

        Returns
        -------
        list of dict
            phase; calls, the most of a rank; mean and max over the ranks in seconds; share of the mean total; bytes of
            all ranks.
        """
        whole = float(self.total.mean())
        return [
            {
                "phase": phase,
                "calls": int(self.calls[:, i].max()),
                "mean": float(self.seconds[:, i].mean()),
                "max": float(self.seconds[:, i].max()),
                "share": float(self.seconds[:, i].mean()) / whole if whole else 0.0,
                "bytes": int(self.bytes[:, i].sum()),
            }
            for i, phase in enumerate(self.phases)
            if self.seconds[:, i].any()
        ]

    def to_json(self) -> dict[str, Any]:
        """For result.json: seconds, calls and bytes of every rank, by phase, with mean and max."""
        kinds = {"calls": self.calls, "seconds": self.seconds, "bytes": self.bytes}
        return {
            "ranks": len(self.calls),
            "seconds": self.total.tolist(),
            "phases": {
                row["phase"]: {
                    "mean": row["mean"],
                    "max": row["max"],
                    **{kind: table[:, self.phases.index(row["phase"])].tolist() for kind, table in kinds.items()},
                }
                for row in self.rows()
            },
        }

    def __str__(self) -> str:
        ranks = "1 rank" if len(self.calls) == 1 else f"mean and max of {len(self.calls)} ranks"
        lines = [f"{'where time goes':24}{'calls':>9}{'mean s':>10}{'max s':>10}{'max/mean':>10}{'%':>7}{'bytes':>16}"]
        for row in self.rows():
            uneven = f"{row['max'] / row['mean']:.2f}" if row["mean"] else ""
            size = f"{row['bytes']:,}" if row["bytes"] else ""
            calls = f"{row['calls']:,}" if row["calls"] else ""
            lines.append(
                f"{row['phase']:24}{calls:>9}{row['mean']:10.4f}{row['max']:10.4f}{uneven:>10}"
                f"{100 * row['share']:7.1f}{size:>16}".rstrip()
            )
        total = self.total
        even = float(total.max() / total.mean()) if total.any() else 1.0
        lines.append(f"{'all, ' + ranks:33}{total.mean():10.4f}{total.max():10.4f}{even:10.2f}{100.0:7.1f}")
        return "\n".join(lines)
