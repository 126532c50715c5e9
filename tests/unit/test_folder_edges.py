"""Folders of runs and checkpoints on systems without locks, and files in them that are no such files."""

from __future__ import annotations

import errno
import fcntl
import os
import tracemalloc

import numpy as np
import pytest
from cases import dense_glm

import newtonfl as nf
from newtonfl.core.npy import read_npy
from newtonfl.core.ragged import Blocks
from newtonfl.results import folder_lock
from newtonfl.results.folder_lock import LOCK, FolderLock
from newtonfl.results.history import History
from newtonfl.results.run_folder import Run, RunFolder, to_toml
from newtonfl.solver.checkpoint import NEWEST, PREVIOUS
from newtonfl.solver.state_tree import NotSaveable, StateTree


def test_a_lock_where_the_system_has_none(tmp_path, monkeypatch):
    """Windows, and file systems that do not lock: the folder is used, and two jobs are not kept apart."""
    monkeypatch.setattr(folder_lock, "find_spec", lambda name: None)
    with FolderLock(tmp_path / "windows"), FolderLock(tmp_path / "windows"):
        assert (tmp_path / "windows" / LOCK).exists()
    monkeypatch.undo()

    def refuse(*arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with FolderLock(tmp_path / "network"):
        assert (tmp_path / "network" / LOCK).exists()


def test_a_lock_whose_file_the_last_holder_removes_is_taken_anew(tmp_path, monkeypatch):
    """Between opening it and locking it."""
    locked, taken = fcntl.flock, []

    def removed_at_first(file, how):
        locked(file, how)
        if not taken:
            (tmp_path / LOCK).unlink()
        taken.append(file)

    monkeypatch.setattr(fcntl, "flock", removed_at_first)
    with FolderLock(tmp_path) as lock:
        assert len(taken) == 2 and (tmp_path / LOCK).exists()
        lock.release()
        lock.release()  # once more does nothing
    assert not (tmp_path / LOCK).exists()


def test_what_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no history\.jsonl"):
        Run.read(tmp_path)
    (tmp_path / "history.jsonl").write_text("")
    with pytest.raises(ValueError, match="no round was recorded"):
        Run.read(tmp_path)
    nf.solve(dense_glm(), "gd", rounds=1)
    (tmp_path / "history.jsonl").write_text(nf.solve(dense_glm(), "gd", rounds=1).history.to_jsonl())
    for content in ("{", "[" * 20_000, "[]", '{"method": "gd"}'):
        (tmp_path / "result.json").write_text(content)
        with pytest.raises(ValueError, match=r"result\.json: not the result of a run"):
            Run.read(tmp_path)


def test_what_a_settings_file_cannot_hold():
    with pytest.raises(TypeError, match="has no place in a settings file"):
        to_toml({"a": object()})


def test_no_more_memory_than_a_file_has_bytes(tmp_path):
    """Whatever an array's header says of it."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (30000000,), }"
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    tracemalloc.start()
    with (tmp_path / "x.npy").open("rb") as file, pytest.raises(ValueError, match="its header states 240000074 bytes"):
        read_npy(file, 74)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"holds no {NEWEST}"):
        nf.Checkpoint(tmp_path).read()
    (tmp_path / NEWEST).mkdir()
    nf.Checkpoint(tmp_path / "other").path.mkdir()
    nf.Checkpoint(tmp_path / "other").write({"a": np.ones(2)}, {"round": 1})
    (tmp_path / "other" / NEWEST).rename(tmp_path / PREVIOUS)
    arrays, values, fault = nf.Checkpoint(tmp_path).read()
    assert values["round"] == 1 and arrays["a"].tolist() == [1.0, 1.0] and "no file" in fault


def test_a_checkpoint_of_another_format(tmp_path, monkeypatch):
    monkeypatch.setattr("newtonfl.solver.checkpoint.FORMAT", 1)
    nf.Checkpoint(tmp_path).write({"a": np.ones(2)}, {"round": 1})
    monkeypatch.undo()
    with pytest.raises(ValueError, match="of format 1, must be 4"):
        nf.Checkpoint(tmp_path).read()


def test_states_that_do_not_go_together():
    one, other = StateTree.of({"a": np.ones((2, 3))}), StateTree.of({"b": np.ones((1, 3))})
    with pytest.raises(NotSaveable, match="not made alike"):
        StateTree.joined([one, other], [np.arange(2), np.array([2])])
    blocks = StateTree.of(Blocks(np.ones(3), np.array([0, 3])))
    assert isinstance(blocks.state(Blocks(np.zeros(3), np.array([0, 3])), np.zeros(0)), Blocks)


class Full:
    """A file on a disk that takes half of what is written."""

    def __init__(self, file):
        self.file = file

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, text):
        self.file.write(text[: len(text) // 2])
        self.file.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_line_that_the_disk_does_not_take_leaves_those_before(tmp_path):
    solved = nf.solve(dense_glm(), "newton", rounds=2)
    with RunFolder(tmp_path) as folder:
        folder.record(solved.history[0])
        folder._history = Full(folder._history)
        with pytest.raises(OSError, match=r"history\.jsonl: No space left on device"):
            folder.record(solved.history[1])
    assert History.read(tmp_path / "history.jsonl").to_jsonl() == solved.history[0].to_json() + "\n"


def test_a_solution_that_the_disk_does_not_take_leaves_no_file(tmp_path, monkeypatch):
    def full(file, array):
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    with RunFolder(tmp_path) as folder, pytest.raises(OSError, match=r"x\.npy: No space left on device"):
        folder.finish(np.ones(3), {})
    assert not (tmp_path / "x.npy").exists() and not (tmp_path / "result.json").exists()


def test_a_state_that_the_set_up_makes_is_asked_of_it():
    from_setup = StateTree({"from_setup": True})
    with pytest.raises(ValueError, match="leaves to the set-up what this method's set-up does not make"):
        from_setup.state(None, np.zeros(0))
