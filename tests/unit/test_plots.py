"""Pictures: what is drawn is what was counted, every line is told apart without colour, and labels hide nothing."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import SMALL

import newtonfl as nf
from newtonfl.results import curves, figures, plots
from newtonfl.results.history import History
from newtonfl.results.label_placement import place
from newtonfl.results.network import Network
from newtonfl.results.record import Record

LABELS = ["fednl", "newton-3pc", "bl1", "nl1", "dingo", "ef21", "adacgd,levels=topk:1,topk:8", "diana", "gd"]


def falling(rounds: int, rate: float, size: float = 100.0) -> History:
    """A made-up run: the gap falls by `rate` a round, `size` bytes go up and twice that down."""
    setup = {
        "setup_bytes_up": 50.0,
        "setup_bytes_down": 30.0,
        "setup_formula_bits_up": 80.0,
        "setup_formula_bits_down": 0,
    }
    return History([
        Record(k, 1.0, 0.5 * rate**k, rate**k, 0.1, size * k, 2 * size * k, 8 * size * k, 0.0, k, 0.25 * k, 2 * k,
               1.5 * k, **(setup if k == 0 else {}))
        for k in range(rounds + 1)
    ])  # fmt: skip


@pytest.fixture(scope="module")
def nine():
    """Five that arrive within a few rounds of each other, and four that do not."""
    fast = [falling(n, 1e-13 ** (1 / n), 900.0) for n in (60, 31, 29, 62, 30)]
    return dict(zip(LABELS, [*fast, *(falling(800, 1 - 10.0**-e, 50.0) for e in (3, 3.2, 2.6, 2.5))], strict=True))


# --- what is drawn


@pytest.mark.parametrize(
    ("over", "across"),
    [("rounds", [0, 1, 2]), ("bytes_up", [50 / 1024, 150 / 1024, 250 / 1024]),
     ("bytes", [80 / 1024, 380 / 1024, 680 / 1024]), ("formula_bits", [0.08, 0.88, 1.68]), ("seconds", [0, 0.25, 0.5]),
     ("gradients", [0, 1.5, 3])],
)  # fmt: skip
def test_points_are_the_records_counts(over, across):
    told = curves.points(falling(2, 0.1), over, "gap")
    assert told[0] == pytest.approx(across) and told[1] == pytest.approx([0.5, 0.05, 0.005])
    assert curves.points(falling(2, 0.1), over, "gradient_norm")[1] == pytest.approx([1, 0.1, 0.01])


def test_a_gap_in_rounding_stands_on_the_floor_and_what_is_not_finite_is_left_out():
    gaps = [1.0, -1e-17, 0.0, float("nan"), float("inf"), 1e-30]
    history = History([Record(k, 1.0, gap, gap, 0, 0, 0, 0, 0, 0, 0.0) for k, gap in enumerate(gaps)])
    assert curves.points(history, "rounds", "gap").tolist() == [[0, 1, 2, 5], [1, 1e-15, 1e-15, 1e-15]]
    assert curves.points(history, "rounds", "gradient_norm").tolist() == [[0, 5], [1, 1e-30]]


def test_the_seconds_of_a_network_are_said_to_be_an_estimate(nine):
    network = Network.parse("10Mbps/50ms")
    (axes,) = plots.draw(nine, "seconds", network=network).axes
    assert "paper estimate" in axes.get_xlabel() and "10 Mbps" in axes.get_xlabel() and "50 ms" in axes.get_xlabel()
    assert np.array_equal(axes.get_lines()[2].get_xdata(), network.seconds(nine["bl1"]))
    (axes,) = plots.draw(nine, "seconds").axes
    assert "estimate" not in axes.get_xlabel() and axes.get_lines()[0].get_xdata()[4] == 1.0


def test_a_comparison_draws_its_own_histories():
    problem = nf.load("breast_cancer", clients=4)
    found = nf.compare(problem, ["newton", "gd"], rounds=5)
    (axes,) = found.plot("bytes_up").axes
    for line, result in zip(axes.get_lines(), found.results.values(), strict=True):
        assert line.get_xdata() == pytest.approx(result.history.sent("bytes", ["up"]) / 1024)
        assert line.get_ydata() == pytest.approx([record.gap for record in result.history])
    with pytest.raises(ValueError, match="over: given 'bits', allowed are rounds, bytes_up"):
        found.plot("bits")


# --- told apart, and labelled


@pytest.mark.parametrize("over", curves.OVER)
def test_nine_lines_are_told_apart_and_labelled(nine, over):
    figure = plots.draw(nine, over, title="Nine")
    (axes,) = figure.axes
    lines = axes.get_lines()
    assert axes.get_legend() is None and len(lines) == 9
    assert len({(str(line._dash_pattern), line.get_marker()) for line in lines}) == 9  # without colour
    assert len({(line.get_color(), str(line._dash_pattern)) for line in lines}) == 9  # where markers are far apart
    assert "".join(text.get_text().replace("\n", "") for text in figure.texts) == "".join(LABELS)
    boxes = [text.get_window_extent() for text in figure.texts]
    whole = figure.bbox
    for i, box in enumerate(boxes):
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1
        for other in boxes[:i]:
            width, height = min(box.x1, other.x1) - max(box.x0, other.x0), min(box.y1, other.y1) - max(box.y0, other.y0)
            assert width <= 0.01 or height <= 0.01


@pytest.mark.parametrize("seed", range(5))
def test_labels_stay_apart_and_inside(seed):
    """Nine ends that crowd together; a single one takes the place right of its end."""
    draw = np.random.Generator(np.random.Philox(seed))
    ends, sizes = draw.uniform(400, 430, (9, 2)), np.column_stack([draw.uniform(20, 120, 9), np.full(9, 12.0)])
    frame = (0.0, 0.0, 600.0, 500.0)
    low = place(ends, sizes, [np.stack([np.zeros(2), end]) for end in ends], frame, 12.0)
    high = low + sizes
    assert (low >= 0).all() and (high <= [600, 500]).all()
    for i in range(9):
        for j in range(i):
            assert (low[i] >= high[j] - 1e-9).any() or (low[j] >= high[i] - 1e-9).any()
    alone = place(ends[:1], sizes[:1], [np.stack([np.zeros(2), ends[0]])], frame, 12.0)
    assert alone[0] == pytest.approx([ends[0, 0] + 6, ends[0, 1] - 6])


@pytest.mark.parametrize("own", [True, False])
def test_a_label_gets_out_of_a_lines_way(own):
    """The line that would lie under it comes back from the right, or is another's."""
    across, steep = np.array([[300.0, 100.0], [100.0, 100.0]]), np.array([[0.0, 200.0], [100.0, 100.0]])
    lines = [across, across + np.array([0.0, 200.0])] if own else [steep, across[::-1]]
    corner = place(
        np.array([line[-1] for line in lines]), np.full((2, 2), [60.0, 10.0]), lines, (0, 0, 400, 400), 10.0
    )[0]
    assert corner[1] >= 100.0 or corner[1] + 10.0 <= 100.0 or corner[0] + 60.0 <= 100.0


