"""Checkpoints: a solve that is cut off goes on in the same bits, and nothing else is taken for it."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cases import dense_glm, sparse_glm
from cut_off import SHORT, Cut, cut_at, in_pieces, same
from mpi_launch import launch
from mpi_programs import checkpointed
from mpi_programs.checkpointed import solved

import newtonfl as nf
from newtonfl import registry
from newtonfl.checks import check_method
from newtonfl.results.folder_lock import FolderLock
from newtonfl.solver.checkpoint import NEWEST, PREVIOUS
from newtonfl.solver.state_tree import NotSaveable, StateTree

PROGRAM = Path(checkpointed.__file__)


VARIED = {
    "newton-3pc": {"mechanism": "adacgd:1", "compressor": "grid:1", "gradient": "grid", "model": "grid"},
    "bl1": {"gradient_p": "0.4", "model": "topk:3"},
    "newton-3pc-bc": {"model": "cbag:0.3/topk:3", "step": "shift"},  # where x stays a Hessian is not counted twice
    "m-fac": {"algorithm": "static", "over": "aggregate"},
    "ef21": {"down": "topk:3", "batch": "4"},
    "marina": {"compressor": "permk", "p": "0.3"},
    "artemis": {"down": "natural", "participation": "independent:0.5"},
}
CASES = [(name, {}) for name in registry.METHODS] + list(VARIED.items())


@pytest.mark.parametrize(("name", "settings"), CASES, ids=[name + " varied" * bool(own) for name, own in CASES])
def test_every_preset_goes_on_after_every_round(name, settings, tmp_path):
    """With nothing kept but the folder: x, history, ledger and the counts of Hessians are those of one solve."""
    problem = sparse_glm(n=5) if name in ("bl2", "newton") else dense_glm(n=5)
    own = {"optimum": nf.optimum(problem)[0]} if registry.asks_for_optimum(name) else {}
    method = registry.method(name, {**own, **settings})
    x0 = np.full(problem.dim, 0.1)
    with np.errstate(all="ignore"):
        whole = nf.solve(problem, method, rounds=SHORT, tol=0.0, x0=x0)
        pieces = in_pieces(problem, method, tmp_path / "kept", x0=x0)
    same(whole, pieces)
    assert pieces.resumed.startswith(f"went on from round {SHORT - 1 if len(whole.history) > SHORT else ''}")


@pytest.mark.mpi
@pytest.mark.data
@pytest.mark.parametrize(("name", "kill", "ranks"), [("newton-3pc-bc-pp", 5, 1), ("bl1", 2, 2), ("m-fac", 9, 4)])
def test_killed_on_three_ranks_it_goes_on_on_any_number(name, kill, ranks, tmp_path):
    assert launch(3, PROGRAM, name, tmp_path, kill).status != 0
    ended = launch(ranks, PROGRAM, name, tmp_path, -1)
    assert ended.status == 0, ended.err
    assert json.loads(ended.out) == json.loads(json.dumps(solved(name)))


def test_a_finished_solve_goes_on_with_more_rounds(tmp_path):
    """And one with a smaller tolerance; with the same ones it is at its end."""
    problem, method = dense_glm(n=5), nf.newton_3pc(compressor=nf.TopK(2))
    first = nf.solve(problem, method, tol=1e-3, checkpoint=tmp_path)
    again = nf.solve(problem, method, tol=1e-3, checkpoint=nf.Checkpoint(tmp_path, every=7))
    same(first, again)
    assert first.converged and again.converged and first.rounds > 1 and not first.resumed
    further = nf.solve(problem, method, tol=1e-9, checkpoint=tmp_path)
    whole = nf.solve(problem, method, tol=1e-9)
    assert further.x_sha256 == whole.x_sha256 and further.rounds == whole.rounds > first.rounds
    assert f"went on from round {first.rounds} of {tmp_path}" in further.notes


def test_it_stalls_where_one_solve_does(tmp_path):
    """The rule remembers where x has been."""
    whole = nf.solve(dense_glm(), "newton", rounds=60, tol=0.0)
    assert whole.reason is nf.Reason.STALLED and whole.rounds > 6
    for round in (3, whole.rounds - 1):
        with suppress(Cut):
            nf.solve(dense_glm(), "newton", rounds=60, tol=0.0, checkpoint=tmp_path, callback=cut_at(round))
    same(whole, nf.solve(dense_glm(), "newton", rounds=60, tol=0.0, checkpoint=tmp_path))


def test_it_is_written_every_so_many_rounds_and_at_the_end(tmp_path):
    kept = nf.Checkpoint(tmp_path, every=3)
    with suppress(Cut):
        nf.solve(dense_glm(), "gd", rounds=9, tol=0.0, checkpoint=kept, callback=cut_at(5))
    assert kept.read()[1]["round"] == 3
    nf.solve(dense_glm(), "gd", rounds=8, tol=0.0, checkpoint=kept)
    assert kept.read()[1]["round"] == 8
    nf.solve(dense_glm(), "gd", rounds=20, tol=0.0, checkpoint=kept, callback=lambda record: record.round == 10)
    assert kept.read()[1]["round"] == 10 and sorted(path.name for path in tmp_path.iterdir()) == [NEWEST, PREVIOUS]


# --- what is no checkpoint of this solve


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The folder of a solve of five rounds."""
    folder = tmp_path_factory.mktemp("kept")
    nf.solve(dense_glm(), "newton-3pc", rounds=5, tol=0.0, checkpoint=folder)
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "gd"}, "its method is Descent"),
        ({"method": "newton-3pc,compressor=topk:3"}, "its method is Descent"),
        ({"seed": 1}, "its seed is 0, this one's 1"),
        ({"x0": np.ones(7)}, "of a solve from another x0"),
        ({"problem": dense_glm(n=5)}, "its number of clients is 4, this one's 5"),
        ({"problem": dense_glm(seed=1)}, "the function of client 0 is another than in the checkpoint"),
        ({"problem": dense_glm(ridge=0.2)}, "its ridge is"),
    ],
    ids=["method", "setting", "seed", "x0", "clients", "rows", "ridge"],
)
def test_another_solve_is_refused(change, words, kept):
    arguments = {"problem": dense_glm(), "method": "newton-3pc", **change}
    with pytest.raises(ValueError, match=words):
        nf.solve(**arguments, rounds=9, checkpoint=kept)


