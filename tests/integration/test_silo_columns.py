"""Four sites whose files mean the same and look different: the pooled answer, or a refusal that names file and column.

The answer is Newton's method written out on the rows that pandas pools.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
from mpi_launch import launch

L2 = 1e-2
PROBLEM = f"""
[data]
source = "csv:site_*.csv"
label = "died"
categorical = ["ward"]
missing = "mean"
[objective]
loss = "logistic"
l2 = {L2}
intercept = true
[clients]
split = "files"
"""


def sites() -> list[pandas.DataFrame]:
    """Other orders of columns; site 1 lacks values, site 2 has a ward that no other has, site 3 has one class alone."""
    draw = np.random.Generator(np.random.Philox(11))
    frames = []
    for site, size in enumerate((12, 9, 15, 7)):
        rows = pandas.DataFrame(np.round(draw.standard_normal((size, 3)), 3), columns=["age", "dose", "weight"])
        rows["ward"] = draw.choice(["north", "south"] if site != 2 else ["west", "south"], size)
        rows["died"] = np.where(rows["age"] + 0.5 * draw.standard_normal(size) > 0, "yes", "no")
        frames.append(rows)
    frames[1].loc[[0, 3], "age"] = np.nan
    frames[1].loc[[2], "ward"] = np.nan
    frames[3]["died"] = "no"
    orders = [[0, 1, 2, 3, 4], [4, 3, 0, 2, 1], [2, 4, 1, 0, 3], [3, 2, 1, 0, 4]]
    return [frame.iloc[:, order] for frame, order in zip(frames, orders, strict=True)]


def put(folder: Path, frames: list[pandas.DataFrame]) -> Path:
    for site, frame in enumerate(frames):
        frame.to_csv(folder / f"site_{site}.csv", index=False)
    (folder / "p.toml").write_text(PROBLEM)
    return folder / "p.toml"


def pooled() -> tuple[list[str], np.ndarray]:
    """The names and the minimiser on all rows in one place."""
    rows = pandas.concat(sites(), ignore_index=True)
    X = pandas.get_dummies(rows[["age", "dose", "weight", "ward"]], columns=["ward"], prefix_sep="=", dtype=float)
    X.loc[rows["ward"].isna(), [name for name in X.columns if name.startswith("ward=")]] = np.nan
    X = X.fillna(X.mean())
    A = np.column_stack([X.to_numpy(), np.ones(len(X))])
    y = np.where(rows["died"] == "yes", 1.0, -1.0)
    penalty = L2 * np.append(np.ones(A.shape[1] - 1), 0.0)
    x = np.zeros(A.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(y * (A @ x)))
        gradient = -(A * (y * p)[:, None]).mean(axis=0) + penalty * x
        hessian = (A * (p * (1 - p))[:, None]).T @ A / len(A) + np.diag(penalty)
        x = x - np.linalg.solve(hessian, gradient)
    assert np.linalg.norm(gradient) < 1e-15
    return [*X.columns, "intercept"], x


def solve(ranks: int, *words: object) -> subprocess.CompletedProcess[str]:
    command = ["-m", "newtonfl", "solve", *map(str, words), "--quiet", "--tol", "1e-13"]
    if ranks:
        ended = launch(ranks, *command)
        return subprocess.CompletedProcess(command, ended.status, ended.out, ended.err)
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60)


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [0, 1, 2, 4])
def test_other_looks_of_the_same_columns_give_the_pooled_answer(tmp_path, ranks):
    ended = solve(ranks, put(tmp_path, sites()), "--out", tmp_path / "run")
    assert ended.returncode == 0, ended.stderr
    names, right = pooled()
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    x = np.load(tmp_path / "run" / "x.npy")
    found = dict(zip(result["features"], x, strict=True))
    np.testing.assert_allclose([found[name] for name in names], right, rtol=0, atol=1e-10)
    assert (result["label"], result["classes"]) == ("died", ["no", "yes"])
    # What joins words and means travels, and is counted with the set-up, which x⁰ = 0 alone would make small.
    sent, received = result["bytes"]["setup_up"], result["bytes"]["setup_down"]
    assert min(sent["mean"], received["mean"]) > 100 and sent["max"] > sent["mean"]
    assert "label           died: 'no' is -1 and 'yes' is +1" in ended.stdout, ended.stdout
    assert "features        7: age, dose, weight, ward=north, …" in ended.stdout


@pytest.mark.mpi
def test_the_bits_are_the_same_on_any_number_of_ranks_and_from_the_run_folder(tmp_path):
    path, found = put(tmp_path, sites()), set()
    for ranks in (0, 1, 2, 4):
        assert solve(ranks, path, "--out", tmp_path / f"run_{ranks}").returncode == 0
        found.add(json.dumps(json.loads((tmp_path / f"run_{ranks}" / "result.json").read_text())["bytes"]))
        found.add(np.load(tmp_path / f"run_{ranks}" / "x.npy").tobytes())
    assert len(found) == 2
    assert solve(0, tmp_path / "run_2" / "run.toml", "--out", tmp_path / "again").returncode == 0
    assert np.load(tmp_path / "again" / "x.npy").tobytes() in found
    toml = (tmp_path / "run_2" / "run.toml").read_text()
    names = '"age", "dose", "weight", "ward=north", "ward=south", "ward=west"'
    assert f"features = [{names}]" in toml
    renamed = toml.replace("ward=south", "ward=sud")
    (tmp_path / "run_2" / "renamed.toml").write_text(renamed)
    ended = solve(0, tmp_path / "run_2" / "renamed.toml")
    assert ended.returncode == 2 and "'ward=sud' here and 'ward=south' there" in ended.stderr
    assert 'columns = ["age", "dose", "weight", "ward"]' in toml and 'classes = ["no", "yes"]' in toml
    frames = sites()
    third_class(frames)
    put(tmp_path, frames)
    ended = solve(0, tmp_path / "run_2" / "run.toml", "--out", tmp_path / "other")
    assert ended.returncode == 2 and "left_out: given 0, but of the rows" in ended.stderr


def renamed(frames):
    frames[2] = frames[2].rename(columns={"dose": "Dose"})


def lacking(frames):
    frames[1] = frames[1].drop(columns="weight")


def more(frames):
    frames[3] = frames[3].assign(height=1.0)


def retyped(frames):
    frames[2] = frames[2].assign(dose="high")


def other_label(frames):
    frames[1] = frames[1].rename(columns={"died": "dead"})


def other_classes(frames):
    frames[1] = frames[1].assign(died=(frames[1]["died"] == "yes").astype(int))


def third_class(frames):
    frames[1].loc[0, "died"] = "unknown"


def spelling(frames):
    frames[2] = frames[2].assign(ward=np.where(frames[2]["ward"] == "west", "1", "1.0"))


REFUSED = [
    (renamed, ["csv:site_2.csv has other columns than csv:site_0.csv", "lacks 'dose'", "only it has 'Dose'"]),
    (lacking, ["csv:site_1.csv has other columns than csv:site_0.csv", "lacks 'weight'"]),
    (more, ["csv:site_3.csv has other columns than csv:site_0.csv", "only it has 'height'"]),
    (retyped, ["site_2.csv, line 2, column dose: 'high' is not a finite number"]),
    (other_label, ["site_1.csv", "label: given 'died', which is no column"]),
    (other_classes, ["csv:site_0.csv has strings for labels, and csv:site_1.csv numbers"]),
    (third_class, ["csv:site_*.csv: two classes are needed, and there are 3", "'unknown'"]),
    (spelling, ["csv:site_2.csv, column ward: '1.0', and csv:site_2.csv has '1'"]),
]


@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.parametrize("ranks", [0, 1, 2, 4])
@pytest.mark.parametrize(("change", "words"), REFUSED, ids=[change.__name__ for change, _ in REFUSED])
def test_what_does_not_fit_is_refused_with_file_and_column(tmp_path, ranks, change, words):
    frames = sites()
    change(frames)
    ended = solve(ranks, put(tmp_path, frames))
    assert ended.returncode == 2, ended.stderr
    assert not [word for word in words if word not in ended.stderr], ended.stderr
    assert ended.stderr.count("newtonfl: ") == 1


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [0, 2])
def test_a_site_without_a_header_and_one_with_a_name_twice_are_refused(tmp_path, ranks):
    path = put(tmp_path, sites())
    for content, word in (
        ((tmp_path / "site_1.csv").read_text().partition("\n")[2], "site_1.csv"),
        ((tmp_path / "site_1.csv").read_text().replace("weight", "dose", 1), "several columns are named 'dose'"),
    ):
        (tmp_path / "site_1.csv").write_text(content)
        ended = solve(ranks, path)
        assert ended.returncode == 2 and word in ended.stderr, ended.stderr
        put(tmp_path, sites())