def test_no_other_line_lies_between_a_label_and_its_end():
    own, other = np.array([[100.0, 200.0], [100.0, 100.0]]), np.array([[103.0, 300.0], [103.0, 0.0]])
    ends, sizes = np.array([own[-1], other[-1]]), np.full((2, 2), [60.0, 10.0])
    assert place(ends, sizes, [own, other], (0, 0, 400, 400), 10.0)[0, 0] + 60.0 <= 103.0


def test_a_label_at_the_edge_stays_inside():
    end, size = np.array([[395.0, 398.0]]), np.array([[60.0, 10.0]])
    (corner,) = place(end, size, [np.stack([np.zeros(2), end[0]])], (0, 0, 400, 400), 10.0)
    assert corner[0] + 60.0 <= 400.0 and corner[1] + 10.0 <= 400.0


def test_a_long_label_is_folded_and_leaves_room_for_the_line():
    figure = plots.draw({"newton-3pc-bc,compressor=topk:60,line_search=20,step=shift": falling(9, 0.1)})
    told = [len(line) for line in figure.texts[0].get_text().splitlines()]
    assert len(told) == 3 and max(told) <= 32
    axes = figure.axes[0].get_window_extent()
    assert axes.width > 0.5 * figure.bbox.width
    assert axes.x1 <= figure.texts[0].get_window_extent().x0 < axes.x1 + 20  # beside the line, which ends there


@pytest.mark.parametrize("rounds", [0, 1])
def test_a_short_run_can_be_drawn(rounds):
    for over in curves.OVER:
        plots.draw({"short": falling(rounds, 0.1)}, over).canvas.draw()
    plots.panels(falling(rounds, 0.1), "gap", "Short").canvas.draw()


def test_nothing_to_draw_is_told():
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.draw({"lost": History([Record(0, 1.0, None, 1.0, 0, 0, 0, 0, 0, 0, 0.0)])})


def test_a_notebook_shows_it(nine):
    assert plots.draw(nine)._repr_png_()[:4] == b"\x89PNG"


# --- the command


