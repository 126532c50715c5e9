"""newtonfl report: one page that loads nothing, bears hostile names, and says what the run's files say."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest

from newtonfl.results import plots
from newtonfl.results.page import definitions, element, page, picture, table

EMPTY = {"meta", "br"}
HOSTILE = '<script>alert("1")</script>&amp;<img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """A page, read: its elements in order, and its text by element; every element must be closed in turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.names, self.attributes, self.texts, self.tables = [], Counter(), [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.names[tag] += 1
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.names[tag] += 1
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data

    @property
    def text(self):
        return " ".join(self.texts)

    def table(self, *heads):
        """The table of these heads, without them."""
        (found,) = [rows[1:] for rows in self.tables if rows[0] == list(heads)]
        return found


def read(path):
    """A page that loads nothing and names nothing twice."""
    text = path.read_text(encoding="utf-8")
    found = Page(text)
    assert not found.names.keys() & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a"}
    for tag, name, value in found.attributes:
        assert not name.startswith("on") and name not in ("src", "srcset", "action", "data"), (tag, name)
        assert "href" not in name or value.startswith("#")
        assert not re.search(r"url\((?!#)|@import", value or ""), (tag, name, value)
    assert not re.search(r"url\((?!#)|@import|https?:", re.sub(r' xmlns(:\w+)?="[^"]*"', "", text))
    ids = [value for _, name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    referred = {value[1:] for _, name, value in found.attributes if "href" in name}
    assert referred | set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids)
    return found


@pytest.fixture
def solved(run, small, tmp_path):
    """A run's folder with a summary."""
    words = ["--rounds", "30", "--summary", "--accuracy", "1e-9", "--quiet"]
    assert run("solve", small, *words, "--out", tmp_path / "run")[0] == 0
    return tmp_path / "run"


def test_a_page_says_what_the_files_of_a_run_say(run, solved):
    status, out, _ = run("report", solved)
    assert status == 0 and out == f"{solved / 'report.html'}\n"
    found, result = read(solved / "report.html"), json.loads((solved / "result.json").read_text())
    for words in (result["objective"], result["reason"], result["x_sha256"], result["title"], *result["settings"]):
        assert words in found.text
    assert found.names["svg"] == 2 and "f(x) − f* over rounds" in found.text
    assert result["classes"] == [0.0, 1.0] and "0, 1" in found.texts
    with (solved / "ledger.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_client = found.table("client", "bytes up", "bytes down", "")
    for way, column in (("up", 1), ("down", 2)):
        sums = Counter()
        for row in rows:
            sums[row["client"]] += int(row["bytes"]) * (row["direction"] == way)
        assert [row[column] for row in by_client] == [f"{total:,}" for total in sums.values()] and len(sums) == 4
    parts = found.table("", "phase", "part", "bytes", "", "messages", "numbers")
    assert sorted((way, phase, part, b, m, n) for way, phase, part, b, _, m, n in parts) == sorted(
        (r["direction"], r["phase"], r["part"], *(f"{r[count]:,}" for count in ("bytes", "messages", "numbers")))
        for r in result["parts"]
    )
    every = found.table("client", "", "phase", "part", "bytes", "messages", "numbers")
    assert [int(row[4].replace(",", "")) for row in every] == [int(row["bytes"]) for row in rows]
    shown = found.table("", "estimate", "std. error", "statistic", "p", "95 % from", "to")
    stated = result["inference"]["coefficients"]
    assert [row[0] for row in shown] == list(stated)
    np.testing.assert_allclose([float(row[1]) for row in shown], [c["estimate"] for c in stated.values()], rtol=1e-3)
    styles = [value for _, name, value in found.attributes if name == "style"]
    widths = [float(value[6:-1]) for value in styles if value.startswith("width:")]
    assert max(widths) == 100.0 and min(widths) >= 0.0
    before = (solved / "report.html").read_bytes()
    assert run("report", solved)[0] == 0 and (solved / "report.html").read_bytes() == before


def test_several_runs_share_a_picture(run, small, tmp_path):
    methods = ["newton-3pc", "gd", "bl1"]
    assert run("compare", small, "--methods", *methods, "--rounds", "8", "--quiet", "--out", tmp_path / "all")[0] == 0
    status, out, _ = run("report", tmp_path / "all", "--out", tmp_path / "page.html")
    assert status == 0 and out == f"{tmp_path / 'page.html'}\n"
    found = read(tmp_path / "page.html")
    assert found.names["svg"] == 2 + 2 * 3 and "3 runs" in found.text
    (overview,) = [rows for rows in found.tables if "KiB a client" in rows[0]]
    assert [row[:2] for row in overview[1:]] == [["A", "bl1"], ["B", "gd"], ["C", "newton-3pc"]]
    status, out, _ = run("report", tmp_path / "all")
    assert status == 0 and out == f"{tmp_path / 'all' / 'report.html'}\n"
    assert run("solve", small, "--l2", "0.5", "--quiet", "--out", tmp_path / "other")[0] == 0
    assert run("report", tmp_path / "all" / "gd", tmp_path / "other", "--out", tmp_path / "two.html")[0] == 0
    two = read(tmp_path / "two.html")
    assert "different objectives" in two.text and two.names["svg"] == 4
    status, _, err = run("report", tmp_path / "all" / "gd", tmp_path / "other")
    assert status == 2 and "the runs lie in different folders; give --out FILE.html" in err


def test_hostile_names_are_words(run, tmp_path):
    """In the title, in columns, labels and the folder's name; edited into result.json as well."""
    rows = [f"{i % 3},{i % 5},{('no', 'yes')[i % 2]}" for i in range(12)]
    head = [f'"{HOSTILE.replace(chr(34), chr(34) * 2)}"', "b", "y"]
    (tmp_path / "h.csv").write_text("\n".join([",".join(head), *rows]) + "\n")
    (tmp_path / "h.toml").write_text(
        f"title = {json.dumps(HOSTILE)}\n"
        '[data]\nsource = "csv:h.csv"\nlabel = "y"\n[objective]\nloss = "logistic"\nl2 = 0.1\n[clients]\ncount = 2\n'
    )
    folder = tmp_path / "<b>run&"
    assert run("solve", tmp_path / "h.toml", "--summary", "--quiet", "--out", folder)[0] == 0
    result = json.loads((folder / "result.json").read_text())
    result |= {"method": HOSTILE, "reason": HOSTILE, "problem": HOSTILE, "settings": {HOSTILE: HOSTILE}}
    result |= {"notes": [HOSTILE], "classes": [HOSTILE], "environment": {HOSTILE: [HOSTILE]}, "n_clients": HOSTILE}
    (folder / "result.json").write_text(json.dumps(result))
    assert run("report", folder)[0] == 0
    found = read(folder / "report.html")
    assert found.text.count(HOSTILE) >= 12 and "b" not in found.names and "img" not in found.names
    assert HOSTILE in found.table("", "estimate", "std. error", "statistic", "p", "95 % from", "to")[0]
    assert run("report", folder, folder, folder / ".." / folder.name, "--out", tmp_path / "several.html")[0] == 0
    read(tmp_path / "several.html")


def test_runs_that_lack_something(run, solved, tmp_path, monkeypatch):
    """No result yet, no ledger of an older version, a ledger that is none, a result of odd types, no Matplotlib."""
    (solved / "ledger.csv").rename(tmp_path / "kept.csv")
    assert run("report", solved)[0] == 0
    assert "What left each client" not in read(solved / "report.html").text
    longer = (tmp_path / "kept.csv").read_text().replace("\n0,up", "\n0,up,x", 1)
    for text in ("client,bytes\n0,1\n", longer, "a,b\n1,2\n"):
        (solved / "ledger.csv").write_text(text)
        status, _, err = run("report", solved)
        assert status == 2 and "ledger.csv: not what a run sent" in err
    (tmp_path / "kept.csv").rename(solved / "ledger.csv")
    result = json.loads((solved / "result.json").read_text())
    odd = {
        "settings": 3,
        "notes": "x",
        "classes": None,
        "environment": [],
        "inference": {"coefficients": {"a": 1, "b": {}}},
    }
    (solved / "result.json").write_text(json.dumps(result | odd))
    assert run("report", solved)[0] == 0
    heads = ("", "estimate", "std. error", "statistic", "p", "interval from", "to")
    assert read(solved / "report.html").table(*heads) == [["a", *"––––––"], ["b", *"––––––"]]
    (solved / "result.json").unlink()
    with (solved / "history.jsonl").open("a") as file:
        file.write('{"round": 31, "f"')
    status, _, err = run("report", solved)
    assert status == 0 and "torn" in err
    assert "not finished" in read(solved / "report.html").text

    def missing(width, height):
        raise RuntimeError("plotting needs matplotlib, which is not installed: pip install 'newtonfl[plot]'")

    monkeypatch.setattr(plots, "_figure", missing)
    assert run("report", solved)[0] == 0
    found = read(solved / "report.html")
    assert "No pictures: plotting needs matplotlib" in found.text and "svg" not in found.names
    status, _, err = run("report", tmp_path / "nothing")
    assert status == 2 and "holds no history.jsonl" in err


def test_a_run_whose_numbers_cannot_be_drawn(run, solved):
    lines = [json.loads(line) for line in (solved / "history.jsonl").read_text().splitlines()]
    for line in lines:
        line |= {"f": None, "gap": None, "gradient_norm": None}
    (solved / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run("report", solved)[0] == 0
    assert "No pictures: nothing to draw" in read(solved / "report.html").text


def test_many_clients_and_coefficients_are_cut_and_said(run, tmp_path, solved):
    lines = (solved / "ledger.csv").read_text().splitlines()
    mine = [line for line in lines[1:] if line.startswith("0,")]
    more = [f"{i},{line.partition(',')[2]}" for i in range(230) for line in mine]
    (solved / "ledger.csv").write_text("\n".join([lines[0], *more]) + "\n")
    result = json.loads((solved / "result.json").read_text())
    result["inference"]["coefficients"] = {f"x{j}": {"estimate": j} for j in range(503)}
    (solved / "result.json").write_text(json.dumps(result))
    assert run("report", solved)[0] == 0
    found = read(solved / "report.html")
    assert "The first 200 of 230 clients" in found.text and "The first 500 of 503" in found.text
    assert len(found.table("client", "bytes up", "bytes down", "")) == 200


def test_pieces_of_a_page_escape_what_they_are_given():
    pieces = [
        element("p", "<i>", class_='"x'),
        definitions([("<k>", "<v>"), ("none", None), ("", "")]),
        table(["<h>"], [["<c>"], [3000], [0.125]]),
        picture("<?xml?><svg><g/></svg>", '"<w>', "a"),
    ]
    whole = page("<t>", pieces)
    found = Page(whole)
    assert ("svg", "aria-label", '"<w>') in found.attributes and '"<w>' in found.texts
    assert not found.names.keys() & {"t", "i", "k", "v", "h", "c", "w"}
    assert ("p", "class", '"x') in found.attributes and "3,000" in found.texts and "0.125" in found.texts
    assert "none" not in found.texts
