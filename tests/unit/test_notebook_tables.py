"""What a notebook shows of a result, a history and a comparison: small tables, whose text is escaped."""

from __future__ import annotations

import re
from functools import cache

import pytest

import newtonfl as nf

EVIL = "<script>alert('&')</script>"


@cache
def comparison():
    problem = nf.load("breast_cancer", clients=4)
    return nf.compare(problem, {EVIL: "gd", "newton": "newton"}, rounds=40)


def cells(thing) -> list[list[str]]:
    """The table's rows, heads first, as text."""
    shown = thing._repr_html_()
    assert shown.count("<table>") == 1 and "<script" not in shown
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", shown)]


def test_a_comparison_has_a_line_a_method_and_accuracy_and_says_why_each_ended():
    heads, *rows = cells(comparison())
    assert heads[:3] == ["f(x) − f* ≤", "method", "rounds"] and len(rows) == 2 * len(comparison().accuracies)
    assert {row[1] for row in rows} == {"&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;", "newton"}
    assert rows[-1] == [*rows[-1][:-1], "1e-12 is reached"] and all(len(row) == len(heads) for row in rows)
    taken = comparison().costs("rounds", 1e-9)
    assert [row[2] for row in rows if row[0] == "1e-09"] == ["–", f"{taken['newton']:.0f}"]
    assert rows[-2][-1] == str(nf.Reason.ROUND_LIMIT) and not any(row[-1] for row in rows[:-2])


def test_a_result_says_how_it_ended_and_what_was_sent():
    result = comparison().results["newton"]
    shown = dict(cells(result))
    sent = result.ledger.totals()["bytes"]["up"]["mean"]
    assert shown["ended"] == str(result.reason) and shown["rounds"] == str(result.rounds)
    assert shown["bytes up, a mean client&#x27;s"] == f"{sent:,.0f}" and shown["f(x)"] == repr(result.history[-1].f)
    assert shown["x_sha256"] == result.x_sha256[:16]


@pytest.mark.parametrize("length, rounds", [(0, []), (1, [0]), (12, [*range(12)]), (41, [0, 40])])
def test_a_history_shows_a_dozen_rounds_with_the_first_and_the_last(length, rounds):
    history = nf.History(comparison().results[EVIL].history[:length])
    _, *rows = cells(history)
    shown = [int(row[0]) for row in rows]
    assert len(shown) <= 12 and set(rounds) <= set(shown) and shown == sorted(set(shown))
    assert [float(row[1]) for row in rows] == [float(f"{history[at].f:.4g}") for at in shown]


def test_a_gap_that_is_not_known_is_a_dash():
    assert cells(nf.History([nf.Record(0, 0.5, None, 1.0, 0.0, 80.0, 8.5, 640.0, 0.0, 1.25, 0.1)]))[1][2] == "–"
