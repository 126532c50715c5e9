"""When numba's forms take over: after as much work as loading them takes, never at an import, and never against it."""

from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys

import numpy as np
import pytest

from newtonfl.core.ragged import Blocks
from newtonfl.kernels import compiled, sums

FORMS = object()


@pytest.fixture
def fresh(monkeypatch):
    """A process in which nothing has been loaded; what it would import is counted."""
    calls = []
    monkeypatch.setattr(compiled, "_loaded", None)
    monkeypatch.setattr(compiled, "_wanted", True)
    monkeypatch.setattr(compiled, "_worked", 0.0)
    monkeypatch.setattr(compiled, "available", lambda: True)
    monkeypatch.setattr(compiled, "_imported", lambda: calls.append(1) or FORMS)
    return calls


@pytest.mark.parametrize("cached, cost", [(True, 0.4), (False, 6.0)])
def test_loaded_after_as_much_work_as_loading_takes(fresh, cached, cost, monkeypatch):
    """And once; a sentence is said where they have to be compiled."""
    monkeypatch.setattr(compiled, "_cached", lambda: cached)
    said: list[str] = []
    compiled.spent(0.5 * cost, said.append)
    compiled.spent(0.4 * cost, said.append)  # of another solve
    assert not compiled.loaded() and compiled.forms() is None and not fresh
    compiled.spent(0.2 * cost, said.append)
    compiled.spent(9 * cost, said.append)
    assert compiled.loaded() and compiled.forms() is FORMS and len(fresh) == 1
    assert len(said) == (not cached) and all("about 6 s" in sentence for sentence in said)


def test_without_a_note_it_is_logged(fresh, monkeypatch, caplog):
    monkeypatch.setattr(compiled, "_cached", lambda: False)
    with caplog.at_level(logging.INFO, "newtonfl"):
        assert compiled.load()
    assert [(record.name, record.levelname) for record in caplog.records] == [("newtonfl", "INFO")]


def test_without_numba_nothing_changes(fresh, monkeypatch):
    """It is looked for once, and nothing is said."""
    monkeypatch.setattr(compiled, "available", lambda: False)
    said: list[str] = []
    assert not compiled.load(said.append)
    monkeypatch.setattr(compiled, "available", lambda: 1 / 0)
    compiled.spent(1000.0, said.append)
    assert not compiled.loaded() and not fresh and not said


def test_where_numba_does_not_work_the_solve_goes_on(fresh, monkeypatch):
    """Said once; it is not tried again."""

    def fails():
        fresh.append(1)
        raise ImportError("Numba needs NumPy 2.3 or less")

    monkeypatch.setattr(compiled, "_imported", fails)
    monkeypatch.setattr(compiled, "_cached", lambda: True)
    said: list[str] = []
    compiled.spent(1.0, said.append)
    compiled.spent(2.0, said.append)
    assert not compiled.loaded() and len(fresh) == 1
    assert said == ["the kernels stay NumPy's: numba does not work here (ImportError: Numba needs NumPy 2.3 or less)"]


def test_one_form_can_be_forced(fresh):
    """For as long as it is asked for, whatever is spent in the meantime."""
    with compiled.forced("numba"):
        assert compiled.forms() is FORMS
        with compiled.forced("numpy"):
            compiled.spent(1000.0)
            assert not compiled.loaded()
        assert compiled.loaded()
    assert not compiled.loaded() and len(fresh) == 1


PROGRAM = """
import json, sys
import numpy as np
from newtonfl.core.ragged import Blocks
from newtonfl.kernels import compiled, sums
before = "numba" in sys.modules
blocks = Blocks(np.arange(1000.0) / 7, np.array([0, 10, 1000]))
plain = sums(blocks)
compiled.load()
print(json.dumps([before, compiled.loaded(), compiled._cached(), plain.tolist() == sums(blocks).tolist()]))
"""


def test_a_second_process_takes_them_from_the_cache():
    """And runs them: it would die where one of them called itself. The import alone brings no numba."""
    pytest.importorskip("numba")
    for _ in range(2):
        out = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
        assert json.loads(out.stdout) == [False, True, True, True]


def test_without_a_compiler_the_forms_are_refused(monkeypatch):
    """NUMBA_DISABLE_JIT makes them plain Python, a hundred times slower than NumPy's."""
    pytest.importorskip("numba")
    module = importlib.import_module("newtonfl.kernels.numba_forms")
    monkeypatch.setattr(module, "sums", lambda *of: None)
    with pytest.raises(ImportError, match="NUMBA_DISABLE_JIT"), compiled.forced("numba"):
        pass
    with compiled.forced("numpy"):
        assert sums(Blocks(np.ones(3), np.array([0, 3]))).tolist() == [3.0]