def test_another_version_is_refused(kept, monkeypatch):
    monkeypatch.setattr(nf, "__version__", "0.0.1")
    with pytest.raises(ValueError, match=r"its version of newtonfl is 0\.1\.0, this one's 0\.0\.1"):
        nf.solve(dense_glm(), "newton-3pc", checkpoint=kept)


def test_a_damaged_one_is_passed_over_for_the_one_before_and_that_is_told(kept, tmp_path):
    whole = nf.solve(dense_glm(), "newton-3pc", rounds=8, tol=0.0)
    folder = tmp_path / "copy"
    shutil.copytree(kept, folder)
    (folder / NEWEST).write_bytes((folder / NEWEST).read_bytes()[:-100])
    result = nf.solve(dense_glm(), "newton-3pc", rounds=8, tol=0.0, checkpoint=folder)
    same(whole, result)
    assert "went on from round 4" in result.resumed and "damaged, or no checkpoint" in result.resumed
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    (folder / NEWEST).unlink()  # as where a kill fell between two renamings
    assert "went on from round 4" in nf.solve(dense_glm(), "newton-3pc", rounds=8, tol=0.0, checkpoint=folder).resumed


def header_of_another_shape(content):
    """As many numbers by the header of one array as it states, fewer than there are: zipfile meets no wrong sum."""
    return content.replace(b"(600, 10)", b"(500, 10)")


def entry_that_hides_others(content):
    """One bit of an entry's length in the zip's directory, which makes those behind it its comment."""
    changed = bytearray(content)
    changed[content.index(b"PK\x01\x02") + 33] ^= 0x40
    return bytes(changed)


def entry_that_is_secret(content):
    changed = bytearray(content)
    changed[content.index(b"PK\x01\x02") + 8] ^= 1
    return bytes(changed)


