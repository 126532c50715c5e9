"""The reference: every public name on the page of its package, and every command with its options."""

from __future__ import annotations

import importlib
import os
import sys
from collections import defaultdict
from types import ModuleType
from typing import Any
from unittest import mock

import newtonfl
from newtonfl import checks, estimators
from newtonfl.cli.grammar import parser


def names() -> dict[str, list[str]]:
    """The packages below newtonfl, each with its public names as one writes them, in the order of the alphabet."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, thing in offered().items():
        if not isinstance(thing, ModuleType):
            found[thing.__module__.removeprefix("newtonfl.").rpartition(".")[0]].add(name)
    return {package: sorted(found[package], key=str.casefold) for package in sorted(found)}


def offered() -> dict[str, Any]:
    """Every public thing by the name that one writes: those of nf, of modules among them, and of newtonfl.checks."""
    found: dict[str, Any] = {}
    modules = [newtonfl, checks]
    for module in modules:
        for name in module.__all__:
            found[f"{module.__name__}.{name}"] = thing = getattr(module, name)
            modules += [thing] if isinstance(thing, ModuleType) else []
    return found


def sentence(package: str) -> str:
    """The first sentence of a package's docstring."""
    doc = importlib.import_module(f"newtonfl.{package}").__doc__ or ""
    return doc.split("\n\n")[0].replace("\n", " ")


def block(name: str) -> str:
    """What mkdocstrings makes of a name; an estimator's members are nearly all its base's, which is not public."""
    whole = "\n    options: {inherited_members: true}" if name.removeprefix("newtonfl.") in estimators.__all__ else ""
    return f"::: {name}{whole}"


def pages() -> dict[str, str]:
    """The pages of the reference among the site's sources, and their Markdown."""
    made, contents = (
        {},
        ["# Reference", "", "`import newtonfl as nf`: the names of `nf`, by the package that has them."],
    )
    contents += ["`newtonfl.checks` are checks of parts of your own.", ""]
    for package, public in names().items():
        made[f"reference/{package}.md"] = "\n\n".join(
            [f"# newtonfl.{package} {{ #newtonfl.{package} }}", sentence(package), *(block(name) for name in public)]
        )
        links = ", ".join(f"[`{name.rpartition('.')[2]}`]({package}.md#{name})" for name in public)
        contents.append(f"## [newtonfl.{package}]({package}.md#newtonfl.{package})\n\n{sentence(package)}\n\n{links}\n")
    return {"reference/index.md": "\n".join(contents), **made, "reference/command-line.md": commands()}


COMPLETION = """## Completion

The package shtab writes what bash, zsh or tcsh need to complete commands and options; fish it does not know.

```sh
pip install shtab
shtab --shell=bash newtonfl.cli.grammar.parser > ~/.local/share/bash-completion/completions/newtonfl
```"""


def commands() -> str:
    """Every command's help."""
    lines = ["# Command line", "", "[The beginning](../index.md#the-command-line) shows what commands are good for."]
    with mock.patch.dict(os.environ, COLUMNS="100"), mock.patch.object(sys, "argv", ["newtonfl"]):
        for name, command in parser().get_default("commands").items():
            lines += ["", f"## newtonfl {name}", "", "```text", command.format_help().rstrip(), "```"]
    return "\n".join([*lines, "", COMPLETION])
