"""LaTeX becomes MathML while the site is built: browsers set it themselves, without a script."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(html: str, **_: Any) -> str:
    """MkDocs calls this for every page, with what its Markdown has become."""
    return FORMULA.sub(
        lambda found: convert(unescape(found[3]), display="block" if found[2] == "[" else "inline"), html
    )
