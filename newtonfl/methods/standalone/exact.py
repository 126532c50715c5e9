"""What methods with exchanges of their own share: vectors sent, received and averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from newtonfl.bases import Coordinates, equal_blocks
from newtonfl.comm.messages import Batch, Dense, Message, Nothing, batched
from newtonfl.components.protocol import Replies
from newtonfl.components.step.base import SingularStep
from newtonfl.core.backend import Array, namespace, to_device, to_host, zeros
from newtonfl.objectives.base import Problem


def mean(replies: Replies, part: str) -> Array:
    """(1/n) Σ of what the clients sent as `part`, added in client order, on the host."""
    found = batched(replies.messages(part))
    if isinstance(found, Batch):
        vectors = found.values.reshape(len(found), -1)
    else:
        vectors = np.stack([message.coordinates()[1] for message in found])
    average: Array = np.sum(vectors, axis=0) / len(vectors)
    return average


def mean_solution(replies: Replies, part: str) -> Array:
    """The mean of what the clients solved for, each with its own Hessian; SingularStep where one sent nothing."""
    for client, message in zip(replies.clients, replies.messages(part), strict=True):
        if isinstance(message, Nothing):
            raise SingularStep(f"client {client}: its Hessian is not positive definite; give an l2 > 0")
    return mean(replies, part)


def messages(rows: Array) -> Sequence[Message]:
    """A message for every client's row of `rows` (n, …)."""
    host = to_host(rows).reshape(rows.shape[0], -1)
    return Batch(Dense, np.full(len(host), host.shape[1]), host.ravel())


def decoded(sent: Sequence[Message], dim: int, like: Array) -> Array:
    """The vectors that clients' messages stand for, shape (messages, dim), in the library and on the device of `like`.

    Sender and receiver both go on with these, which is the one rule of receiving.
    """
    nothing = equal_blocks(zeros((len(sent), dim), like))
    space = Coordinates(np.full(len(sent), dim))
    return namespace(like).reshape(space.add(nothing, sent, np.ones(len(sent))).values, (len(sent), dim))


def solutions(rows: Array) -> list[Message]:
    """A message for every client's row of `rows` (n, d): what it solved for; nothing where that is not a number."""
    return [Nothing() if np.isnan(row).any() else Dense(row) for row in to_host(rows)]


def received(message: Message, problem: Problem) -> Array:
    """The vector of a dense `message`, where the problem's data is."""
    return to_device(message.coordinates()[1], problem.like)


def for_each(x: Array, problem: Problem) -> Array:
    """`x` (k,) as a row for every client held here, shape (n, k)."""
    return namespace(x).broadcast_to(x, (len(problem.clients), x.shape[0]))
