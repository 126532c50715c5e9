"""The ledger's table: what every client sent and received by part, recounted from the packets; for every preset."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mpi_launch import launch
from packet_lengths import head_of

import newtonfl as nf
from newtonfl import registry
from newtonfl.comm.envelope import unpack
from newtonfl.comm.parts import PARTS
from newtonfl.comm.transport import InProcess

PROGRAMS = Path(__file__).parents[1] / "support" / "mpi_programs"
sys.path.insert(0, str(PROGRAMS))
from ledger_tables import solved  # noqa: E402


class Reading(InProcess):
    """A transport that reads the heads of all packets, by docs/wire.md and not by the library."""

    lays_out_all = True

    def __init__(self):
        self.counted, self.call = Counter(), ""

    def broadcast(self, buffer):
        whole = super().broadcast(buffer)
        arrays, facts = unpack(whole) if whole[8:].startswith(b"{") else ({}, {})  # else a vote
        self.call = {"setup": "setup", "round": "rounds", "mix": "rounds"}.get(facts.get("call"), "")
        self.mixes, self.senders = facts.get("call") == "mix", arrays.get("participants")
        if self.call:
            at = 0
            for i, length in enumerate(arrays["lengths"].tolist()):
                packet = arrays["packets"].tobytes()[at : at + length]
                for client in arrays["recipients"].tolist() if i == 0 else [head_of(packet)[0][2] - 1]:
                    self.read(packet, client, "down")
                at += length
        return whole

    def swap(self, outbox):
        """On a ring, or over one edge."""
        (arrays, _), at = unpack(outbox[0]), 0
        for length in arrays["lengths"].tolist():
            packet = arrays["packets"].tobytes()[at : at + length]
            client, at = head_of(packet)[0][2] - 1, at + length
            pair = set(self.senders.tolist()) - {client}
            for neighbour in pair if len(pair) == 1 else ((client - 1) % 4, (client + 1) % 4):
                self.read(packet, client, "up")
                self.read(packet, neighbour, "down")
        return outbox

    def gather(self, buffer):
        if self.call and not self.mixes:
            arrays, at = unpack(buffer)[0], 0
            for client, length in zip(arrays["clients"].tolist(), arrays["lengths"].tolist(), strict=True):
                self.read(arrays["packets"].tobytes()[at : at + length], client, "up")
                at += length
        return super().gather(buffer)

    def read(self, packet, client, way):
        numbers, at = head_of(packet)
        sections = numbers[3 + (numbers[0] >> 2 & 1) :]
        for code, length in zip(sections[::2], sections[1::2], strict=True):
            self.counted[client, way, self.call, PARTS[code >> 6]] += length
        self.counted[client, way, self.call, "packet head"] += at


@pytest.mark.parametrize("name", list(registry.METHODS))
def test_every_part_of_every_preset(name):
    """Against the packets themselves; without packets, as in one process, it is the same; and it sums to the totals."""
    transport = Reading()
    ledger = solved(name, transport).ledger
    table = ledger.table()
    rows = {tuple(row[key] for key in ("client", "direction", "phase", "part")): row["bytes"] for row in table}
    assert len(rows) == len(table) and rows == dict(transport.counted)
    assert list(solved(name).ledger.table()) == list(table)
    for way, tally in (("up", ledger.up), ("down", ledger.down)):
        for phase, expected in (("setup", tally.setup_bytes), ("rounds", tally.bytes)):
            mine = [sum(n for key, n in rows.items() if key[:3] == (client, way, phase)) for client in range(4)]
            assert mine == expected.tolist()


@pytest.mark.mpi
@pytest.mark.slow
def test_on_two_ranks_every_preset_has_the_table_of_one_process():
    ended = launch(2, PROGRAMS / "ledger_tables.py", timeout=240)
    assert ended.status == 0, ended.err
    told = {line["preset"]: line["table"] for line in map(json.loads, ended.out.splitlines())}
    assert told == {name: list(solved(name).ledger.table()) for name in registry.METHODS}


def test_numbers_and_messages_of_known_rounds():
    """gd, three rounds of 30 numbers each way; ef21 whole, then 7 entries; fednl-pp of all, then of one."""

    def counts(ledger, *where):
        rows = [row for row in ledger.table() if (row["client"], row["direction"], row["phase"], row["part"]) == where]
        return [(row["messages"], row["numbers"]) for row in rows]

    gd = solved("gd").ledger
    assert counts(gd, 0, "up", "rounds", "gradient") == counts(gd, 3, "down", "rounds", "model") == [(3, 90)]
    assert counts(gd, 1, "up", "rounds", "packet head") == [(3, 0)]
    problem = nf.load("breast_cancer", clients=4)
    for compressor, sent in (("topk:7", 7), ("dithering:4", 30), ("topk:7+dithering:4", 7)):
        ef21 = nf.solve(problem, f"ef21,compressor={compressor}", rounds=3, tol=0.0).ledger
        assert counts(ef21, 2, "up", "rounds", "gradient") == [(3, 30 + 2 * sent)], compressor
    part = nf.solve(problem, "fednl-pp,participation=uniform:1", rounds=8, tol=0.0).ledger
    drawn = part.table().by("client", "phase", "direction", "part")
    heard = {r["client"]: r["messages"] for r in drawn if r["part"] == "model" and r["phase"] == "rounds"}
    said = {r["client"]: r["messages"] for r in drawn if r["part"] == "gradient" and r["phase"] == "rounds"}
    assert heard == said and sum(said.values()) == 4 + 7


def test_sums_a_data_frame_csv_and_print(tmp_path):
    ledger = solved("newton-3pc").ledger
    table = ledger.table()
    whole = table.by()
    assert (len(whole), int(whole.bytes[0])) == (1, int(table.bytes.sum()))
    by_way = {row["direction"]: row["bytes"] for row in table.by("direction")}
    totals = ledger.totals()["bytes"]
    assert by_way == {way: totals[way]["total"] + totals[f"setup_{way}"]["total"] for way in ("up", "down")}
    frame = table.to_pandas()
    expected = frame.groupby(["part", "client"], sort=False)["bytes"].sum()
    found = {(row["part"], row["client"]): row["bytes"] for row in table.by("part", "client")}
    assert found == expected.to_dict()
    table.to_csv(tmp_path / "ledger.csv")
    with (tmp_path / "ledger.csv").open(newline="") as file:
        assert [int(row["bytes"]) for row in csv.DictReader(file)] == frame["bytes"].tolist()
    assert pd.read_csv(tmp_path / "ledger.csv").equals(frame.astype({"client": int}))
    lines = repr(table).splitlines()
    assert lines[0].split() == list(frame.columns) and len(lines) == len(table) + 2
    assert lines[-1].split() == ["sum", *(f"{int(frame[name].sum()):,}" for name in ("messages", "numbers", "bytes"))]
    many = nf.solve(nf.load("breast_cancer", clients=60), "gd", rounds=1).ledger.table()
    assert len(many) > 200
    cells = [line.split() for line in repr(many).splitlines()]
    whole = [[*" ".join(map(str, list(row.values())[:4])).split(), *(f"{row[c]:,}" for c in lines[0].split()[4:])]
             for row in many]  # fmt: skip
    assert cells[1:31] == whole[:30] and cells[32:62] == whole[-30:] and cells[31] == ["…"] * 7 and len(cells) == 63
    with pytest.raises(ValueError, match="by: given 'site', must be of client, direction, phase, part"):
        table.by("site")
    empty = nf.comm.ledger.Ledger(2).table()
    assert len(empty) == len(empty.by("client")) == 0 and "sum" in repr(empty)


def test_an_estimator_adds_its_solves_and_its_inference():
    draw = np.random.Generator(np.random.Philox(4))
    X, y = draw.standard_normal((90, 4)), draw.integers(0, 3, 90)
    model = nf.FederatedLogisticRegression(alpha=0.1, clients=3, multi_class="ovr", inference="HC0").fit(X, y)
    sums = {(row["direction"], row["phase"]): row["bytes"] for row in model.ledger_.table().by("direction", "phase")}
    sent = sum(int(one.ledger.up.bytes.sum()) for one in model.inference_)
    assert sums["up", "inference"] == sent > 0
    for way in ("up", "down"):
        assert sums[way, "rounds"] + sums[way, "inference"] == model.communication_[f"bytes_{way}"]
        inferred = sum(int(getattr(one.ledger, way).setup_bytes.sum()) for one in model.inference_)
        assert sums[way, "setup"] == model.communication_[f"setup_bytes_{way}"] > inferred


def test_what_makes_columns_alike_is_a_row_of_its_own_and_counted_once(tmp_path):
    for name, words in (("a", "red blue red blue"), ("b", "green red red blue")):
        rows = [f"{i},{word},{i % 2}" for i, word in enumerate(words.split())]
        (tmp_path / f"{name}.csv").write_text("\n".join(["age,colour,y", *rows]) + "\n")
    (tmp_path / "silos.toml").write_text(
        '[data]\nsource = "csv:*.csv"\nlabel = "y"\ncategorical = ["colour"]\n[objective]\nloss = "logistic"\n'
        'l2 = 0.1\n[clients]\nsplit = "files"\n'
    )
    problem = nf.load(tmp_path / "silos.toml")
    result = nf.solve(problem, "newton")
    shared = [row for row in result.ledger.table() if row["part"] == "shared columns"]
    up, down = problem.preparation
    assert [(row["direction"], row["bytes"]) for row in shared] == [
        ("up", up[0]),
        ("down", down[0]),
        ("up", up[1]),
        ("down", down[1]),
    ]
    assert up.min() > 0
    after = nf.inference(problem, result.x).ledger.table()
    assert "shared columns" not in after.part and set(after.phase) == {"inference"}


def test_a_resumed_solve_has_the_table_of_one_that_was_never_cut_off(tmp_path):
    problem = nf.load("breast_cancer", clients=4)
    whole = nf.solve(problem, "bl2", rounds=6, tol=0.0)
    nf.solve(problem, "bl2", rounds=2, tol=0.0, checkpoint=tmp_path / "kept")
    again = nf.solve(problem, "bl2", rounds=6, tol=0.0, checkpoint=tmp_path / "kept")
    assert again.resumed and list(again.ledger.table()) == list(whole.ledger.table())


def test_a_runs_result_has_the_sums_by_part(run, small, tmp_path):
    assert run("solve", small, "--method", "newton-3pc", "--quiet", "--out", tmp_path / "out")[0] == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    for way in ("up", "down"):
        for phase, name in (("rounds", way), ("setup", f"setup_{way}")):
            parts = [row for row in result["parts"] if (row["direction"], row["phase"]) == (way, phase)]
            assert sum(row["bytes"] for row in parts) == result["bytes"][name]["total"] > 0
            assert {"packet head"} < {row["part"] for row in parts} or phase == "setup"


def test_a_summary_is_a_phase_of_its_own_in_a_runs_files(run, small, tmp_path):
    assert run("solve", small, "--summary", "HC0", "--quiet", "--out", tmp_path / "out")[0] == 0
    problem = nf.load(small)
    x = np.load(tmp_path / "out" / "x.npy")
    expected = nf.inference(problem, x, covariance="HC0").ledger.table().by("direction", "phase", "part").to_json()
    parts = json.loads((tmp_path / "out" / "result.json").read_text())["parts"]
    assert [row for row in parts if row["phase"] == "inference"] == expected and len(expected) > 4
    with (tmp_path / "out" / "ledger.csv").open(newline="") as file:
        sent = sum(int(row["bytes"]) for row in csv.DictReader(file))
    assert sent == sum(row["bytes"] for row in parts)
