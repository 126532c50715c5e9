"""A solve with a checkpoint: resumed where it was cut off, and saved after every so many rounds."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from newtonfl.comm.ledger import Ledger
from newtonfl.core.backend import Array, to_device, to_host
from newtonfl.core.random import Key
from newtonfl.core.timing import timed_as
from newtonfl.results.folder_lock import FolderLock
from newtonfl.results.history import History
from newtonfl.results.record import Record
from newtonfl.solver.checkpoint import Checkpoint
from newtonfl.solver.saved_clients import SavedClients
from newtonfl.solver.session import Session
from newtonfl.solver.state_tree import StateTree

_ARRAYS = ("clients/", "ledger/", "server/")
_NEEDED = {
    "identity", "round", "exchanges", "server", "sizes_of", "stopping", "seconds", "reason", "history", "x0", "step",
    "digests", "clients/values",
}  # fmt: skip
"""What a checkpoint of this format has, beside the arrays of states."""


@dataclass(frozen=True)
class SolveState:
    """What a solve goes on with.

    Attributes
    ----------
    server : state of the server
    step : array, shape (d,)
        The last one.
    history : History
    seconds : float
        Spent in rounds so far.
    stopping : JSON value
        What the stopping rule saved.
    reason : str or None
        The name of why it ended, where it has.
    """

    server: Any
    step: Array
    history: History
    seconds: float
    stopping: Any
    reason: str | None


class CheckpointedSolve:
    """Rank 0's hold of a checkpoint's folder.

    Parameters
    ----------
    checkpoint : Checkpoint, str or Path
    identity : dict of str to JSON values
        What must be the same for a solve to go on, by the words that a refusal uses.
    x0 : numpy.ndarray, shape (d,)
        Where the solve begins.
    opened : ExitStack
        Holds the folder's lock.

    Attributes
    ----------
    resumed : str
        From which checkpoint the solve goes on, as a sentence; empty where it begins.

    Raises
    ------
    ValueError
        If the folder holds another solve's checkpoint, or none that is whole, or another job works in it.
    """

    def __init__(self, checkpoint: Checkpoint | str | Path, identity: dict[str, Any], x0: Array, opened: ExitStack):
        if not isinstance(checkpoint, Checkpoint | str | Path):
            raise TypeError(f"checkpoint: given {checkpoint!r}, must be a folder or a Checkpoint")
        self.checkpoint = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
        self.identity, self.x0 = identity, x0
        opened.enter_context(FolderLock(self.checkpoint.path, "checkpoint"))
        self._arrays: dict[str, Array] = {}
        self._values: dict[str, Any] = {}
        self._digests: Array = None
        self.resumed = ""
        if self.checkpoint.exists:
            self._arrays, self._values, fault = self.checkpoint.read()
            self._check(identity)
            self.resumed = f"went on from round {self._values['round']} of {self.checkpoint.path}"
            self.resumed += f", the checkpoint before the last: {fault}" if fault else ""

    def _check(self, identity: dict[str, Any]) -> None:
        where = self.checkpoint.path
        if lacking := _NEEDED - self._values.keys() - self._arrays.keys():
            raise ValueError(f"{where}: no checkpoint of a solve: it lacks {', '.join(sorted(lacking))}")
        saved = {"list of monitors": [], **self._values["identity"]}  # older ones know of none
        for what, value in identity.items():
            if saved.get(what) != value:
                raise ValueError(
                    f"{where}: holds the checkpoint of another solve: its {what} is {saved.get(what)}, this one's "
                    f"{value}; give another folder"
                )
        if not np.array_equal(self._arrays["x0"], self.x0):
            raise ValueError(f"{where}: holds the checkpoint of a solve from another x0; give another folder")

    @timed_as("checkpoints")
    def resume(self, session: Session, server: Any) -> SolveState | None:
        """What the solve goes on with, clients and ledger put back; None where there is no checkpoint yet.

        `server` is the state after the set-up.
        """
        problem = session.problem
        point = Key(0).to("digest").generator().standard_normal(problem.dim) / np.sqrt(problem.dim)
        self._digests = session.ask("digest", to_device(point, problem.like))
        if not self._values:
            return None
        arrays, values = self._arrays, self._values
        wrong = np.flatnonzero((arrays["digests"] != self._digests).any(axis=1))
        if len(wrong):
            raise ValueError(
                f"{self.checkpoint.path}: the function of client {wrong[0]} is another than in the checkpoint, by its "
                "value and gradient at one point: other rows, or another processor or BLAS, which rounds otherwise"
            )
        clients, ledger, own = ({k.removeprefix(p): a for k, a in arrays.items() if k.startswith(p)} for p in _ARRAYS)
        session.restore(SavedClients.from_arrays(clients))
        session.ledger, session.exchanges = Ledger.from_arrays(ledger), values["exchanges"]
        tree = StateTree(values["server"], [own[f"state{i}"] for i in range(len(own))], values["sizes_of"])
        history = History([Record.from_json(line) for line in values["history"]])
        step = to_device(np.array(arrays["step"]), problem.like)
        self._arrays, self._values = {}, {}  # which may be large
        return SolveState(
            tree.state(server, problem.like), step, history, values["seconds"], values["stopping"], values["reason"]
        )

    def is_due(self, round: int, last: bool) -> bool:
        """Whether a checkpoint is to be written after a `round`; after the `last` one is."""
        return last or round % self.checkpoint.every == 0

    @timed_as("checkpoints")
    def save(self, session: Session, now: SolveState) -> None:
        """Write a checkpoint of where the solve is `now`.

        Raises
        ------
        OSError
            If the disk does not take it; the ones before stay.
        """
        tree = StateTree.of(now.server)
        arrays = {f"server/state{i}": array for i, array in enumerate(tree.arrays)}
        arrays |= {f"clients/{name}": array for name, array in session.save().to_arrays().items()}
        arrays |= {f"ledger/{name}": array for name, array in session.ledger.to_arrays().items()}
        arrays |= {"x0": self.x0, "step": to_host(now.step), "digests": self._digests}
        values = {
            "identity": self.identity, "round": now.history[-1].round, "exchanges": session.exchanges,
            "server": tree.description, "sizes_of": tree.sizes_of, "stopping": now.stopping, "seconds": now.seconds,
            "reason": now.reason,
            "history": [record.to_json() for record in now.history],
        }  # fmt: skip
        self.checkpoint.write(arrays, values)