def test_plot_draws_one_run(run, small, tmp_path):
    run("solve", small, "--quiet", "--out", tmp_path / "out")
    status, out, _ = run("plot", tmp_path / "out")
    assert status == 0
    png, svg = map(Path, out.split())
    assert (png, svg) == (tmp_path / "out" / "gap.png", tmp_path / "out" / "gap.svg")
    assert png.read_bytes()[:4] == b"\x89PNG" and "<svg" in svg.read_text()
    status, _, err = run("plot", tmp_path / "nowhere")
    assert status == 2 and "history.jsonl" in err
    (tmp_path / "out" / "result.json").write_text("{}")
    status, _, err = run("plot", tmp_path / "out")
    assert status == 2 and "result.json" in err
    for line in ('{"round": 0, "f": [1]}\n', "[" * 20000 + "\n", f'{{"round": 0, "bytes_up": {10**400}}}\n'):
        (tmp_path / "out" / "history.jsonl").write_text(line)
        status, _, err = run("plot", tmp_path / "out")
        assert status == 2 and "history.jsonl, line 1" in err and len(err) < 1000


@pytest.fixture
def drawn(monkeypatch):
    """The histories, measure and network of every comparison that is drawn, in place of drawing."""
    told = []
    monkeypatch.setattr(figures, "compared", lambda *given: told.append(given) or [])
    return told


def test_a_redraw_has_the_same_bytes(run, small, tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "OVER", ("rounds", "seconds"))
    network = ("--network", "1Mbps/20ms")
    out = tmp_path / "out"
    words = ("compare", small, "--methods", "newton-3pc", "gd", "newton", "--rounds", 20, "--quiet")
    assert run(*words, *network, "--out", out)[0] == 0
    status, told, _ = run("plot", *sorted(out.iterdir()), *network, "--out", tmp_path / "again")
    assert status == 0 and len(told.split()) == 4
    for over in curves.OVER:
        for kind in ("png", "svg"):
            name = f"{over}.{kind}"
            assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
            assert str(tmp_path / "again" / name) in told
    assert "Date" not in (out / "rounds.svg").read_text() and "dc:date" not in (out / "rounds.svg").read_text()


def test_runs_are_named_and_ordered(run, small, tmp_path, drawn):
    out = tmp_path / "out"
    run("compare", small, "--methods", "newton-3pc", "gd", "--rounds", 2, "--quiet", "--out", out)
    drawn.clear()
    assert run("plot", out)[0] == 0  # the folder of all
    shutil.copytree(out / "gd", tmp_path / "other" / "gd")
    status, _, err = run("plot", out / "gd", tmp_path / "other" / "gd")
    assert status == 2 and "--out" in err
    run("solve", small, "--quiet", "--rounds", "2", "--out", out / "alone")
    (out / "alone" / "result.json").unlink()
    assert run("plot", out / "alone", out / "gd", out / "newton-3pc", tmp_path / "other" / "gd", "--out", out)[0] == 0
    first, second = (list(next(iter(problems.values()))) for problems, *_ in drawn)
    assert first == ["newton-3pc", "gd"]
    assert second == ["newton-3pc", str(out / "gd"), str(tmp_path / "other" / "gd"), "alone"]


def test_without_a_known_optimum_the_gradient_norm_is_drawn(run, small, tmp_path, drawn):
    for name in ("a", "b"):
        run("solve", small, "--quiet", "--rounds", "2", "--out", tmp_path / name)
    assert run("plot", tmp_path / "a", tmp_path / "b")[0] == 0
    (problems, folder, look) = drawn[0]
    assert (folder, look.measure, list(problems)) == (tmp_path, "gradient_norm", ["Small"])


def test_runs_of_different_objectives_are_refused(run, small, tmp_path):
    run("solve", small, "--quiet", "--rounds", "1", "--out", tmp_path / "a")
    small.write_text(SMALL.replace("1e-2", "2e-2"))
    run("solve", small, "--quiet", "--rounds", "1", "--out", tmp_path / "b")
    status, _, err = run("plot", tmp_path / "a", tmp_path / "b")
    assert status == 2 and "different objectives" in err and "0.02" in err and str(tmp_path / "b") in err


def test_without_matplotlib_the_runs_are_kept_and_it_is_told(run, small, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    status, _, err = run("compare", small, "--methods", "gd", "--rounds", 1, "--quiet", "--out", tmp_path / "out")
    assert status == 0 and "pip install 'newtonfl[plot]'" in err and "no pictures" in err
    assert json.loads((tmp_path / "out" / "gd" / "result.json").read_text())["rounds"] == 1
    assert (tmp_path / "out" / "comparison.csv").is_file() and not list((tmp_path / "out").glob("*.png"))
    status, _, err = run("plot", tmp_path / "out" / "gd")
    assert status == 1 and "newtonfl[plot]" in err
