"""Files of one's own: what is loaded, refused and forgotten, and what is said where something is wrong with one."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

import newtonfl as nf
from newtonfl import registry
from newtonfl.checks.own_file import check_part, parts_of
from newtonfl.registry import from_spec, lookup
from newtonfl.registry.describe import described
from newtonfl.registry.lookup import entries
from newtonfl.registry.wording import expected

PART = """
from dataclasses import dataclass
import numpy as np
import newtonfl as nf

@dataclass(frozen=True)
class Front(nf.Compressor):
    k: int = 3
    name = "front-here"

    def contract(self, size):
        return nf.Contractive(1e-9)

    def compress(self, v, key):
        kept = np.arange(min(self.k, len(v)))
        return nf.Sparse(kept, v[kept])
"""


@pytest.fixture(autouse=True)
def names_as_before():
    before = {kind: dict(entries(kind)) for kind in lookup.HOMES}
    yield
    for kind, known in before.items():
        entries(kind).clear()
        entries(kind).update(known)


def written(folder: Path, text: str, name: str = "parts.py") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_the_text_is_run_and_no_compiled_copy_of_an_earlier_one(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = written(tmp_path, "size = 1\n")
    assert registry.load_file(path).size == 1
    stamp = path.stat()
    path.write_text("size = 2\n")  # as long, and as old
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert registry.load_file(path).size == 2 and list(tmp_path.iterdir()) == [path]


def test_a_home_that_fails_is_asked_again(monkeypatch):
    monkeypatch.setitem(lookup.HOMES, "loss", "newtonfl.no_such_district")
    monkeypatch.setattr(lookup, "_LOADED", lookup._LOADED - {"loss"})
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_district"):
            entries("loss")


def test_the_file_of_ones_own_is_refused_where_a_name_is_the_librarys(tmp_path):
    mine = "from newtonfl.registry import register_method\nregister_method('gd', lambda: None)\n"
    ask = "import sys; from newtonfl import registry; registry.load_file(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", ask, str(written(tmp_path, mine))], capture_output=True, text=True)
    assert "parts.py, line 2: ValueError: method: the name 'gd' is already that of newtonfl.methods" in done.stderr


def test_a_file_that_fails_leaves_no_names_and_takes_none(tmp_path):
    path = written(tmp_path, PART + "1 / 0\n")
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        registry.load_file(path)
    assert "front-here" not in entries("compressor")
    path.write_text(PART)
    module = registry.load_file(path)
    path.write_text(PART + "1 / 0\n")
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        registry.load_file(path)
    assert from_spec("compressor", "front-here:2") == module.Front(2) and sys.modules[module.__name__] is module


def test_a_file_loaded_and_imported_is_one(tmp_path, monkeypatch):
    path = written(tmp_path, PART, "parts_twice.py")
    monkeypatch.syspath_prepend(tmp_path)
    loaded = registry.load_file(path)
    imported = importlib.import_module("parts_twice")
    assert from_spec("compressor", "front-here:2") == imported.Front(2)
    assert loaded.Front(2).to_spec().startswith("front-here")
    other = written(tmp_path, PART, "others.py")
    with pytest.raises(ValueError, match=r"'front-here' is already that of Front in .*parts_twice\.py"):
        registry.load_file(other)


def test_a_file_that_ends_the_program_is_refused_in_words(tmp_path):
    path = written(tmp_path, "import sys\nsys.exit(0)\n")
    with pytest.raises(ValueError, match=r"parts\.py: it ended the program \(sys\.exit\) when it was loaded"):
        registry.load_file(path)
    with pytest.raises(FileNotFoundError, match=r"^.*none\.py: no such file$"):
        registry.load_file(tmp_path / "none.py")


LAZY = """
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING
import newtonfl as nf
if TYPE_CHECKING:
    from newtonfl import Compressor

@dataclass(frozen=True)
class Lazy(nf.CLAG):
    other: Compressor = "topk:3"
    name = "lazy2"

def late(*, compressor: Compressor = "topk:3"):
    return nf.fednl(compressor=compressor)

nf.registry.register_method("late-here", late)
"""


def test_an_annotation_that_cannot_be_resolved_is_named(tmp_path):
    module = registry.load_file(written(tmp_path, LAZY))
    fault = "mechanism lazy2: its annotation 'Compressor' of other cannot be resolved: import it outside TYPE_CHECKING"
    with pytest.raises(ValueError) as caught:
        from_spec("mechanism", "lazy2:2/topk:3")
    assert str(caught.value) == fault
    (_, told), (_, other) = [check_part(part) for part in parts_of(module)]
    assert told.startswith("broken: ") and fault in told
    assert other.startswith("broken: ") and "function late: its annotation 'Compressor' of compressor" in other


def test_every_part_of_a_file_is_checked(tmp_path):
    nested = "class Outer:\n" + "".join(f"    {line}\n" for line in PART.split("\n\n")[1].splitlines())
    more = PART.replace("Front", "_Hidden").replace("front-here", "hidden-here")
    text = PART + more + nested + "        def contract(self, size): return nf.Contractive(1e-9)\n"
    text = text.replace('    name = "front-here"\n\n', '    name = "front-here"\n\n', 1)
    text = text[::-1].replace("front-here"[::-1], "nested-here"[::-1], 1)[::-1]
    text += "        def compress(self, v, key): return nf.Dense(v)\nseveral = [Front(2), Front(4)]\n"
    module = registry.load_file(written(tmp_path, text))
    names = [part.name for part in parts_of(module)]
    assert names == ["several[0]", "several[1]", "_Hidden()", "Outer.Front()"]


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda compressor: None, "the parameter compressor of .* has no default"),
        (lambda *levels: None, r"takes \*levels, must name each"),
        (lambda **settings: None, r"takes \*\*settings, must name each"),
    ],
)
def test_a_method_of_settings_without_defaults_is_refused(function, fault):
    with pytest.raises(ValueError, match=f"method mine-here: .*{fault}"):
        registry.register_method("mine-here", function)
    with pytest.raises(ValueError, match="must be a function with a name of its own"):
        registry.register_method("mine-here", partial(nf.fednl, line_search=3))
    assert "mine-here" not in entries("method")


def test_a_method_is_read_as_other_parts_are():
    made = from_spec("method", "newton-3pc,compressor=topk:30")
    assert made.parameters() == nf.newton_3pc(compressor="topk:30").parameters()


@pytest.mark.parametrize(
    ("kind", "spec", "meant"),
    [
        ("compressor", "TopK:3", "topk"),
        ("mechanism", "EF21", "ef21"),
        ("basis", "PSD", "psd"),
        ("mechanism", "ThreePCv2:randk:3", "3pc-v2"),
        ("mechanism", "RandK:3", "randk"),
    ],
)
def test_a_class_and_capitals_are_told_the_name(kind, spec, meant):
    with pytest.raises(ValueError, match=rf"did you mean {meant}\?"):
        from_spec(kind, spec)


def test_a_settings_own_words_are_told_beside_names():
    with pytest.raises(ValueError, match=r"given 'exct'; did you mean exact\?"):
        registry.method("artemis", {"down": "exct"})


def test_what_dataclasses_write_is_no_description():
    @dataclass(frozen=True)
    class Undescribed(nf.TopK):
        name = "undescribed-here"

    assert "Undescribed(k" not in described("undescribed-here") and "Undescribed" in described("undescribed-here")


def test_a_whole_number_is_a_number():
    assert expected(int | float) == "a number" and expected(int) == "a whole number"
