"""The notebooks as pages, with what their cells print and draw.

    python docs/site/tutorials.py

runs them all and keeps them in build/notebooks; the site shows the outputs of those that are there and up to date in
their source, and the others without.
"""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from places import NOTEBOOKS, ROOT

from newtonfl.datasets.fetch import KNOWN, locate

RUN = ROOT / "build" / "notebooks"
SECONDS = 120


class ThisPython(AsyncKernelManager):
    """A kernel of this very interpreter, installed as one or not."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "--log-level=40", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def execute(notebook: Any) -> None:
    """Run all cells from top to bottom; what they print and draw is kept in them."""
    place = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(notebook, kernel_manager_class=ThisPython, timeout=SECONDS, resources=place).execute()


def missing(path: Path) -> str:
    """Why a notebook cannot run here: a data set that is neither at hand nor can be fetched; empty where it can."""
    for name in set(re.findall(r"""load\(["'](\w+)["']""", path.read_text(encoding="utf-8"))) & set(KNOWN):
        try:
            locate(name)
        except FileNotFoundError as error:
            return str(error)
    return ""


def current(path: Path) -> Any:
    """A notebook with its outputs, where it was run as it is now, else without."""
    written = jupytext.read(path)
    kept = RUN / f"{path.stem}.ipynb"
    if kept.exists():
        ran = nbformat.read(kept, as_version=4)
        if [cell.source for cell in ran.cells] == [cell.source for cell in written.cells]:
            return ran
    return written


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook's Markdown, and its pictures by their names beside it."""
    lines, pictures, heading = [], {}, ""
    cells = current(path).cells
    for cell in cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ (?:\d+\. )?(.*)", cell.source, re.MULTILINE) or [heading])[-1]
            lines += [cell.source, ""]
            continue
        lines += ["```python", cell.source, "```", ""]
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}_{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode(data["image/png"])
                lines += [f"![{heading}]({name})", ""]
            elif "text/html" in data:
                lines += [f'<div class="output">{data["text/html"]}</div>', ""]
            else:
                text = output.get("text") or data.get("text/plain", "")
                lines += ["```text {.output}", text.rstrip(), "```", ""]
    ran = any(cell.get("outputs") for cell in cells)
    title, _, rest = "\n".join(lines).partition("\n")
    note = "" if ran else "\nThis copy of the site was made without running the notebook: its outputs are not shown.\n"
    return f"{title}\n{note}{rest}", pictures


if __name__ == "__main__":
    RUN.mkdir(parents=True, exist_ok=True)
    for each in NOTEBOOKS:
        why = missing(each)
        if why:
            print(f"{each.name} is left without outputs: {why}", file=sys.stderr)
            continue
        print(f"{each.name} …", flush=True)
        filled = jupytext.read(each)
        execute(filled)
        nbformat.write(filled, RUN / f"{each.stem}.ipynb")
