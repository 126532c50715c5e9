"""Messages of many clients as whole arrays: as each of them alone, in every byte."""

from __future__ import annotations

import numpy as np
import pytest

from newtonfl.comm.coding import NotFinite, WireError
from newtonfl.comm.heads import Kind
from newtonfl.comm.messages import Batch, Batches, Choice, Dense, Indices, Nothing, Run, Sparse, batched, concatenated
from newtonfl.comm.packets import Packet, are_plain, check_finite, decode_many, encode, encode_many, measure
from newtonfl.comm.parts import ManyParts, column, end_to_end, formula_bits, joined_all, nothing_from, select_parts

SIZES = np.array([7, 0, 40, 1, 300])
PRECISIONS = ["float64", "float32", "natural"]


def drawn(form, precision="float64", seed=0):
    """One message a client, one by one."""
    draw, messages = np.random.default_rng(seed), []
    for size in SIZES.tolist():
        chosen = np.flatnonzero(draw.random(size) < 0.3)
        values = draw.standard_normal(size) * 10.0 ** draw.integers(-3, 3)
        fields = {Dense: (values,), Sparse: (chosen, values[chosen]), Indices: (chosen,)}[form]
        messages.append(form(*fields, **({} if form is Indices else {"precision": precision})))
    return messages


def batch(messages):
    return Batches(tuple(map(Batch.of_one, messages))).whole


def same(one, other):
    assert type(one) is type(other) and one.precision == other.precision
    assert one.formula_bits == other.formula_bits and one.payload() == other.payload()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("form", [Dense, Sparse, Indices])
def test_packets_of_a_batch_are_those_of_each_client(form, precision):
    """Written together they are the bytes of one after the other; read together they are the messages."""
    messages, clients = drawn(form, precision), np.array([0, 3, 4, 8, 9])
    error = [Dense(np.array([0.5 * i]), formula_bits=0) for i in range(5)]
    alone = [
        encode(Packet(Kind.REPLY, 6, int(c), 0, {"curvature": m, "error": e}))
        for c, m, e in zip(clients, messages, error, strict=True)
    ]
    parts = ManyParts({"curvature": batch(messages), "error": batch(error)}, 5)
    buffer, lengths, _ = encode_many(Kind.REPLY, 6, clients, parts)
    assert buffer.tobytes() == b"".join(alone) and lengths.tolist() == [len(packet) for packet in alone]
    assert formula_bits(parts).tolist() == [m.formula_bits for m in messages]

    def sizes(part, who, decoded):
        return 1 if part == "error" else SIZES[np.searchsorted(clients, who)]

    found = decode_many(buffer, lengths.tolist(), sizes)
    assert found.clients.tolist() == clients.tolist() and set(found.rounds) == {6} and set(found.kinds) == {1}
    curvature = column(found.parts, "curvature")
    assert isinstance(curvature, Batch) and len(curvature) == 5
    for one, other in zip(curvature, messages, strict=True):
        same(one, other)
    for i in (0, 3, -1):
        same(curvature[i], messages[i])
    some = select_parts(found.parts, np.array([4, 1]))
    same(some[0]["curvature"], messages[4])
    same(some[1]["curvature"], messages[1])


def test_clients_that_say_different_things_are_written_in_their_order():
    """Parts, forms and names of one's own may all differ; the bytes are those of one packet after the other."""
    parts = [
        {"gradient": Dense(np.ones(2))}, {}, {"anew": Dense(np.zeros(2))}, {"gradient": Nothing()}, {},
        {"gradient": Dense(np.arange(2.0))}, {"mine": Dense(np.ones(2))}, {"own": Dense(np.zeros(2))},
        {"gradient": Dense(np.ones(2), precision="float32"), "error": Dense(np.ones(2))},
    ]  # fmt: skip
    buffer, lengths, _ = encode_many(Kind.REPLY, 1, np.arange(9), parts)
    alone = [encode(Packet(Kind.REPLY, 1, i, 0, mine)) for i, mine in enumerate(parts)]
    assert buffer.tobytes() == b"".join(alone) and lengths.tolist() == list(map(len, alone))
    found = decode_many(buffer, lengths.tolist(), lambda part, clients, decoded: 2)
    assert [list(mine) for mine in found.parts] == [list(mine) for mine in parts]
    for mine, sent in zip(found.parts, parts, strict=True):
        for name, message in mine.items():
            same(message, sent[name])
    with pytest.raises(WireError, match="round 1, client 2, anew: 16 bytes where 3 numbers take 24"):
        decode_many(buffer, lengths.tolist(), lambda part, clients, decoded: 3 if part == "anew" else 2)


