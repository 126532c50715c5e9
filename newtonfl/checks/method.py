"""Whether a method keeps the house's promises, watched from outside while it runs."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from newtonfl import registry
from newtonfl.checks.small_problems import dense_problem
from newtonfl.checks.trials import clients_first, holds_nameless, no_error, promise
from newtonfl.comm.envelope import unpack
from newtonfl.comm.heads import EVERYONE
from newtonfl.comm.parts import Parts, Sizes
from newtonfl.comm.transport import InProcess
from newtonfl.components.curvature.base import NoCurvature
from newtonfl.components.mixed import Mixed
from newtonfl.core.backend import Array, to_host
from newtonfl.core.random import Key
from newtonfl.methods import Announcement, Descent, Exchange, Method, ProblemConstants
from newtonfl.objectives.base import Problem
from newtonfl.solver.result import Reason, Result
from newtonfl.solver.solve import solve

_KEPT = 4  # rounds
_TOLERANCE = 1e-12  # nothing is learned where the iterates move by rounding alone


def check_method(
    method: Method,
    problem: Problem | None = None,
    *,
    rounds: int = 30,
    falls: float | None = None,
    first_order: bool | None = None,
    seed: int = 0,
) -> None:
    """Check a method, yours or the library's, by running it on a problem in this process.

    - Everything that it sends goes over the wire, and decodes with the sizes that it states.
    - The ledger's bytes are the packets' lengths, recounted client by client from the buffers.
    - The same seed gives the same bits again, in x, history and ledger; and so do clients in groups, as on several
      ranks: a client depends on none that shares its process.
    - Every array of a client state has a row for each client.
    - A solve that is cut off after any of four rounds goes on from its checkpoint in the same bits and counts.
    - x stays finite, and the gradient norm falls to `falls` times its start.
    - A method of first order computes no Hessian.
    - A preset's settings, as the command line writes them, make the same method again, where all its parts have names.

    Parameters
    ----------
    method : Method
        What is checked.
    problem : Problem or None
        All its clients in this process; None is a small logistic regression with four clients.
    rounds : int
        How many rounds to run, or until the gradient norm is 1e-12.
    falls : float or None
        What is left of ‖∇f(x⁰)‖ at the most after them, at the best iterate; None is 0.1 where Hessians were computed,
        and 0.97 where none were: theory's steps are small.
    first_order : bool or None
        Whether no Hessian may be computed; None asks of the round alone, by its curvature component.
    seed : int
        The solves' seed.

    Raises
    ------
    AssertionError
        At the first broken promise: what was promised, and what was found.
    ValueError
        Where the method does not go with the problem.

    Examples
    --------
    >>> import newtonfl as nf
    >>> from newtonfl.checks import check_method
    >>> check_method(nf.newton_3pc())
    >>> check_method(nf.newton_3pc(), nf.load("breast_cancer", clients=3))
    """
    promise(isinstance(method, Method), f"given {method!r}, must be a Method")
    problem = dense_problem() if problem is None else problem
    n = problem.n_clients
    promise(len(problem.clients) == n, "check_method: all the problem's clients must be in this process")
    name, resolved = method.name, method.for_problem(problem)
    _check_settings(method, resolved, problem)
    everyone = np.arange(n)
    result = _run(resolved, problem, [everyone], rounds, seed)
    again = _run(resolved, problem, [everyone], rounds, seed)
    _check_equal(result, again, f"{name}: the same seed must give the same bits again")
    groups = [group for group in (everyone[2::3], everyone[::3], everyone[1::3]) if len(group)]
    apart = _run(resolved, problem, groups, rounds, seed)
    _check_equal(result, apart, f"{name}: clients in groups, as on several ranks, must give the same bits")
    _check_checkpoints(resolved, problem, min(rounds, _KEPT), seed)
    hessians = result.history[-1].hessians
    _check_progress(result, name, falls or (0.1 if hessians else 0.97))
    if first_order is None:
        first_order = isinstance(resolved, Descent) and isinstance(resolved.curvature, NoCurvature)
    promise(not (first_order and hessians), f"{name}: of first order, and each client computed {hessians:g} Hessians")


def _check_settings(method: Method, resolved: Method, problem: Problem) -> None:
    """A preset is made again by its settings, written as text."""
    if method.name not in registry.METHODS or holds_nameless(method):
        return
    texts = {key: str(value) for key, value in registry.method_parameters(method).items()}
    with no_error(f"{method.name}: its settings {texts} must be readable"):
        again = registry.method(method.name, texts)
    promise(
        registry.method_parameters(again) == registry.method_parameters(method),
        f"{method.name}: its settings {registry.method_parameters(method)} became "
        f"{registry.method_parameters(again)} when read back",
    )
    if registry.asks_for_optimum(method.name):
        return  # a vector is no text
    promise(
        again.resolved(problem).parameters() == resolved.parameters(),
        f"{method.name}: made again from its settings, it is another method on this problem",
    )


def _run(method: Method, problem: Problem, groups: list[Array], rounds: int, seed: int) -> Result:
    """A solve, watched: the clients in `groups`, every packet counted."""
    mine = copy.copy(problem)
    mine.transport = counting = _Counting(problem.n_clients)
    with no_error(f"{method.name}: a solve must run"):
        result = solve(mine, _Watched(method, groups, counting), rounds=rounds, tol=_TOLERANCE, seed=seed)
    for way, tally in (("up", result.ledger.up), ("down", result.ledger.down)):
        for kind, entered in ((way, tally.bytes), (f"setup {way}", tally.setup_bytes)):
            counted = counting.counted[kind]
            promise(
                np.array_equal(entered, counted),
                f"{method.name}: the ledger has {entered.tolist()} bytes {kind}, the packets {counted.tolist()}",
            )
    return result


def _check_checkpoints(method: Method, problem: Problem, rounds: int, seed: int) -> None:
    """A solve that is cut off in every round, against one that is not."""
    mine = copy.copy(problem)
    mine.transport = None

    def run(last: int, folder: str | None) -> Result:
        return solve(
            mine, method, rounds=rounds, tol=_TOLERANCE, seed=seed, checkpoint=folder,
            callback=lambda record: record.round == last,
        )  # fmt: skip

    with no_error(f"{method.name}: a solve must go on from a checkpoint"), TemporaryDirectory() as folder:
        whole = run(-1, None)
        for last in range(rounds + 1):
            again = run(last, folder)
    _check_equal(whole, again, f"{method.name}: cut off, and gone on with from a checkpoint, it must be the same solve")


def _check_equal(one: Result, other: Result, words: str) -> None:
    promise(one.rounds == other.rounds, f"{words}; one ended after {one.rounds} rounds, the other {other.rounds}")
    for a, b in zip(one.history, other.history, strict=True):
        first, second = json.loads(a.to_json()), json.loads(b.to_json())
        for key in first.keys() - {"seconds"}:
            promise(
                first[key] == second[key], f"{words}; round {a.round}, {key}: {first[key]!r} and {second.get(key)!r}"
            )
    promise(np.array_equal(one.x, other.x), f"{words}; x differs")
    promise(np.array_equal(one.ledger.up.bytes, other.ledger.up.bytes), f"{words}; the ledger differs")
    promise(np.array_equal(one.ledger.down.bytes, other.ledger.down.bytes), f"{words}; the ledger differs")


def _check_progress(result: Result, name: str, falls: float) -> None:
    broken = (Reason.DIVERGED, Reason.NOT_FINITE, Reason.SINGULAR)
    promise(result.reason not in broken, f"{name}: after {result.rounds} rounds {result.reason}")
    promise(np.isfinite(result.x).all(), f"{name}: x is not finite")
    first = result.history[0].gradient_norm
    best = min(record.gradient_norm for record in result.history)
    promise(
        best <= falls * first,
        f"{name}: the gradient norm must fall to {falls:g} times its start {first:.3g} in {result.rounds} rounds, and "
        f"fell to {best:.3g}",
    )


class _Counting(InProcess):
    """In process, with the length of every packet counted for its client, from the buffers alone."""

    lays_out_all = True

    def __init__(self, n: int) -> None:
        self.counted = {kind: np.zeros(n, np.int64) for kind in ("up", "down", "setup up", "setup down")}
        self._setup: str | None = None
        self.neighbours = np.zeros((n, n), bool)  # of the round, where clients send to each other

    def broadcast(self, buffer: bytes | None) -> bytes:
        assert buffer is not None
        self._setup = None
        if buffer[8:9] == b"{":
            arrays, values = unpack(buffer)
            if values.get("call") in ("setup", "round", "mix"):
                self._setup = "setup " if values["call"] == "setup" else ""
                for client, length in _packets(arrays["packets"]):
                    who = arrays["recipients"] if client == EVERYONE else client
                    self.counted[f"{self._setup}down"][who] += length
        return buffer

    def swap(self, outbox: dict[int, bytes]) -> dict[int, bytes]:
        for buffer in outbox.values():
            for client, length in _packets(unpack(buffer)[0]["packets"]):
                self.counted["up"][client] += length * self.neighbours[client].sum()
                self.counted["down"] += length * self.neighbours[client]
        return outbox

    def gather(self, buffer: bytes) -> list[bytes]:
        arrays = unpack(buffer)[0] if self._setup is not None else {}
        for client, length in _packets(arrays.get("packets", np.zeros(0, np.uint8))):
            self.counted[f"{self._setup}up"][client] += length
        self._setup = None
        return [buffer]


def _packets(buffer: Array) -> Iterator[tuple[int, int]]:
    """(client, length) of the packets in a buffer, from the numbers of their heads."""
    octets, at = memoryview(buffer), 0
    while at < len(octets):
        begins, at, numbers = at, at + 4, list[int]()
        while len(numbers) < 3 or len(numbers) < 3 + (numbers[0] >> 2 & 1) + 2 * (numbers[0] >> 3):
            number, shift = octets[at] & 127, 7
            while octets[at] > 127:
                at += 1
                number, shift = number + ((octets[at] & 127) << shift), shift + 7
            numbers.append(number)
            at += 1
        at += sum(numbers[4 + (numbers[0] >> 2 & 1) :: 2])
        yield numbers[2] - 1 if numbers[2] else EVERYONE, at - begins


@dataclass(frozen=True, eq=False)
class _Watched(Method):
    """Another method, whose clients stand in groups that know nothing of each other."""

    inner: Method
    groups: list[Array]
    counting: _Counting | None = None
    parts: dict[int, Problem] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.inner.name

    @property
    def solves_operators(self) -> bool:
        return self.inner.solves_operators

    @property
    def takes_prox_steps(self) -> bool:
        return self.inner.takes_prox_steps

    def parameters(self) -> dict[str, str | float]:
        return self.inner.parameters()

    def setup_sizes(self, dim: int) -> Sizes:
        return self.inner.setup_sizes(dim)

    def announcement_sizes(self, dim: int) -> Sizes:
        return self.inner.announcement_sizes(dim)

    def init_clients(self, problem: Problem, x0: Array, key: Key) -> tuple[Sequence[Parts], Any]:
        return self._each(problem, None, lambda part, state: self.inner.init_clients(part, x0, key), "join", None)

    def init_server(self, constants: ProblemConstants, x0: Array, setup_messages: Sequence[Parts]) -> Any:
        server = self.inner.init_server(constants, x0, setup_messages)
        promise(hasattr(server, "x"), f"{self.name}.start: the server's state must have a field x")
        promise(np.array_equal(to_host(server.x), to_host(x0)), f"{self.name}.start: x must be the start x0")
        return server

    def round(self, server: Any, exchange: Exchange, key: Key) -> Any:
        return self.inner.round(server, exchange, key)

    def respond(
        self, clients: Any, announcement: Announcement, problem: Problem, key: Key
    ) -> tuple[Sequence[Parts], Any]:
        def answer(part: Problem, state: Any) -> tuple[Sequence[Parts], Any]:
            return self.inner.respond(state, announcement, part, key)

        return self._each(problem, clients, answer, f"round {announcement.round}", announcement.participants)

    def mixing(self, n_clients: int, key: Key) -> csr_array | None:
        weights = self.inner.mixing(n_clients, key)
        if weights is not None and self.counting is not None:
            self.counting.neighbours = (weights != 0).toarray() & ~np.eye(n_clients, dtype=bool)
        return weights

    def mix(self, clients: list[Any], mixed: Mixed, problem: Problem, key: Key) -> list[Any]:
        parts = [self.parts[g] for g in range(len(self.groups))]
        pairs = zip(clients, parts, strict=True)
        return [self.inner.mix(state, mixed.of(part.clients), part, key) for state, part in pairs]

    def iterates(self, clients: list[Any]) -> Array:
        rows = np.concatenate([to_host(self.inner.iterates(state)) for state in clients])
        return rows[np.argsort(np.concatenate(self.groups))]

    def farthest(self, server: Any) -> Array | None:
        return self.inner.farthest(server)

    def _each(
        self,
        problem: Problem,
        states: list[Any] | None,
        act: Callable[[Problem, Any], tuple[Sequence[Parts], Any]],
        when: str,
        participants: Array | None,
    ) -> tuple[Sequence[Parts], list[Any]]:
        """What each group says and becomes; the replies of all in client order."""
        replies: dict[int, Parts] = {}
        after = []
        for g, group in enumerate(self.groups):
            part = self.parts.setdefault(g, problem.select(group))
            parts, state = act(part, states[g] if states else None)
            clients_first(state, len(group), f"{self.name}, {when}: the clients' state")
            expected = group if participants is None else group[np.isin(group, participants)]
            promise(
                len(parts) == len(expected),
                f"{self.name}, {when}: {len(expected)} of {len(group)} clients were to reply, and {len(parts)} replied",
            )
            replies |= {int(client): reply for client, reply in zip(expected, parts, strict=True)}
            after.append(state)
        return [replies[client] for client in sorted(replies)], after
