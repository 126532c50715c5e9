"""How a rank ends a job and waits for others, where a run of ranks does not get to at will: on calls that answer."""

from __future__ import annotations

import builtins
import math
import os
import signal
import sys
import types

import pytest

from newtonfl.comm import mpi, mpi_end, mpi_wait, shared_memory, startup_timeout


class Comm:
    """Rank 1 of 3, whose abort ends the call."""

    def __init__(self):
        self.statuses = []

    def Get_rank(self):
        return 1

    def Get_size(self):
        return 3

    def Abort(self, status):
        self.statuses.append(status)
        raise SystemExit(status)


@pytest.fixture
def library(monkeypatch):
    """mpi4py.MPI as a job of one world sees it, running or not."""
    world = Comm()
    module = types.SimpleNamespace(COMM_WORLD=world, Is_initialized=lambda: True, Is_finalized=lambda: False)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", module)
    monkeypatch.setitem(sys.modules, "mpi4py", types.SimpleNamespace(MPI=module))
    return module


@pytest.fixture
def hooked(monkeypatch, library):
    """The hook of sys.excepthook as `end_job_on_failure` sets it, and what the one before it has shown."""
    shown = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: shown.append(error))
    monkeypatch.setattr(mpi_end, "_comms", [])
    monkeypatch.setattr(mpi_end.time, "sleep", lambda seconds: None)
    comm = Comm()
    mpi_end.end_job_on_failure(comm)
    return comm, shown


def fail(error):
    sys.excepthook(type(error), error, None)


def test_an_exception_is_shown_and_ends_the_job(hooked):
    comm, shown = hooked
    with pytest.raises(SystemExit):
        fail(ValueError("no"))
    assert comm.statuses == [1] and [str(error) for error in shown] == ["no"]


def test_what_every_rank_knows_is_left_to_rank_0_to_show(hooked):
    comm, shown = hooked
    error = ValueError("no")
    error.on_every_rank = True
    with pytest.raises(SystemExit):
        fail(error)
    assert comm.statuses == [1] and shown == []


def test_a_fork_of_a_rank_ends_no_job(hooked, monkeypatch):
    comm, shown = hooked
    monkeypatch.setattr(os, "getpid", lambda: -1)
    fail(ValueError("no"))
    assert comm.statuses == [] and len(shown) == 1


def test_one_hook_is_enough(hooked):
    hook = sys.excepthook
    mpi_end.end_job_on_failure()
    assert sys.excepthook is hook


def test_an_mpi_that_has_ended_is_not_aborted(hooked, library):
    comm, _ = hooked
    library.Is_finalized = lambda: True
    fail(ValueError("no"))
    assert comm.statuses == []


def test_a_rank_that_has_not_started_mpi_starts_it_to_end_the_others(hooked, monkeypatch, library):
    """In a thread, which waits for them; where they do not come the process ends all the same."""
    comm, _ = hooked
    monkeypatch.delitem(sys.modules, "mpi4py.MPI")
    monkeypatch.setattr(library.COMM_WORLD, "Abort", library.COMM_WORLD.statuses.append)  # raises nothing in a thread
    fail(ValueError("no"))
    assert library.COMM_WORLD.statuses == [1] and comm.statuses == []

    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(mpi_end.threading, "Thread", Endless)
    fail(ValueError("no"))
    assert ended == [1]


class Endless:
    """A thread that does not come to its end."""

    def __init__(self, target, daemon):
        assert daemon

    def start(self):
        pass

    def join(self, seconds):
        pass

    def is_alive(self):
        return True


def test_without_mpi_there_is_no_job_to_end(hooked, monkeypatch):
    monkeypatch.delitem(sys.modules, "mpi4py.MPI")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    fail(ValueError("no"))
    assert hooked[0].statuses == [] and len(hooked[1]) == 1