def test_the_first_packet_that_cannot_be_is_named():
    """Whoever stands around it: a count that is too large, a number that is not finite, a client nobody asked."""
    messages = drawn(Sparse)
    parts, clients = ManyParts({"curvature": batch(messages)}, 5), np.arange(5)
    buffer, lengths, _ = encode_many(Kind.REPLY, 2, clients, parts)
    with pytest.raises(WireError, match=r"round 2, client 2, curvature: .* indices below 3"):
        decode_many(buffer, lengths.tolist(), lambda part, who, decoded: np.where(who == 2, 3, SIZES[who]))
    with pytest.raises(WireError, match="round 2, client 3: this packet was not asked for"):
        decode_many(buffer, lengths.tolist(), lambda part, who, decoded: SIZES[who], np.array([0, 1, 2, 4]))
    for others in (np.append(lengths[:-1], lengths[-1] + 1), [10**9, -(10**9), *lengths[:3]], [*lengths, 7]):
        with pytest.raises(WireError):
            decode_many(buffer, list(map(int, others)), lambda part, who, decoded: SIZES[who])
    values = np.concatenate([m.values for m in messages])
    values[-1] = np.inf
    bad = ManyParts({"curvature": Batch(Sparse, parts.columns["curvature"].counts, values, batch(messages).indices)}, 5)
    buffer, lengths, _ = encode_many(Kind.REPLY, 2, clients, bad)
    with pytest.raises(NotFinite, match="round 2, client 4, curvature: a number that is not finite"):
        decode_many(buffer, lengths.tolist(), lambda part, who, decoded: SIZES[who])
    with pytest.raises(NotFinite, match="round 2, client 4, curvature: a number that is not finite"):
        check_finite(bad, 2, clients)


def test_packets_in_runs_are_read_as_one(monkeypatch):
    messages = drawn(Sparse)
    buffer, lengths, _ = encode_many(Kind.REPLY, 0, np.arange(5), ManyParts({"curvature": batch(messages)}, 5))
    for run in (1, 200, 600):
        monkeypatch.setattr("newtonfl.comm.packets._RUN", run)
        found = decode_many(buffer, lengths.tolist(), lambda part, who, decoded: SIZES[who])
        assert found.clients.tolist() == [0, 1, 2, 3, 4]
        for mine, message in zip(found.parts, messages, strict=True):
            same(mine["curvature"], message)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_packets_of_whole_vectors_are_measured_as_they_are_laid_out(precision):
    """Nothing is written, and the lengths are those of the bytes: of dense vectors and index sets, and of no others."""
    parts = ManyParts({"support": batch(drawn(Indices)), "initial": batch(drawn(Dense, precision))}, 5)
    _, lengths, _ = encode_many(Kind.SETUP, 0, np.arange(5), parts)
    assert are_plain(parts) and measure(Kind.SETUP, 0, np.arange(5), parts)[0].tolist() == lengths.tolist()
    assert measure(Kind.REPLY, 0, np.arange(3), nothing_from(np.arange(3)))[0].tolist() == [7, 7, 7]
    for other in (
        ManyParts({"curvature": batch(drawn(Sparse))}, 5),
        ManyParts({"curvature": [Nothing()] * 5}, 5),
        ManyParts({"of one's own": batch(drawn(Dense))}, 5),
        [{"gradient": Dense(np.ones(2))}],
    ):
        assert not are_plain(other)


