"""Edges of what travels: batches and parts as sequences, buffers that are too short, transports that fail."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from altered import sealed
from packet_lengths import number

from newtonfl.comm.coding import WireError
from newtonfl.comm.heads import EVERYONE, Kind
from newtonfl.comm.laws import WrongCode, decode_heads, encode_heads
from newtonfl.comm.messages import Batch, Batches, Choice, Dense, Nothing, Sparse, concatenated
from newtonfl.comm.messages.message import unnest
from newtonfl.comm.packets import decode_many, encode_many
from newtonfl.comm.parts import ManyParts, Received
from newtonfl.comm.transport import Fault, InProcess

THREE = Batch(Dense, np.array([2, 1, 2]), np.arange(5.0))


def test_a_batch_is_a_sequence_of_messages():
    assert [message.coordinates()[1].tolist() for message in THREE[1:]] == [[2.0], [3.0, 4.0]]
    assert THREE[-1].coordinates()[1].tolist() == [3.0, 4.0]
    scaled = THREE.scaled(np.array([1.0, 10.0, -1.0]))
    assert [message.coordinates()[1].tolist() for message in scaled] == [[0.0, 1.0], [20.0], [-3.0, -4.0]]
    for i in (3, -4):
        with pytest.raises(IndexError, match=f"message {i} of 3"):
            THREE[i]


def test_many_parts_are_a_sequence_of_parts():
    parts = ManyParts({"gradient": THREE}, 3)
    assert parts[-1]["gradient"].coordinates()[1].tolist() == [3.0, 4.0] and len(parts[:2]) == 2
    with pytest.raises(IndexError, match="client 3 of 3"):
        parts[3]


def test_a_choice_has_its_messages_coordinates():
    sparse = Sparse(np.array([1, 3]), np.array([2.0, -1.0]))
    places, values = Choice(1, sparse).coordinates()
    assert places.tolist() == [1, 3] and values.tolist() == [2.0, -1.0]


def test_a_buffer_shorter_than_its_packets_is_refused():
    packets, lengths, _ = encode_many(Kind.REPLY, 1, np.arange(3), ManyParts({"gradient": THREE}, 3))
    with pytest.raises(WireError, match="bytes are not the 3 packets that they are announced as"):
        decode_many(packets[:-1], lengths.tolist(), lambda part, clients, decoded: np.array([2, 1, 2]))


def test_groups_of_unlike_messages_are_a_list():
    """Of one form they stay batches; others come one by one, in the clients' order."""
    half = Batch(Dense, np.array([1, 1]), np.array([7.0, 8.0]), precision="float32")
    assert isinstance(concatenated([THREE, THREE]), Batches) and concatenated([THREE]) is THREE
    for groups in ([THREE, half], [THREE, [Dense(np.ones(1)), Nothing()]]):
        found = concatenated(groups)
        assert [type(message) for message in found] == [type(message) for group in groups for message in group]
        assert len(found) == 5 and found[0].coordinates()[1].tolist() == [0.0, 1.0]


def test_a_message_inside_whose_head_does_not_end_is_refused():
    for buffer in (b"\xff" * 20, b"\x01", b""):
        with pytest.raises(WireError, match=r"hold no message|has no head"):
            unnest(memoryview(buffer), 3, {})


def test_a_part_that_is_missing_is_named():
    with pytest.raises(WireError, match="round 3, the reply: gradient is missing"):
        Received({}, "round 3, the reply:")["gradient"]


def test_of_many_heads_the_one_that_cannot_be_is_told():
    good = encode_heads(np.array([[5]]))[0]
    with pytest.raises(WrongCode) as caught:
        decode_heads([good, b"\xff" * 20, good], 1)
    assert caught.value.position == 1


def test_parts_of_ones_own_may_differ_from_client_to_client():
    """Their names stand in the packets, of one length here."""
    mine = [{"own-a": Dense(np.ones(2))}, {"own-b": Dense(np.zeros(2))}]
    packets, lengths, _ = encode_many(Kind.REPLY, 1, np.arange(2), mine)
    found = decode_many(packets, lengths.tolist(), lambda part, clients, decoded: 2).parts
    assert [list(parts) for parts in found] == [["own-a"], ["own-b"]]