def test_what_waits_is_written_where_there_is_a_stream(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    mpi_end.flush()
    mpi_end.report("a line")
    assert capsys.readouterr().err == "newtonfl: a line\n"
    monkeypatch.setattr(sys, "stderr", None)
    mpi_end.report("a line")


# --- waiting


class Never:
    """A request that is not answered."""

    def Test(self):
        return False


def test_a_rank_that_ended_early_is_named(monkeypatch, capsys):
    monkeypatch.setattr(mpi_wait, "_GRACE", 0.0)
    waiting, comm = waits(monkeypatch)
    waiting._gone = 2
    with pytest.raises(SystemExit):
        waiting.wait(Never())
    assert "rank 2 ended early, and rank 1 waited for it" in capsys.readouterr().err and comm.statuses == [1]


@pytest.mark.parametrize(
    ("others", "words"),
    [((0,), "for rank 2, longer than"), ((), "for ranks 0, 2, longer than"), ((0, 2), "for the others, which wait as")],
)
def test_a_wait_beyond_the_limit_ends_the_job(others, words, monkeypatch, capsys):
    """And names who is in no call; the least rank that waits speaks."""
    waiting, comm = waits(monkeypatch)
    waiting._waiting = {1, *others}
    if 0 in others:
        waiting._say_who_is_missing(7.0, True)
        assert comm.statuses == [] and capsys.readouterr().err == ""
        waiting.rank = 0
    with pytest.raises(SystemExit):
        waiting._say_who_is_missing(7.0, True)
    assert words in capsys.readouterr().err and comm.statuses == [1]


def test_a_long_wait_within_the_limit_is_told_alone(monkeypatch, capsys):
    waiting, comm = waits(monkeypatch)
    waiting._waiting = {1}
    waiting._say_who_is_missing(7.0, False)
    assert "rank 1 has waited 7 s for ranks 0, 2, and goes on waiting" in capsys.readouterr().err
    waiting._waiting = {0, 1, 2}
    waiting._say_who_is_missing(7.0, False)
    assert capsys.readouterr().err == "" and comm.statuses == []


def waits(monkeypatch):
    comm = Comm()
    waiting = mpi_wait.Waiting(comm)
    monkeypatch.setattr(waiting, "read_notes", lambda: None)
    monkeypatch.setattr(waiting, "_send_all", lambda note: None)
    return waiting, comm


def test_a_rank_that_does_not_call_ends_the_job_in_time(capsys):
    comm = Comm()
    comm.Idup = lambda: (comm, Never())
    with pytest.raises(SystemExit):
        mpi_wait.duplicate(comm, 0.01)
    assert "rank 1 has waited 0.01 s for every rank to call newtonfl" in capsys.readouterr().err


# --- starting


def test_a_child_that_outlasts_the_limit_kills_whom_it_watches(monkeypatch, capsys):
    killed, ended = [], []
    monkeypatch.setattr(os, "kill", lambda *given: killed.append(given))
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(signal, "signal", lambda *given: None)
    ours, theirs = os.pipe()
    kept = os.dup(theirs)
    startup_timeout._watch(ours, theirs, 0.0, 2, 77)
    assert killed == [(77, signal.SIGKILL)] and ended == [0]
    assert "rank 2 has waited 0 s for every rank to start MPI" in capsys.readouterr().err
    os.close(kept)
    startup_timeout._watch(ours, os.dup(ours), 5.0, 2, 77)  # the parent has closed its end
    assert len(killed) == 1 and ended == [0, 0]
    os.close(ours)


def test_where_nothing_can_be_forked_nobody_watches(monkeypatch):
    monkeypatch.delattr(os, "fork")
    with startup_timeout.startup_timeout(1.0):
        pass
    with startup_timeout.startup_timeout(math.inf):
        pass


@pytest.mark.parametrize(
    ("error", "words"),
    [(ImportError("no"), "MPI needs mpi4py, which is not installed"), (RuntimeError("cannot load"), "no MPI library")],
)
def test_without_a_library_it_is_said_what_to_install(error, words, monkeypatch):
    real = builtins.__import__

    def refuse(name, *more, **named):
        if name == "mpi4py":
            raise error
        return real(name, *more, **named)

    monkeypatch.setattr(mpi, "is_child_of_rank", lambda: False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(RuntimeError, match=words):
        mpi.connect()


def test_a_name_in_shared_memory_that_is_another_folders_stays(tmp_path, monkeypatch):
    """Only what begins with MPICH's own name is taken away, and a name that is gone already is passed over."""
    (tmp_path / "maps").write_text(
        f"7f00 rw-s 00:01 12 {tmp_path}/dev/shm/mpich_shm_1\n7f10 rw-s 00:01 13 {tmp_path}-gone/dev/shm/mpich_shm_2\n"
        "7f20 rw-s 00:01 14 /dev/shm/mpich_shm_that_is_not_there\n"
    )
    other = tmp_path / "dev" / "shm"
    other.mkdir(parents=True)
    (other / "mpich_shm_1").write_text("another's")
    monkeypatch.setattr(shared_memory, "_MAPS", tmp_path / "maps")
    shared_memory.unlink_shared_memory()
    assert (other / "mpich_shm_1").exists()


# --- the transport


def transport():
    made = object.__new__(mpi.MPITransport)
    made.comm, made.size, made.rank, made.interrupt, made.broken = Comm(), 3, 1, None, False
    return made


def test_the_first_ctrl_c_is_kept_and_the_second_raises():
    one, before = transport(), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), one.keeping_interrupts():
            signal.raise_signal(signal.SIGINT)
            assert isinstance(one.interrupt, KeyboardInterrupt) and not one.broken
            signal.raise_signal(signal.SIGINT)
            pytest.fail("the second was kept as well")
        assert one.broken and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_transport_ends_the_job():
    one = transport()
    with pytest.raises(SystemExit):
        one.abort(3)
    assert one.comm.statuses == [3]


def test_what_is_no_communicator_is_refused(monkeypatch, library):
    library.Comm, library.COMM_NULL = Comm, None
    monkeypatch.setattr(mpi, "is_child_of_rank", lambda: False)
    monkeypatch.setattr(mpi, "launched", lambda: None)
    with pytest.raises(TypeError, match="comm: given 'world', must be an mpi4py communicator"):
        mpi.connect("world")