def another_number(content):
    """In an archive that is sound: somebody has written it anew."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            array = old.read(name)
            new.writestr(name, array[:-8] + np.float64(7.0).tobytes() if name == "a.npy" else array)
    return changed.getvalue()


@pytest.mark.parametrize(
    "damage", [header_of_another_shape, entry_that_hides_others, entry_that_is_secret, another_number]
)
def test_damage_that_a_zip_archive_does_not_notice(damage, tmp_path):
    checkpoint = nf.Checkpoint(tmp_path)
    for round in (1, 2):
        checkpoint.write({"a": np.arange(6000.0).reshape(600, 10), "b": np.ones(3)}, {"round": round})
    whole = (tmp_path / NEWEST).read_bytes()
    assert damage(whole) != whole
    (tmp_path / NEWEST).write_bytes(damage(whole))
    arrays, values, fault = checkpoint.read()
    assert values["round"] == 1 and arrays["a"].shape == (600, 10) and f"{NEWEST}: damaged" in fault


def test_two_damaged_ones_are_refused(kept, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(kept, folder)
    for name in (NEWEST, PREVIOUS):
        (folder / name).write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match=rf"{NEWEST}: damaged, or no checkpoint .*{PREVIOUS}: damaged"):
        nf.solve(dense_glm(), "newton-3pc", checkpoint=folder)


def test_a_whole_file_of_something_else_is_refused(tmp_path):
    nf.Checkpoint(tmp_path).write({"x": np.ones(3)}, {"round": 3})
    with pytest.raises(ValueError, match="no checkpoint of a solve: it lacks clients/values, digests"):
        nf.solve(dense_glm(), "gd", checkpoint=tmp_path)


def test_whatever_is_done_to_a_file_it_is_refused_or_the_same(kept, tmp_path):
    """Flipped bytes, cuts, bytes put in: the content, or a refusal in words."""
    draw, whole = np.random.default_rng(0), (kept / NEWEST).read_bytes()
    arrays, values, _ = nf.Checkpoint(kept).read()
    other = nf.Checkpoint(tmp_path)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        at = int(draw.integers(len(content)))
        match draw.integers(4):
            case 0:
                content[at] ^= int(draw.integers(1, 256))
            case 1:
                del content[at:]
            case 2:
                content[at:at] = bytes(draw.integers(0, 256, 5).tolist())
            case 3:
                content[at : at + 30] = bytes(30)
        (tmp_path / NEWEST).write_bytes(content)
        try:
            found, others, _ = other.read()
        except ValueError as error:
            refused += str(tmp_path / NEWEST) in str(error)
        else:
            assert others == values and all(np.array_equal(found[key], arrays[key]) for key in arrays)
    assert refused > 200


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_every_must_be_a_number_of_rounds(every):
    with pytest.raises(ValueError, match="every: given"):
        nf.Checkpoint("somewhere", every)


def test_a_checkpoint_must_be_a_folder():
    with pytest.raises(TypeError, match="checkpoint: given 3, must be a folder or a Checkpoint"):
        nf.solve(dense_glm(), "gd", checkpoint=3)


def test_one_job_at_a_time(tmp_path):
    def again(record):
        nf.solve(dense_glm(), "gd", rounds=1, checkpoint=tmp_path)

    with pytest.raises(ValueError, match=r"checkpoint .*: another job is writing into it"):
        nf.solve(dense_glm(), "gd", checkpoint=tmp_path, callback=again)


def test_a_disk_that_does_not_take_it_leaves_the_last_one(tmp_path, monkeypatch):
    nf.solve(dense_glm(), "gd", rounds=3, tol=0.0, checkpoint=tmp_path)

    def full(*arguments, **named):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match=rf"{NEWEST}: No space left on device"):
            nf.solve(dense_glm(), "gd", rounds=5, tol=0.0, checkpoint=tmp_path)
    assert nf.Checkpoint(tmp_path).read()[1]["round"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [NEWEST, PREVIOUS]


# --- states


@dataclass
class Odd:
    """A state that holds more than arrays."""

    what: object


def test_a_state_comes_back_in_every_bit():
    state = Odd({"a": (1, [None, True, "b"]), 2: (float("nan"), -0.0, b"\0\xff"), "c": np.float64(0.1)})
    back = StateTree.of(state)
    again = back.state(Odd(None), np.zeros(0))
    assert repr(again) == repr(state) and type(again.what["c"]) is np.float64
    arrays = Odd([np.arange(6.0).reshape(2, 3), np.array([True, False]), np.array(3)])
    for a, b in zip(StateTree.of(arrays).state(None, np.zeros(0)).what, arrays.what, strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)


def test_what_cannot_be_saved_is_refused_with_its_place():
    with pytest.raises(NotSaveable, match=r"the state\.what\[1\] holds Generator"):
        StateTree.of(Odd([1, np.random.default_rng(0)]))


def test_a_class_that_is_not_loaded_is_not_made():
    tree = StateTree.of(Odd(1))
    for name in ("nowhere:Odd", f"{__name__}:Cut", "os:system", "builtins:object"):
        with pytest.raises(ValueError, match="which is not loaded here"):
            StateTree({"type": name, "fields": tree.description["fields"]}).state(None, np.zeros(0))


# --- the command line


def test_force_waits_for_nobody_and_harms_nobody(run, small, tmp_path):
    """A job that works in the folder keeps its checkpoint and its run.toml."""
    folder = tmp_path / "kept"
    assert run("solve", small, "--rounds", "1", "--checkpoint", folder, "--quiet")[0] == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with FolderLock(folder):
        status, _, error = run("solve", small, "--method", "gd", "--checkpoint", folder, "--force", "--quiet")
    assert status == 2 and f"--checkpoint {folder}: another job is writing into it" in error
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_resume_goes_on_with_a_solve_of_the_command_line(run, small, tmp_path):
    folder, out = tmp_path / "kept", tmp_path / "out"
    assert run("solve", small, "--rounds", "3", "--checkpoint", folder, "--every", "2", "--quiet")[0] == 0
    status, printed, _ = run("resume", folder, "--rounds", "6", "--out", out, "--quiet")
    assert status == 0 and "went on from round 3" in printed
    whole = run("solve", small, "--rounds", "6", "--quiet")[1]
    sha = [line for text in (printed, whole) for line in text.splitlines() if line.startswith("x_sha256")]
    assert len(sha) == 2 and sha[0] == sha[1]
    assert len((out / "history.jsonl").read_text().splitlines()) == len(nf.History.read(out / "history.jsonl"))


def test_the_command_lines_refusals(run, small, tmp_path):
    folder = tmp_path / "kept"
    assert "--every: given 2 without --checkpoint" in run("solve", small, "--every", "2")[2]
    assert "given the folder of --out as well" in run("solve", small, "--out", folder, "--checkpoint", folder)[2]
    assert run("solve", small, "--rounds", "1", "--checkpoint", folder, "--quiet")[0] == 0
    status, _, error = run("solve", small, "--rounds", "1", "--checkpoint", folder)
    assert status == 2 and "holds a checkpoint; `newtonfl resume" in error
    assert run("solve", small, "--rounds", "1", "--checkpoint", folder, "--force", "--quiet")[0] == 0
    status, _, error = run("resume", tmp_path / "none")
    assert status == 2 and "holds no run.toml" in error


# --- estimators and checks


def test_an_estimator_goes_on_where_its_fit_was_cut_off(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    X, y = draw.standard_normal((60, 4)), draw.integers(0, 3, 60)
    settings = {"alpha": 0.01, "clients": 3, "method": "newton-3pc,compressor=topk:3", "multi_class": "ovr"}
    known = nf.FederatedLogisticRegression().get_params()
    settings = {key: value for key, value in settings.items() if key in known}
    whole = nf.FederatedLogisticRegression(**settings).fit(X, y)
    short = nf.FederatedLogisticRegression(**settings, checkpoint=tmp_path, max_rounds=2)
    with pytest.warns(match="max_rounds"):
        short.fit(X, y)
    further = nf.FederatedLogisticRegression(**settings, checkpoint=nf.Checkpoint(tmp_path, every=2)).fit(X, y)
    assert np.array_equal(further.coef_, whole.coef_) and np.array_equal(further.n_iter_, whole.n_iter_)
    with pytest.raises(ValueError, match=r"the function of client . is another than in the checkpoint"):
        nf.FederatedLogisticRegression(**settings, checkpoint=tmp_path).fit(-X, y)


def test_classes_of_one_fit_have_a_folder_each(tmp_path):
    draw = np.random.default_rng(0)
    X, y = draw.standard_normal((60, 4)), draw.integers(0, 3, 60)
    model = nf.FederatedLinearSVC(alpha=0.01, clients=3, checkpoint=tmp_path).fit(X, y)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["class 0", "class 1", "class 2"]
    again = nf.FederatedLinearSVC(alpha=0.01, clients=3, checkpoint=tmp_path).fit(X, y)
    assert np.array_equal(model.coef_, again.coef_)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"checkpoint": 3}, TypeError, "checkpoint: given 3, must be a folder"),
        ({"checkpoint": "x", "random_state": None}, ValueError, "draws another seed at every fit"),
    ],
)
def test_an_estimators_checkpoint_that_cannot_be(settings, error, words):
    with pytest.raises(error, match=words):
        nf.FederatedRidge(**settings).fit(np.eye(3), np.ones(3))


def test_check_method_finds_a_state_that_does_not_come_back():
    """What is no field of the state is lost."""
    gd = nf.gd()

    class Forgetful(type(gd)):
        def round(self, server, exchange, key):
            after = super().round(server, exchange, key)
            after.age = getattr(server, "age", 0) + 1
            after.x = after.x * (1.0 + 0.001 * after.age)
            return after

    method = Forgetful(**{key: value for key, value in vars(gd).items() if not key.startswith("_")})
    with pytest.raises(AssertionError, match="gone on with from a checkpoint, it must be the same solve"):
        check_method(method, dense_glm())


def test_a_smaller_tolerance_holds_for_what_looks_at_it(tmp_path):
    """newton-cg solves no system further than the solve's tolerance: the one that it is resumed with."""
    problem = sparse_glm(n=5)
    assert nf.solve(problem, "newton-cg", tol=1e-2, checkpoint=tmp_path).converged
    further = nf.solve(problem, "newton-cg", tol=1e-11, checkpoint=tmp_path)
    assert further.converged and further.rounds <= nf.solve(problem, "newton-cg", tol=1e-11).rounds + 2
