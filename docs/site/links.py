"""Links between files of the checkout become links between pages of the site: the same Markdown reads on both."""

from __future__ import annotations

import posixpath
import re
from typing import Any

from places import LINK, PAGES, ROOT, place, target

SOURCES = {page: source for source, page in PAGES.items()}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """MkDocs calls this for every page, before it makes HTML of it."""
    here = page.file.src_uri
    source = SOURCES.get(here)
    if source is None:  # written for the site
        return markdown

    def moved(found: re.Match[str]) -> str:
        path = target(source, found[1])
        if not (ROOT / path).exists():  # a picture that a notebook drew lies beside its page
            return found[0]
        there = place(path)
        return posixpath.relpath(there, posixpath.dirname(here) or ".") + (found[2] or "")

    return LINK.sub(moved, markdown)