def test_groups_stand_end_to_end():
    first, second = drawn(Dense), drawn(Dense, seed=1)
    both = concatenated([batch(first), batch(second)])
    assert isinstance(both, Batches) and len(both) == 10
    for one, other in zip(both, first + second, strict=True):
        same(one, other)
    same(both[7], second[2])
    assert isinstance(batched(both), Batch) and batched(first) is first
    assert [type(m) for m in concatenated([batch(first), drawn(Sparse)])] == [Dense] * 5 + [Sparse] * 5
    mixed = concatenated([batch(first), batch(drawn(Dense, "float32"))])
    assert [m.precision for m in mixed] == ["float64"] * 5 + ["float32"] * 5
    whole = end_to_end([ManyParts({"gradient": batch(messages)}, 5) for messages in (first, second)])
    assert len(whole) == 10 and formula_bits(whole).tolist() == [m.formula_bits for m in first + second]
    same(select_parts(whole, np.array([6]))[0]["gradient"], second[1])
    assert [list(mine) for mine in end_to_end([ManyParts({"gradient": batch(first)}, 5), [{}]])] == [
        ["gradient"]
    ] * 5 + [[]]


def test_parts_of_two_components_are_joined_for_every_client():
    gradient = ManyParts({"gradient": batch(drawn(Dense))}, 5)
    both = joined_all(gradient, [{"error": Dense(np.zeros(1))} for _ in range(5)])
    assert [list(mine) for mine in both] == [["gradient", "error"]] * 5
    assert isinstance(joined_all(gradient, nothing_from(np.arange(5))), ManyParts)
    with pytest.raises(ValueError, match=r"given \['gradient'\] by two components"):
        joined_all(gradient, gradient)


def test_levels_of_a_ladder_are_no_batch():
    parts = ManyParts.of([{"gradient": Choice(i, Nothing())} for i in range(3)])
    assert isinstance(parts, ManyParts) and [mine["gradient"].level for mine in parts] == [0, 1, 2]


def test_packets_of_several_sections_are_written_and_read_together():
    """The larger head is no measure for the smaller one."""
    several = [
        dict.fromkeys(names, Dense(np.ones(2))) for names in (["gradient", "error"], ["gradient", "error", "value"])
    ]
    buffer, lengths, _ = encode_many(Kind.REPLY, 1, np.arange(2), several)
    found = decode_many(buffer, lengths.tolist(), lambda part, clients, decoded: 2)
    assert [list(mine) for mine in found.parts] == [list(mine) for mine in several]


@pytest.mark.parametrize("others", [{}, {"gradient": Dense(np.ones(2))}], ids=["alone", "beside"])
@pytest.mark.parametrize("message", [Nothing(), Dense(np.ones(2))], ids=["nothing", "dense"])
def test_parts_of_ones_own_of_other_names_are_kept_apart(others, message):
    """Clients whose sections are alike but for the names, of one length too."""
    parts = [{**others, name: message} for name in ("mine", "mint", "mine")]
    buffer, lengths, _ = encode_many(Kind.REPLY, 1, np.arange(3), parts)
    found = decode_many(buffer, lengths.tolist(), lambda part, clients, decoded: 2)
    assert [list(mine) for mine in found.parts] == [list(mine) for mine in parts]


def test_one_part_that_is_not_plain_makes_the_packets_not_plain():
    dense, sparse, run = batch(drawn(Dense)), batch(drawn(Sparse)), Run(0, np.ones(2), 7)
    assert are_plain(ManyParts({"error": [run] * 5, "gradient": dense}, 5))
    for columns in (
        {"gradient": dense, "mine": dense},
        {"gradient": dense, "curvature": sparse},
        {"error": [run, Nothing()] + [run] * 3},
    ):
        assert not are_plain(ManyParts(columns, 5))


def test_parts_of_clients_are_a_sequence():
    parts = nothing_from(np.arange(3))
    assert parts[-3] == parts[2] == {}
    for i in (-4, 3):
        with pytest.raises(IndexError, match=f"client {i} of 3"):
            parts[i]


def test_a_column_and_a_choice_of_a_list_of_parts():
    """Whoever lacks the part is named."""
    some = [{"gradient": Nothing()}, {"gradient": Nothing()}, {"error": Nothing()}]
    assert column(some[:2], "gradient") == [Nothing(), Nothing()] and select_parts(some, np.array([2, 0])) == [
        some[2],
        some[0],
    ]
    with pytest.raises(WireError, match="the packet of client 2 of 3 has no part gradient"):
        column(some, "gradient")