def test_one_process_is_the_smallest_transport():
    alone = InProcess()
    assert alone.gather(b"a") == [b"a"] and alone.scatter([b"a"]) == b"a" and alone.broadcast(b"a") == b"a"
    with pytest.raises(SystemExit) as ended:
        alone.abort(3)
    assert ended.value.code == 3


def test_what_was_interrupted_is_everyones_own():
    """A Ctrl-C that was kept is raised as itself, whatever else failed."""
    transport = InProcess()
    transport.interrupt = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        transport.raise_fault(transport.describe("round 3", ValueError("no")), None)
    with pytest.raises(Fault, match="round 3: SystemExit: 0"):
        transport.raise_fault(transport.describe("round 3", SystemExit(0)), SystemExit(0))


def test_a_rank_that_left_a_conversation_begins_no_other():
    transport = InProcess()
    transport.broken = True
    with pytest.raises(RuntimeError, match="a second Ctrl-C took this rank out"), transport.agreed("reading"):
        pass


# --- heads that cannot be, the second of two packets


def head(lead, round=1, client=1, *more):
    """A packet of nothing but a head of these numbers, sealed."""
    return sealed(b"".join(map(number, (lead, round, client, *more))))


GOOD = head(Kind.REPLY)


def read(*packets):
    whole = np.frombuffer(b"".join(packets), np.uint8)
    return decode_many(whole, [len(packet) for packet in packets], lambda part, clients, decoded: 1)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (GOOD[:-1], "bytes are not the 2 packets|bytes are no packet"),
        (head(8 * 5 + 1), "5 sections announced in 7 bytes"),
        (sealed(number(8 * 256 + 1) + number(1) * 2 + bytes(512)), "256 sections .* has at most 255"),
        (head(8 * 3 + 1, 1, 1, 0, 0, 0, 0), "no head"),
        (head(3, 2**32), "kind 3 with flags 0 cannot be"),
        (head(1, 2**32), "kind 1 with flags 0 cannot be"),
        (head(1, 1, 2**32), "kind 1 with flags 0 cannot be"),
        (head(4 + 1, 1, 1, 0), "kind 1 with flags 0 cannot be"),
        (head(4 + 1, 1, 1, 2**16), "kind 1 with flags 65536 cannot be"),
        (head(8 + 1, 1, 1, 64, 3), "3 bytes of payload announced, 0 there"),
        (sealed(b"".join(map(number, (1, 1, 1))) + b"\0"), "1 bytes belong to no section"),
        (GOOD[:-1] + b"\2", "the checksum does not match"),
    ],
)
def test_a_head_that_cannot_be(second, words):
    for packets in ((second,), (GOOD, second), (second, GOOD)):
        with pytest.raises(WireError, match=words):
            read(*packets)


def test_the_largest_numbers_of_a_head():
    found = read(GOOD, head(4 + 2, 2**32 - 1, 2**32 - 1, 2**16 - 1), head(0, 0, 0))
    assert found.rounds.tolist() == [1, 2**32 - 1, 0] and found.flags.tolist() == [0, 2**16 - 1, 0]
    assert found.clients.tolist() == [0, 2**32 - 2, EVERYONE] and found.kinds.tolist() == [1, 2, 0]


def test_packets_of_unlike_heads_take_memory_in_proportion():
    """Thousands of the smallest ones, and one of as many sections as there may be."""
    names = [f"own-{k}" for k in range(255)]
    packets, lengths, _ = encode_many(Kind.REPLY, 1, np.arange(1), [dict.fromkeys(names, Nothing())])
    whole = np.concatenate([np.tile(np.frombuffer(GOOD, np.uint8), 4000), packets])
    each = [len(GOOD)] * 4000 + lengths.tolist()
    decode_many(whole, each, lambda part, clients, decoded: 1)  # what is imported for the first time
    tracemalloc.start()
    found = decode_many(whole, each, lambda part, clients, decoded: 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.parts) == 4001 and list(found.parts[-1]) == names
    assert peak < 100 * len(whole)
    with pytest.raises(ValueError, match="given 256 of one client, a packet has at most 255"):
        encode_many(Kind.REPLY, 1, np.arange(1), [dict.fromkeys([*names, "own-255"], Nothing())])
