"""The pages that are no Markdown in docs/: notebooks, reference, gallery, and files from elsewhere in the checkout."""

from __future__ import annotations

import posixpath
import re
from typing import Any

import reference
import tutorials
from mkdocs.structure.files import File
from places import DOCS, NOTEBOOKS, OUTSIDE, PAGES, ROOT, shown

PICTURE = re.compile(r"!\[([^\]]*)\]\((?!https?:)([^)\s]+)\)")


def on_config(config: Any) -> Any:
    """MkDocs calls this first: the menu gets the notebooks and the pages of the reference."""
    for section in config.nav:
        if "Tutorials" in section:
            section["Tutorials"] += [f"notebooks/{path.stem}.md" for path in NOTEBOOKS]
        if "Reference" in section:
            section["Reference"][1:1] = [{name: f"reference/{name}.md"} for name in reference.names()]
    return config


def on_files(files: Any, config: Any) -> Any:
    """MkDocs calls this with the files of docs/; ours are added."""
    made: dict[str, str | bytes] = {page: read(source) for source, page in OUTSIDE.items()}
    for path in NOTEBOOKS:
        made[f"notebooks/{path.stem}.md"], pictures = tutorials.page(path)
        made |= {f"notebooks/{name}": content for name, content in pictures.items()}
    made |= {f"files/{path}.md": text_of(path) for path in shown()} | reference.pages()
    made["gallery.md"] = gallery({page: made.get(page) or read(source) for source, page in PAGES.items()})
    for path in (DOCS / "site").glob("*.[cj]s*"):
        made[f"assets/{path.name}"] = path.read_text(encoding="utf-8")
    for name, sides in {"index.md": "navigation", "gallery.md": "navigation, toc"}.items():
        made[name] = f"---\nhide: [{sides}]\n---\n\n{made[name]}"
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def text_of(path: str) -> str:
    """A page with a file's text."""
    language = {"py": "python", "sbatch": "bash", "cff": "yaml"}.get(path.rpartition(".")[2], "text")
    return f"---\nsearch: {{exclude: true}}\n---\n\n# {path}\n\n````{language}\n{read(path)}\n````"


def gallery(pages: dict[str, str | bytes]) -> str:
    """Every picture of the site; a click leads to the page that explains it."""
    lines = [
        "# Gallery",
        "",
        "Every picture leads to the page that explains it.",
        "",
        '<div class="gallery" markdown>',
        "",
    ]
    for page, text in pages.items():
        called = re.findall(r"^# (.*)", str(text), re.MULTILINE)[0]
        for words, picture in PICTURE.findall(str(text)):
            source = posixpath.join(posixpath.dirname(page), picture)
            lines += [f"[![{words}]({source}) **{called}**: {words}]({page})", ""]
    return "\n".join([*lines, "</div>"])
