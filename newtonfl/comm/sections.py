"""Sections: how much of many packets one part takes, so that the ledger can tell what was sent by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from newtonfl.comm.messages import Batch, Message, batched
from newtonfl.core.backend import Array


@dataclass(frozen=True)
class Sections:
    """One part's sections in some of many packets.

    Attributes
    ----------
    part : str
    lengths : numpy.ndarray of int64, shape (k,)
        The payloads' bytes. What the packets' heads say of them is the heads'.
    numbers : numpy.ndarray of int64, shape (k,)
        How many numbers each carries (:attr:`newtonfl.comm.messages.Message.count`).
    packets : numpy.ndarray of int64, shape (k,), or None
        The positions of the packets that have the part; None where all have it.
    """

    part: str
    lengths: Array
    numbers: Array
    packets: Array | None = None

    @classmethod
    def of(cls, part: str, messages: Sequence[Message], lengths: Array) -> Self:
        """Of one message a packet."""
        whole = batched(messages)
        if isinstance(whole, Batch):
            return cls(part, lengths, whole.numbers)
        return cls(part, lengths, np.array([message.count for message in whole], np.int64))

    def within(self, packets: Array) -> Self:
        """The same of more packets, of which those here are the ones at the positions `packets`."""
        return replace(self, packets=packets if self.packets is None else packets[self.packets])


def joined_sections(groups: Sequence[tuple[int, list[Sections]]]) -> list[Sections]:
    """The sections of several groups of packets, a number of packets and their sections each, as of one."""
    if len(groups) == 1:
        return groups[0][1]
    found, first = [], 0
    for count, sections in groups:
        found += [section.within(first + np.arange(count)) for section in sections]
        first += count
    return found
