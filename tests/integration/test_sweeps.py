"""Sweeps: grids in braces, seeds as repetitions, several problems; their medians, bands and pictures."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

import newtonfl as nf
from newtonfl.experiments.grids import expand
from newtonfl.results import curves, plots
from newtonfl.results.costs import Cost, median
from newtonfl.results.history import History
from newtonfl.results.labels import numbers, shortened


@pytest.fixture(scope="module")
def problem():
    return nf.load("breast_cancer", clients=4)


@pytest.fixture(scope="module")
def swept(problem):
    return nf.compare(problem, ["newton-3pc,compressor=randk:{60,30,120}", "gd"], rounds=200, seeds=3, accuracy=1e-7)


# --- texts


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("gd", ["gd"]),
        ("{bl1,bl2}", ["bl1", "bl2"]),
        (
            "newton-3pc,compressor={topk,randk}:{1, 2}d",
            [f"newton-3pc,compressor={c}:{k}d" for c in ("topk", "randk") for k in (1, 2)],
        ),
        ("adacgd,levels=(topk:{1},topk:8)", ["adacgd,levels=(topk:1,topk:8)"]),
    ],
)
def test_braces_stand_for_every_combination(spec, found):
    assert expand(spec) == found


@pytest.mark.parametrize("spec", ["gd,stepsize={1,2", "gd}", "a{b,{c,d}}", "gd{}", "gd{1,}", "gd,stepsize={1,1}"])
def test_braces_that_cannot_be_are_refused(spec, problem):
    with pytest.raises(ValueError, match=r"brace|different words"):
        nf.compare(problem, [spec], rounds=1)


def test_labels_say_what_differs():
    assert shortened(["a,k=1,s=2", "a,k=3,s=2"]) == ("a,s=2", ["k=1", "k=3"])
    assert shortened(["newton", "newton,l=1"]) == ("newton", ["newton", "l=1"])
    assert shortened(["alone,k=1"]) == ("", ["alone,k=1"])
    assert shortened(["a (1", "a,b"]) == ("", ["a (1", "a,b"])
    assert shortened(["adacgd,levels=topk:1,topk:8", "adacgd,levels=topk:1,topk:9"])[1] == [
        "levels=topk:1,topk:8", "levels=topk:1,topk:9",
    ]  # fmt: skip


def test_a_number_that_varies_is_found():
    found = numbers(
        ["m,c=topk:8,l=2", "m,c=topk:16,l=2", "m,c=randk:8,l=2", "newton-3pc", "m,c=rankr:1,l=1", "m,c=rankr:2,l=2"]
    )
    assert found == {"m,c=topk:8,l=2": ("m,c=topk:…,l=2", 8.0), "m,c=topk:16,l=2": ("m,c=topk:…,l=2", 16.0)}
    assert numbers(["s=1e-3", "s=0.5"]) == {"s=1e-3": ("s=…", 1e-3), "s=0.5": ("s=…", 0.5)}


# --- numbers


def test_each_seed_is_a_solve_of_that_seed(problem, swept):
    for seed, result in zip(swept.seeds, swept.runs["newton-3pc,compressor=randk:30"], strict=True):
        alone = nf.solve(problem, nf.newton_3pc(compressor=nf.RandK(30)), rounds=result.rounds, tol=0.0, seed=seed)
        assert alone.x.tobytes() == result.x.tobytes()
    assert (
        swept.seeds == (0, 1, 2)
        and len({result.x.tobytes() for result in swept.runs["newton-3pc,compressor=randk:30"]}) == 3
    )


def test_costs_are_medians_of_the_rows(swept):
    frame = swept.to_pandas()
    assert len(frame) == 4 * 3 * 3 and set(frame["accuracy"]) == {1e-3, 1e-6, 1e-7}
    for label, cost in swept.costs("bytes_up", 1e-7).items():
        each = frame[(frame["method"] == label) & (frame["accuracy"] == 1e-7)]["bytes_up"]
        assert cost == (None if each.isna().sum() > 1 else float(np.median(each)))
    assert swept.costs("rounds", 1e-7)["gd"] is None and "medians of 3 seeds" in swept.table()


def test_a_run_ends_at_the_accuracy(swept):
    for label, results in swept.runs.items():
        for result in results:
            gaps = [record.gap for record in result.history]
            assert label == "gd" or gaps[-1] <= 1e-7 < gaps[-2]


def test_medians_where_some_did_not_get_there():
    one, two, three = (Cost(k, 10.0 * k, 0.0, 0.0, 0.0, 0.0, 0.0) for k in (1, 2, 5))
    assert median([three, one, two]).rounds == 2 and median([one, two, None]).rounds == 2
    assert (
        median([one, two]).bytes_up == 15.0
        and median([one, None]) is median([None, None, one]) is median([None]) is None
    )
    assert median([one]) is one


def test_a_band_joins_steps_at_every_place():
    """By hand: between its points a run stays what it was."""
    runs = [
        np.array([[0.0, 2.0, 4.0], [1.0, 1e-2, 1e-4]]),
        np.array([[0.0, 1.0], [1.0, 1e-3]]),
        np.array([[0.0, 3.0], [1.0, 1e-1]]),
    ]
    middle, low, high = curves.band(runs)
    assert middle[0].tolist() == [0, 1, 2, 3, 4]
    assert middle[1] == pytest.approx([1, 1, 1e-2, 1e-2, 1e-3])
    assert low[1] == pytest.approx([1, 10**-1.5, 10**-2.5, 10**-2.5, 10**-3.5])
    assert high[1] == pytest.approx([1, 1, 1e-1, 10**-1.5, 10**-2])
    assert curves.band(runs[:1])[0] is runs[0] and curves.band([np.zeros((2, 0))])[0].shape == (2, 0)


def test_a_sweep_is_the_cost_over_the_number(swept):
    (label,) = found = swept.sweep("bytes_up")
    assert label == "newton-3pc,compressor=randk:…" and found[label][0].tolist() == [30, 60, 120]
    for number, cost, low, high in found[label].T:
        assert low <= cost <= high < np.inf
        assert cost == swept.costs("bytes_up", 1e-7)[f"newton-3pc,compressor=randk:{number:g}"]
    with pytest.raises(ValueError, match="over: given 'bits'"):
        swept.sweep("bits")


def test_a_sweeps_median_is_that_of_the_costs(problem):
    """Of two seeds it lies between them, in both."""
    found = nf.compare(problem, ["newton-3pc,compressor=randk:{60,120}"], rounds=200, seeds=2, accuracy=1e-3)
    costs = found.costs("bytes_up", 1e-3)
    (table,) = found.sweep("bytes_up", 1e-3).values()
    assert table[1].tolist() == list(costs.values()) and (table[2] < table[1]).all() and (table[1] < table[3]).all()


def test_without_a_number_there_is_no_sweep(problem):
    with pytest.raises(ValueError, match="no two of the labels gd, newton differ in one number"):
        nf.compare(problem, ["gd", "newton"], rounds=1).sweep()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seeds": 0}, "seeds: given 0"),
        ({"seeds": True}, "seeds: given True"),
        ({"accuracy": 0.0}, "accuracy: given 0.0"),
        ({"accuracy": "small"}, "accuracy: given 'small'"),
    ],
)
def test_what_cannot_be_repeated_is_refused(problem, settings, words):
    with pytest.raises(ValueError, match=words):
        nf.compare(problem, ["gd"], rounds=1, **settings)


# --- pictures


def test_bytes_without_the_set_up(problem):
    history = nf.solve(problem, nf.newton_3pc(init="hessian"), rounds=3, tol=0.0).history
    with_it, without = (curves.points(history, "bytes", "gradient_norm", setup=setup)[0] for setup in (True, False))
    setup = (history[0].setup_bytes_up + history[0].setup_bytes_down) / 1024
    assert setup > 0 and with_it - without == pytest.approx(setup) and without[0] == 0.0


def test_the_picture_of_seeds_has_a_band_and_says_what_it_counts(swept):
    (axes,) = swept.plot("bytes", setup=False, scale="linear").axes
    assert len(axes.collections) == 4 and {line.get_drawstyle() for line in axes.get_lines()} == {"steps-post"}
    assert "without the set-up" in axes.get_xlabel() and axes.get_xscale() == "linear"
    assert len({(line.get_color(), str(line.get_linestyle()), line.get_marker()) for line in axes.get_lines()}) == 4
    (axes,) = swept.plot("rounds", y="gradient_norm", scale="log").axes
    assert axes.get_ylabel() == "‖∇f(x)‖₂" and axes.get_xscale() == "symlog"
    for wrong in ({"y": "distance"}, {"scale": "cubic"}):
        with pytest.raises(ValueError, match="allowed are"):
            swept.plot("rounds", **wrong)


def test_values_that_rise_go_from_light_to_dark():
    styles = plots._styles([f"newton-3pc,compressor=topk:{k}" for k in (60, 30, 120)])
    light = [sum(styles[f"newton-3pc,compressor=topk:{k}"][0][:3]) for k in (30, 60, 120)]
    assert light == sorted(light, reverse=True)
    many = plots._styles([f"method-{letter}" for letter in "abcdefghijklmnopqrst"])
    assert len(set(map(str, many.values()))) == 20


def test_the_picture_of_a_sweep(swept):
    (axes,) = swept.plot_sweep("bytes_up").axes
    table = swept.sweep("bytes_up")["newton-3pc,compressor=randk:…"]
    assert axes.get_lines()[0].get_ydata() == pytest.approx(table[1] / 1024)
    assert "f(x) − f* ≤ 1e-07" in axes.get_ylabel() and "KiB up" in axes.get_ylabel()
    with pytest.raises(ValueError, match="was not reached by any"):
        plots.draw_costs({"a": np.array([[1.0], [np.inf], [np.inf], [np.inf]])}, "bytes", "all")


# --- the command


def test_several_problems_several_seeds(run, small, tmp_path):
    other = small.parent / "other.toml"
    other.write_text(small.read_text().replace("1e-2", "2e-2").replace("Small", "Other"))
    out = tmp_path / "out"
    words = [
        "compare",
        small,
        other,
        "--methods",
        "newton-3pc,compressor=topk:{2,4}",
        "--seeds",
        2,
        "--accuracy",
        "1e-6",
    ]
    status, text, err = run(*words, "--quiet", "--out", out, "--without-setup")
    assert status == 0 and err == "" and text.count("medians of 2 seeds") == 2 and "1e-09" not in text
    assert (out / "bytes.png").is_file() and not (out / "small" / "bytes.png").exists()
    for name in ("small", "other"):
        with (out / name / "comparison.csv").open(newline="") as file:
            assert [row["seed"] for row in csv.DictReader(file)] == ["0", "0", "1", "1"] * 2
        found = {path.parent.name: json.loads(path.read_text()) for path in out.glob(f"{name}/*/result.json")}
        assert {each["seed"] for each in found.values()} == {0, 1} and len(found) == 4
        assert {(each["comparison"]["label"], each["comparison"]["seed"]) for each in found.values()} == {
            (f"newton-3pc,compressor=topk:{k}", seed) for k in (2, 4) for seed in (0, 1)
        }
        gaps = [History.read(path)[-1].gap for path in out.glob(f"{name}/*/history.jsonl")]
        assert max(gaps) <= 1e-6
    status, text, _ = run("plot", *(out / "small").iterdir(), "--out", tmp_path / "again", "--scale", "linear")
    assert status == 0 and str(tmp_path / "again" / "bytes.svg") in text


def test_problems_of_one_file_name_have_folders_of_their_own(run, small, tmp_path):
    (tmp_path / "other").mkdir()
    for path in [path for path in small.parent.iterdir() if path.is_file()]:
        shutil.copy(path, tmp_path / "other")
    other = tmp_path / "other" / small.name
    assert run("compare", small, other, "--methods", "gd", "--rounds", 2, "--quiet", "--out", tmp_path / "out")[0] == 0
    assert len(list((tmp_path / "out").glob("*/gd/result.json"))) == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--methods", "gd", "--seeds", 0], "seeds: given 0"),
        (["--methods", "gd,stepsize={1", "--seeds", 2], "a brace without its partner"),
        (["--methods", "gd", "--nonconvex", "0.1", "--y", "gap"], "--y: given gap, and f* of"),
    ],
)
def test_a_wrong_sweep_is_refused(run, small, tmp_path, words, expected):
    status, out, err = run("compare", small, *words, "--out", tmp_path / "out")
    assert status == 2 and out == "" and expected in err and not (tmp_path / "out").exists()


def test_a_problem_given_twice_is_refused(run, small):
    status, _, err = run("compare", small, small, "--methods", "gd")
    assert status == 2 and "twice" in err
