"""Where a file of the checkout stands on the site, and what the site shows of files that are no pages."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))

OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "tests/README.md": "tests.md",
    "mpi_examples/README.md": "mpi_examples/index.md",
    "notebooks/README.md": "notebooks/index.md",
}
"""Markdown that lies outside docs/ and is a page of the site too."""

PAGES = (
    OUTSIDE
    | {f"notebooks/{path.name}": f"notebooks/{path.stem}.md" for path in NOTEBOOKS}
    | {f"docs/{name}": name for path in DOCS.rglob("*.md") for name in [path.relative_to(DOCS).as_posix()]}
)
"""A file of the checkout, and its page among the site's sources."""

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")


def target(source: str, link: str) -> str:
    """The file of the checkout to which a relative `link` in the file `source` leads."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def place(path: str) -> str:
    """Where a file of the checkout stands among the site's sources: its page, its picture, or a page with its text."""
    return PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}.md")


def shown() -> list[str]:
    """The files that pages link to and that are neither pages nor pictures: the site has a page with their text."""
    found = {
        target(source, link)
        for source in PAGES
        if source.endswith(".md")
        for link, _ in LINK.findall((ROOT / source).read_text(encoding="utf-8"))
    }
    return sorted(path for path in found if place(path).startswith("files/"))
