"""The report of a run, or of several: one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import Any

import numpy as np

from newtonfl.results import plots
from newtonfl.results.costs import SYMBOLS, Measure
from newtonfl.results.curves import height_title
from newtonfl.results.page import Html, aside, bar, definitions, element, folded, page, picture, table
from newtonfl.results.run_folder import Run

_CLIENTS, _COEFFICIENTS = 200, 500
"""The most that a table shows."""

_COUNTS = ("bytes", "messages", "numbers")


def report(runs: Sequence[Run]) -> str:
    """The page.

    Parameters
    ----------
    runs : sequence of Run
        At least one. Several of one objective have their curves in one picture.

    Returns
    -------
    str
        HTML, with the pictures in it where Matplotlib is installed.

    Raises
    ------
    ValueError
        If a run's ledger.csv is not what a run writes.
    """
    if len(runs) == 1:
        (run,) = runs
        title = f"{run.method} on {run.title}" if run.title else run.method
        return page(title, [element("h1", title), *_run(run, "h2", "run")])
    named = {_letter(i): run for i, run in enumerate(runs)}
    parts = [element("h1", f"{len(runs)} runs"), _overview(named)]
    if len({run.result["objective"] for run in runs if run.result}) < 2:
        parts += _curves(named, "all")
    else:
        parts.append(aside("The runs are of different objectives, which cannot share a picture."))
    for name, run in named.items():
        parts += [element("h2", f"{name}: {run.label}"), *_run(run, "h3", name)]
    return page(f"{len(runs)} runs", parts)


def _letter(i: int) -> str:
    """A, B, …, Z, A2, …"""
    number, letter = divmod(i, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(number + 1) if number else "")


def _overview(runs: dict[str, Run]) -> Html:
    """A line a run."""
    heads = ["", "run", "rounds", *SYMBOLS.values(), "KiB a client", "ended", "method", "problem"]
    rows: list[list[Any]] = []
    for name, run in runs.items():
        last, sent = run.history[-1], float(run.history.sent("bytes")[-1]) / 1024
        numbers = [last.round, *(_number(getattr(last, measure)) for measure in SYMBOLS), sent]
        rows.append([name, run.label, *numbers, _ending(run), run.method, run.title])
    return table(heads, rows)


def _run(run: Run, head: str, name: str) -> Iterator[Html]:
    """Everything of the run that the page calls `name`; its parts have headings of the kind `head`."""
    result, last = run.result, run.history[-1]
    measured = [(SYMBOLS[measure], getattr(last, measure)) for measure in SYMBOLS]
    yield element("p", _ending(run))
    yield definitions([
        ("objective", _code(result.get("objective"))), ("problem", result.get("problem")),
        ("label", result.get("label")), ("classes", ", ".join(map(_class, _list(result.get("classes"))))),
        ("rounds", last.round), ("f(x)", None if last.f is None else repr(last.f)),
        *((symbol, None if value is None else f"{value:.3g}") for symbol, value in measured),
        *((height_title(column), f"{value:.6g}") for column, value in (last.monitors or {}).items()),
        ("clients", result.get("n_clients")), ("dimension", result.get("dim")),
        ("rows left out", result.get("rows_left_out") or None), ("seconds", f"{last.seconds:.3f} in rounds"),
        *(("note", note) for note in _list(result.get("notes"))),
    ])  # fmt: skip
    yield element(head, "Curves")
    yield from _curves({"": run}, name)
    yield from _sent(run, head)
    yield from _coefficients(result.get("inference"), head)
    yield element(head, "Settings")
    aspects = [(key, result.get(key)) for key in ("seed", "availability", "on_missing", "device", "ranks")]
    yield definitions([("method", result.get("method")), *_items(result.get("settings")), *aspects])
    versions = [*_items(result.get("environment")), ("x_sha256", _code(result.get("x_sha256")))]
    yield folded("Versions", definitions(versions))


def _ending(run: Run) -> str:
    """Why it ended, as a sentence."""
    if not run.result:
        return "not finished"
    return f"{'converged' if run.result.get('converged') is True else 'ended'}: {run.result.get('reason')}"


def _curves(runs: dict[str, Run], name: str) -> Iterator[Html]:
    """The gap, or the gradient's norm where a gap is not known, over rounds and over bytes; a line a run, by label.

    `name` is the pictures' own on this page.
    """
    known = all(record.gap is not None for run in runs.values() for record in run.history)
    measure: Measure = "gap" if known else "gradient_norm"
    histories, symbol = {label: run.history for label, run in runs.items()}, SYMBOLS[measure]
    try:
        drawn = {over: plots.svg(plots.draw_small(histories, over, measure)) for over in ("rounds", "bytes")}
    except (RuntimeError, ValueError) as error:  # no Matplotlib, or no number that can be drawn
        yield aside(f"No pictures: {error}.")
        return
    pictures = [picture(document, f"{symbol} over {over}", f"{name}-{over}") for over, document in drawn.items()]
    yield element("div", *pictures, class_="pictures")


def _sent(run: Run, head: str) -> Iterator[Html]:
    """What every client sent and received: by part, by client, and all of it."""
    rows = run.sent()
    if not rows:
        return
    yield element(head, "What left each client, and what reached it")
    up, down = (element("span", class_=f"key {way}") for way in ("up", "down"))
    yield element(
        "p", up, " up, to the server; ", down, " down, from it. Bytes as on the wire, the packets' heads and the "
        "set-up with them; first of all clients together, where a packet to all counts once for each.", class_="quiet",
    )  # fmt: skip
    by_part: dict[tuple[str, str, str], list[int]] = {}
    by_client: dict[str, Counter[str]] = {}
    for row in rows:
        sums = by_part.setdefault((row["direction"], row["phase"], row["part"]), [0, 0, 0])
        sums[:] = [total + int(row[count]) for total, count in zip(sums, _COUNTS, strict=True)]
        by_client.setdefault(row["client"], Counter())[row["direction"]] += int(row["bytes"])
    largest = max(sums[0] for sums in by_part.values()) or 1
    heads = ["", "phase", "part", "bytes", "", "messages", "numbers"]
    ordered = sorted(by_part.items(), key=lambda item: (item[0][0] != "up", -item[1][0]))
    yield table(heads, ([*key, n, bar([(key[0], n / largest)]), *more] for key, (n, *more) in ordered))
    largest = max(sums.total() for sums in by_client.values()) or 1
    shown = dict(list(by_client.items())[:_CLIENTS])
    yield table(
        ["client", "bytes up", "bytes down", ""],
        ([name, sums["up"], sums["down"], bar([(way, sums[way] / largest) for way in ("up", "down")])]
         for name, sums in shown.items()),
    )  # fmt: skip
    if len(by_client) > len(shown):
        yield aside(f"The first {len(shown)} of {len(by_client)} clients; ledger.csv has all.")
    keys = ("client", "direction", "phase", "part")
    every = [[*(row[key] for key in keys), *(int(row[count]) for count in _COUNTS)] for row in rows
             if row["client"] in shown]  # fmt: skip
    yield folded("Every client and part", table(["client", "", "phase", "part", *_COUNTS], every))


def _coefficients(inference: Any, head: str) -> Iterator[Html]:
    """The table that --summary has asked for."""
    found = dict(_items(inference)).get("coefficients")
    rows = [(name, dict(_items(row))) for name, row in _items(found)]
    if not rows:
        return
    level = inference.get("level")
    between = f"{100 * level:g} %" if isinstance(level, int | float) else "interval"
    keys = ("estimate", "standard_error", "statistic", "p_value", "low", "high")
    yield element(head, "Coefficients")
    yield aside(f"Errors by the covariance {inference.get('covariance')}.")
    yield table(
        ["", "estimate", "std. error", "statistic", "p", f"{between} from", "to"],
        ([name, *(_number(row.get(key)) for key in keys)] for name, row in rows[:_COEFFICIENTS]),
    )
    if len(rows) > _COEFFICIENTS:
        yield aside(f"The first {_COEFFICIENTS} of {len(rows)}; result.json has all.")
    yield from (aside(f"Note: {note}") for note in _list(inference.get("notes")))


def _number(value: Any) -> float | str:
    """A number for a table; a dash where there is none."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    return float(value) if known else "–"


def _class(label: Any) -> str:
    """A class as one writes it: 3 rather than 3.0."""
    return f"{label:g}" if isinstance(label, float) else str(label)


def _code(words: Any) -> Html | None:
    return None if words is None else element("code", words)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
