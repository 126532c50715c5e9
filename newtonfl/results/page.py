"""Pieces of an HTML page that needs nothing beside itself: text, tables, bars and pictures; all text is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2127; --quiet: #5b6470; --ground: #ffffff; --edge: #d9dee5; --soft: #f3f5f8;
  --up: #0072b2; --down: #d55e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --quiet: #a3adba; --ground: #15181c; --edge: #363d47;
  --soft: #1e2329; --up: #56b4e9; --down: #f0904a; } svg { filter: invert(1) hue-rotate(180deg); } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 74rem; padding: 1rem; font: 1rem/1.45 system-ui, sans-serif; color: var(--ink);
  background: var(--ground); overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: .5rem 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; } p { margin: .5rem 0; } .quiet { color: var(--quiet); }
dl { display: grid; grid-template-columns: minmax(6.5rem, max-content) 1fr; gap: .25rem 1rem; margin: .5rem 0; }
dt { color: var(--quiet); } dd { margin: 0; } code { font-size: .9em; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1rem; }
figure { margin: 0; max-width: 34rem; } figcaption { color: var(--quiet); font-size: .875rem; }
svg { display: block; width: 100%; height: auto; }
.wide { overflow-x: auto; margin: .5rem 0 1rem; }
table { border-collapse: collapse; width: max-content; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: left; border-bottom: 1px solid var(--edge); overflow-wrap: normal;
  max-width: 20rem; }
th { font-weight: 600; background: var(--soft); white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
.bar { width: 16rem; min-width: 7rem; white-space: nowrap; font-size: 0; }
.bar span { display: inline-block; height: .7rem; vertical-align: middle; }
.up { background: var(--up); } .down { background: var(--down); }
.key { display: inline-block; width: .7rem; height: .7rem; }
summary { cursor: pointer; margin: .5rem 0; }
@media (max-width: 36rem) { body { padding: .75rem; } table { font-size: .75rem; } th, td { padding: .2rem .3rem; }
  td { max-width: 12rem; } .bar { width: 5rem; min-width: 5rem; } }
"""
# A picture is drawn in black on no ground; turned light for a dark page, its colours keep their hue.


@dataclass(frozen=True)
class Html:
    """Text that is HTML already; whatever else comes into a page is escaped."""

    code: str


class Bar(Html):
    """What fills a table's cell."""


def html(content: object) -> str:
    """`content` as HTML: :class:`Html` as it is, everything else escaped."""
    return content.code if isinstance(content, Html) else escape(str(content))


def element(name: str, *content: object, **attributes: str) -> Html:
    """An element with its content, one piece after the other; `class_` is its class."""
    said = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{said}>{''.join(map(html, content))}</{name}>")


def page(title: str, body: Iterable[Html]) -> str:
    """A whole page. It bids a browser load nothing, whatever is in it."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(map(html, body))
        + "\n</body>\n</html>\n"
    )


def aside(words: object) -> Html:
    """A sentence in a quieter colour."""
    return element("p", words, class_="quiet")


def definitions(pairs: Iterable[tuple[str, object]]) -> Html:
    """Names and what they are; what is None or empty is left out."""
    known = [(name, value) for name, value in pairs if value not in (None, "")]
    return element("dl", *(piece for name, value in known for piece in (element("dt", name), element("dd", value))))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """Rows of cells; numbers, which are int or float, go to the right, and a :class:`Bar` fills its cell."""

    def cell(value: object) -> Html:
        if isinstance(value, int | float):
            return element("td", f"{value:,}" if isinstance(value, int) else f"{value:.4g}", class_="number")
        return element("td", value, **({"class_": "bar"} if isinstance(value, Bar) else {}))

    body = [list(row) for row in rows]
    right = {j for row in body for j, value in enumerate(row) if isinstance(value, int | float)}
    head = [element("th", name, **({"class_": "number"} if j in right else {})) for j, name in enumerate(heads)]
    lines = [element("tr", *map(cell, row)) for row in body]
    whole = element("table", element("thead", element("tr", *head)), element("tbody", *lines))
    return element("div", whole, class_="wide")


def bar(shares: Sequence[tuple[str, float]]) -> Bar:
    """A bar of pieces, each of a class and a share of the whole cell, from 0 to 1."""
    return Bar("".join(element("span", class_=kind, style=f"width:{100 * share:.2f}%").code for kind, share in shares))


def picture(document: str, title: str, name: str) -> Html:
    """An SVG document inside the page; what it refers to by names begins with its own `name` there."""
    body = re.sub(r"<metadata>.*?</metadata>", "", document[document.index("<svg") :], flags=re.DOTALL)
    opening, rest = body.split(">", 1)
    opening = re.sub(r' (width|height)="[^"]*"', "", opening) + f' role="img" aria-label="{escape(title)}"'
    own = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", f"{opening}>{rest}")
    return element("figure", Html(own.strip()), element("figcaption", title))


def folded(summary: str, *content: Html) -> Html:
    """What is shown when its summary is asked for."""
    return element("details", element("summary", summary), *content)
