"""Draws the districts and the round as they stand in the code: docs/districts.svg and docs/round.svg.

    python docs/draw_architecture.py

Arrows between districts are the imports of their files; what a box says is the first sentence of the district's
docstring. The round's lines are the calls of components in ``round`` and ``respond`` of newtonfl/methods, in their
order. A test fails where picture and code differ.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "newtonfl"
PICTURES = ROOT / "docs"

Graph = dict[str, set[str]]

# ---- what the code says ----------------------------------------------------------------------------------------------


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def districts() -> dict[str, str]:
    """Every district, and the first sentence of its docstring, without its title."""
    found = {}
    for path in sorted(PACKAGE.glob("*/__init__.py")):
        sentence = (ast.get_docstring(tree(path)) or "").split("\n\n")[0].replace("\n", " ").replace("``", "")
        found[path.parent.name] = re.sub(r"^[\w-]+: ", "", sentence).removesuffix(".")
    return found


def imports(name: str) -> set[str]:
    """The districts that a district's files import."""
    modules = {
        module
        for path in (PACKAGE / name).rglob("*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
        for module in (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names))
        if module.startswith("newtonfl.")
    }
    return ({module.split(".")[1] for module in modules} & set(districts())) - {name}


def levels(graph: Graph) -> dict[str, int]:
    """How many imports lie between a district and the lowest, placed as high as its importers let it."""
    depth: dict[str, int] = {}

    def down(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((down(other) for other in graph[name]), default=-1)
        return depth[name]

    top = max(down(name) for name in graph)
    high: dict[str, int] = {}

    def up(name: str) -> int:
        if name not in high:
            high[name] = min((up(other) - 1 for other in graph if name in graph[other]), default=top)
        return high[name]

    return {name: up(name) for name in graph}


def reduced(graph: Graph) -> Graph:
    """The imports that no chain of others makes already: what has to be drawn."""

    def reached(name: str) -> set[str]:
        return graph[name].union(*(reached(other) for other in graph[name])) if graph[name] else set()

    return {name: others - set().union(*map(reached, others)) for name, others in graph.items()}


# ---- drawing ---------------------------------------------------------------------------------------------------------

INK, FAINT, FILL = "#1f2d3d", "#7b8a9a", "#eef3f8"
COLUMNS = {
    "cli": 0, "checks": 1, "estimators": 3, "experiments": 0, "datasets": 4, "registry": 4, "solver": 2, "methods": 1,
    "results": 3, "statistics": 2,
    "components": 1, "mechanisms": 0, "mfac": 2, "bases": 0, "compressors": 0, "objectives": 3, "comm": 1,
    "kernels": 2,
}  # fmt: skip
"""Where a district stands in its row, by hand so that arrows pass between boxes; a new one stands at the right."""
WIDE, HIGH, ACROSS, DOWN, EDGE = 208, 74, 236, 118, 20


def svg(width: int, height: int, title: str, parts: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" role="img">'
    )
    arrow = (
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 1 L9 5 L0 9 z" fill="{FAINT}"/></marker></defs>'
    )
    ground = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", arrow, ground, *parts, "</svg>", ""])


def text(x: float, y: float, words: str, size: int = 12, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{INK}" {more}>{escape(words)}</text>'


def box(x: float, y: float, name: str, says: str, width: float = WIDE, height: float = HIGH) -> list[str]:
    """A district: its name, and at most three lines of what lives there."""
    lines = wrap(says, int(width / 6.3), max_lines=3, placeholder=" …")
    return [
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{FILL}" stroke="{INK}"/>',
        text(x + 10, y + 18, name, 14, 'font-weight="bold"'),
        *(text(x + 10, y + 35 + 15 * i, line, 11) for i, line in enumerate(lines)),
    ]


def curve(x: float, y: float, to_x: float, to_y: float) -> str:
    half = (to_y - y) / 2
    path = f"M{x:g} {y:g} C{x:g} {y + half:g} {to_x:g} {to_y - half:g} {to_x:g} {to_y:g}"
    return f'<path d="{path}" fill="none" stroke="{FAINT}" stroke-width="1.3" marker-end="url(#tip)"/>'


def districts_svg() -> str:
    """The districts in rows, who imports above whom; core, which all import, is the ground."""
    says = districts()
    whole = {name: imports(name) for name in says}
    graph = {name: others - {"core"} for name, others in whole.items() if name != "core"}
    row, top = levels(graph), max(levels(graph).values())
    place = {name: (EDGE + ACROSS * COLUMNS.get(name, 4.0), EDGE + DOWN * (top - row[name])) for name in graph}
    if len(set(place.values())) < len(place):
        raise ValueError(f"two districts stand in one place: give them other columns than {COLUMNS}")
    arrows = [
        curve(place[name][0] + WIDE / 2, place[name][1] + HIGH, place[other][0] + WIDE / 2, place[other][1] - 2)
        for name, others in sorted(reduced(graph).items())
        for other in sorted(others)
    ]
    boxes = [line for name, (x, y) in sorted(place.items()) for line in box(x, y, name, says[name])]
    ground = EDGE + DOWN * (top + 1)
    width = EDGE * 2 + ACROSS * 4 + WIDE
    boxes += box(EDGE, ground, "core", says["core"] + " (imported by every district)", width - 2 * EDGE, 48)
    key = "An arrow: imports. What a chain of arrows imports already has no arrow of its own."
    boxes.append(text(EDGE, ground + 72, key, 12, 'fill-opacity="0.8"'))
    return svg(width, ground + 88, "The districts of newtonfl and their imports", arrows + boxes)


# ---- the round -------------------------------------------------------------------------------------------------------

STEPS = {
    "drawn": "Sᵏ", "query_point": "where to ask", "announce": "z to the clients", "receive": "z arrives",
    "encode": "what is sent", "aggregate": "what the server makes of it", "finalize": "w as clients can follow it",
    "precondition": "P", "update": "x⁺ = w - P⁻¹∇f(w)",
}  # fmt: skip
"""The components' methods that are steps of a round, and what each is for."""
SYMBOLS = {
    ("curvature", "encode"): "S_i, l_i",
    ("gradient", "encode"): "∇f_i",
    ("curvature", "aggregate"): "H, l",
    ("gradient", "announce"): "what one client alone needs",
    ("gradient", "aggregate"): "w, ∇f(w)",
}  # fmt: skip


COMPONENTS = {"participation", "model", "curvature", "gradient", "step"}


def calls(name: str, functions: dict[str, ast.FunctionDef], within: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(component, method) of the steps in a function of the round and in those that it calls, in their order."""

    def visit(node: ast.AST) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.Lambda):
                yield from visit(child)
        match node:
            case ast.Call(func=ast.Name(id="exchange") | ast.Attribute(attr="exchange")):
                yield "", "exchange"
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=part) | ast.Name(id=part), attr=step)) if (
                part in COMPONENTS and step in STEPS
            ):
                yield part, step
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=other) | ast.Name(id=other)) if (
                other in functions and other not in (name, *within)
            ):
                yield from calls(other, functions, (name, *within))

    for line in functions[name].body:
        yield from visit(line)


def steps() -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[tuple[str, str]]]:
    """What the server does before the exchange, the clients in it, and the server after it.

    Raises
    ------
    ValueError
        Where the round has no exchange, or misses a step that is to be drawn.
    """
    files = [tree(path) for path in sorted((PACKAGE / "methods").glob("*.py"))]
    functions = {node.name: node for file in files for node in ast.walk(file) if isinstance(node, ast.FunctionDef)}
    server = list(dict.fromkeys(calls("round", functions)))
    clients = list(dict.fromkeys(calls("respond", functions)))
    missing = set(STEPS) - {name for _, name in server + clients}
    if missing or ("", "exchange") not in server:
        raise ValueError(f"the round: newtonfl/methods calls no {', '.join(sorted(missing)) or 'exchange'}")
    at = server.index(("", "exchange"))
    return server[:at], clients, [each for each in server[at + 1 :] if each[0]]


def round_svg() -> str:
    """One round: the server's steps at the left, the clients' at the right, the two messages between them."""
    before, clients, after = steps()
    line, left, right, wide = 30, 20, 560, 400
    parts: list[str] = []

    def block(x: float, y: float, title: str, each: list[tuple[str, str]]) -> float:
        height = 44 + line * len(each)
        parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{wide}" height="{height}" rx="6" fill="{FILL}" stroke="{INK}"/>'
        )
        parts.append(text(x + 12, y + 22, title, 14, 'font-weight="bold"'))
        for i, (component, name) in enumerate(each):
            at = y + 48 + line * i
            parts.append(text(x + 12, at, f"{component}.{name}", 13, 'font-family="monospace"'))
            says = SYMBOLS.get((component, name), STEPS[name])
            parts.append(text(x + wide - 12, at, says, 12, 'text-anchor="end" fill-opacity="0.8"'))
        return y + height

    def arrow(x: float, y: float, to_x: float, to_y: float) -> None:
        path = f"M{x:g} {y:g} L{to_x:g} {to_y:g}"
        parts.append(f'<path d="{path}" stroke="{FAINT}" stroke-width="1.6" marker-end="url(#tip)"/>')

    first = block(left, 20, "Server, before the exchange", before)
    middle = first + 40
    second = block(right, middle, "Every client of Sᵏ", clients)
    last = second + 40
    end = block(left, last, "Server, after it", after)
    arrow(left + wide, first - 24, right + wide / 2, middle - 3)
    arrow(right + wide / 2, second, left + wide + 3, last + 24)
    parts.append(text(right + 10, first - 42, "Announcement: z, coins", 13, 'font-weight="bold"'))
    parts.append(text(right + 10, second + 64, "Replies: a packet a client, counted", 13, 'font-weight="bold"'))
    return svg(right + wide + 20, int(end + 20), "One round of Descent", parts)


DRAWN = {"districts.svg": districts_svg, "round.svg": round_svg}

if __name__ == "__main__":
    for name, draw in DRAWN.items():
        (PICTURES / name).write_text(draw(), encoding="utf-8")
