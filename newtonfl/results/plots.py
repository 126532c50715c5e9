"""The communication-complexity pictures. Readable without colour: every line has its own dashes, marker and label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from newtonfl.core.backend import Array
from newtonfl.results.costs import SYMBOLS
from newtonfl.results.curves import UNITS, across_title, band, height_title, points
from newtonfl.results.history import History
from newtonfl.results.label_placement import place
from newtonfl.results.labels import numbers, shortened
from newtonfl.results.network import Network

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Figure

Scale = Literal["auto", "log", "linear"]
"""Of the axis from left to right."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")  # Okabe and Ito's, no yellow
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.3)), (0, (5, 2, 1, 2)))
_MARKERS = "osD^vPX<>"
_MANY = 100
"""Rounds from which their axis is logarithmic."""

_NARROW = 10.0
"""Where the largest height is less than so many times the least, the axis of another column than a gap is even."""

_FOLD = 28
"""A label's longest line, in characters."""

_WIDTH, _HEIGHT, _TEXT = 7.6, 4.8, 8.5
_SMALL = (4.6, 3.3)


def draw(
    histories: Mapping[str, History | Sequence[History]],
    over: str = "rounds",
    *,
    measure: str = "gap",
    network: Network | None = None,
    title: str = "",
    setup: bool = True,
    scale: Scale = "auto",
) -> Figure:
    """A figure with a line a label, which stands at its end.

    Parameters
    ----------
    histories : mapping of label to History, or to several
        Of repetitions of one run, such as with several seeds, the median is drawn, and a band between the quartiles.
    over : {"rounds", "bytes_up", "bytes", "formula_bits", "seconds"}
        A mean client's, set-up included.
    measure : str
        "gap", "gradient_norm", or another column of the histories, such as a monitor's.
    network : Network or None
        For seconds: what it would add, an estimate on paper, and labelled so.
    title : str
        What all labels have in common is added to it, and left out of them.
    setup : bool
        Whether bytes and bits contain the set-up.
    scale : {"auto", "log", "linear"}
        Of the axis from left to right. By itself it is logarithmic but for up to 100 rounds.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If `over` or `scale` is no such word, a history has no such column, or there is nothing to draw.
    RuntimeError
        If matplotlib is not installed.
    """
    several = {label: [one] if isinstance(one, History) else one for label, one in histories.items()}
    return side_by_side({title: several}, over, measure=measure, network=network, setup=setup, scale=scale)


def side_by_side(
    compared: Mapping[str, Mapping[str, Sequence[History]]],
    over: str = "rounds",
    *,
    measure: str = "gap",
    network: Network | None = None,
    setup: bool = True,
    scale: Scale = "auto",
) -> Figure:
    """Comparisons of several problems, by title, in one row: what :func:`draw` draws of each; a label is one colour."""
    if scale not in get_args(Scale):
        raise ValueError(f"scale: given {scale!r}, allowed are {', '.join(get_args(Scale))}")
    many = len(compared)
    share = 1.0 if many == 1 else 0.72  # of one figure's width
    figure = _figure(_WIDTH * share * many, _HEIGHT)
    every = list(dict.fromkeys(label for histories in compared.values() for label in histories))
    common, rest = shortened(every)
    names, styles = dict(zip(every, rest, strict=True)), _styles(every)
    for i, (title, histories) in enumerate(compared.items()):
        axes = figure.add_axes(((i + 0.1 / share) / many, 0.12, (1 - 0.14 / share) / many, 0.8))
        bands = {
            label: band([points(history, over, measure, network, setup) for history in repeated])
            for label, repeated in histories.items()
        }
        lines = {names[label]: middle for label, (middle, _, _) in bands.items()}
        _axes(axes, lines, over, measure, network, setup, scale)
        _lines(axes, lines, [styles[label] for label in bands])
        for (label, (_, low, high)), line in zip(bands.items(), axes.get_lines(), strict=True):
            if len(histories[label]) > 1 and low.size:
                line.set_drawstyle("steps-post")
                axes.fill_between(low[0], low[1], high[1], step="post", color=styles[label][0], alpha=0.18, linewidth=0)
        axes.set_title(", ".join(filter(None, (title, common))), fontsize=10, loc="left")
        _direct_labels(figure, axes, lines, (i + 1) / many - 0.01)
    return figure


def draw_small(histories: Mapping[str, History], over: str, measure: str) -> Figure:
    """What :func:`draw` draws, for a narrow place: without a title, and with labels where there are several lines."""
    figure = _figure(*_SMALL)
    axes = figure.add_axes((0.17, 0.16, 0.8, 0.82))
    lines = {label: points(history, over, measure) for label, history in histories.items()}
    _axes(axes, lines, over, measure, None)
    _lines(axes, lines, list(_styles(list(histories)).values()))
    if len(lines) > 1:
        _direct_labels(figure, axes, lines)
    return figure


def draw_costs(sweeps: Mapping[str, Array], over: str, reached: str, title: str = "") -> Figure:
    """What an accuracy cost over a setting's number: a line a sweep, with a band between the quartiles.

    Parameters
    ----------
    sweeps : mapping of label to numpy.ndarray, shape (4, k)
        The setting's numbers, rising, and of each the median cost, in what it counts, and the quartiles below and above
        it; what is not finite was not reached.
    over : {"rounds", "bytes_up", "bytes", "formula_bits", "seconds", "gradients", "hessians"}
        What the cost counts.
    reached : str
        The accuracy, in words.
    title : str
    """
    figure = _figure(_WIDTH, _HEIGHT)
    axes = figure.add_axes((0.14, 0.12, 0.82, 0.8))
    unit = np.array([1.0, *3 * [UNITS.get(over, 1.0)]])[:, None]
    sweeps = {label: table / unit for label, table in sweeps.items()}
    lines = {label: table[:2, np.isfinite(table[1])] for label, table in sweeps.items()}
    if not any(line.size for line in lines.values()):
        raise ValueError(f"nothing to draw: {reached} was not reached by any")
    for i, (label, table) in enumerate(sweeps.items()):
        colour, dashes, marker = _style(i)
        axes.plot(*lines[label], color=colour, linestyle=dashes, marker=marker, markersize=5.0, linewidth=1.4)
        axes.fill_between(*table[[0, 2, 3]][:, np.isfinite(table).all(axis=0)], color=colour, alpha=0.18, linewidth=0)
    across = np.concatenate([line[0] for line in lines.values()])
    if across.min() > 0 and across.max() > 5 * across.min():
        axes.set_xscale("log")
        _plain_ticks(axes, across.max() / across.min())
    heights = np.concatenate([line[1] for line in lines.values()])
    if heights.min() > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:,.6g}" if heights.max() < 8 * heights.min() else "")
    axes.set_xlabel("the number …")
    axes.set_ylabel(f"to {reached}:\n{across_title(over)}")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=_TEXT, which="both")
    axes.set_title(title, fontsize=10, loc="left")
    _direct_labels(figure, axes, lines)
    return figure


def panels(history: History, measure: str, title: str, network: Network | None = None) -> Figure:
    """One run in four panels: over rounds, over bytes up, over bytes and formula bits both ways, and over seconds."""
    figure = _figure(9.6, 6.6)
    for i, over in enumerate(("rounds", "bytes_up", "bytes", "seconds")):
        row, column = divmod(i, 2)
        axes = figure.add_axes((0.08 + 0.5 * column, 0.57 - 0.49 * row, 0.4, 0.36))
        lines = {"on the wire" if over == "bytes" else "": points(history, over, measure, network)}
        if over == "bytes":
            across, heights = points(history, "formula_bits", measure)
            lines["papers' formulas"] = np.stack([across * 1000 / 8 / 1024, heights])
        _axes(axes, lines, over, measure, network)
        _lines(axes, lines, list(_styles(list(lines)).values()))
        if over == "bytes":
            _direct_labels(figure, axes, lines, 0.49)
    figure.text(0.08, 0.97, title, fontsize=10)
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png and `stem`.svg, whose bytes depend on the figure alone; returns their paths."""
    from matplotlib import rc_context

    paths = [stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")]
    with rc_context({"svg.hashsalt": "newtonfl"}):
        for path in paths:
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths


def svg(figure: Figure) -> str:
    """The `figure` as an SVG document without a ground, its letters as paths, which need no fonts."""
    from matplotlib import rc_context

    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "newtonfl", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue().decode()


def _figure(width: float, height: float) -> Figure:
    """A figure of its own, that no window shows, and that a notebook shows as a cell's last value."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Figure
    except ImportError:
        raise RuntimeError("plotting needs matplotlib, which is not installed: pip install 'newtonfl[plot]'") from None

    class Picture(Figure):
        def _repr_png_(self) -> bytes:
            buffer = BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

    figure = Picture(figsize=(width, height), dpi=150)
    FigureCanvasAgg(figure)
    return figure


def _axes(
    axes: Axes,
    lines: Mapping[str, Array],
    over: str,
    measure: str,
    network: Network | None,
    setup: bool = True,
    scale: Scale = "auto",
) -> None:
    """Scales, limits and titles."""
    drawn = [line for line in lines.values() if line.size]
    if not drawn:
        raise ValueError(f"nothing to draw: no record has a finite {measure} other than 0")
    largest = max(float(line[0].max()) for line in drawn)
    low, initial = min(float(line[1].min()) for line in drawn), max(float(line[1][0]) for line in drawn)
    high = max(float(line[1].max()) for line in drawn)
    if measure in SYMBOLS:  # of a run that diverges the way up is enough
        high = min(high, 1e4 * initial)
    if low <= 0 or (measure not in SYMBOLS and high < _NARROW * low):
        room = high - low or abs(high) or 1.0
        axes.set_ylim(low - 0.15 * room, high + 0.05 * room)  # below there is room for labels
    else:
        spare = (high / low) ** 0.04
        axes.set_yscale("log")
        axes.set_ylim(low / (2.0 * spare**3), high * 2.0 * spare)
    if over == "rounds" or scale == "linear":
        if scale == "log" or (scale == "auto" and largest > _MANY):
            axes.set_xscale("symlog", linthresh=1.0)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlim(0.0, max(largest, 1.0) if over == "rounds" else 1.02 * largest)
    else:
        axes.set_xscale("log")
        firsts = [float(line[0][min(1, line.shape[1] - 1)]) for line in drawn]  # where the first round ends
        left = min([first for first in firsts if first > 0] or [1e-3])
        axes.set_xlim(0.8 * left, max(largest, left) * 1.1)
        _plain_ticks(axes, largest / left)
    axes.set_xlabel(across_title(over, network, setup))
    axes.set_ylabel(height_title(measure))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=_TEXT)


def _plain_ticks(axes: Axes, span: float) -> None:
    """Numbers as 0.1, 20 and 5,000 along a logarithmic axis that covers a factor of `span`."""
    from matplotlib.ticker import LogLocator, NullFormatter

    subs = (1.0,) if span > 300 else (1.0, 3.0) if span > 30 else (1.0, 2.0, 3.0, 5.0, 7.0)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:.3g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _styles(labels: Sequence[str]) -> dict[str, tuple[Any, Any, str]]:
    """Each label's colour, dashes and marker: no two are alike; a number that varies goes from light to dark."""
    found = {label: _style(i) for i, label in enumerate(labels)}
    varying = numbers(labels)
    if len(labels) > 2 and len(varying) == len(labels) and len({shape for shape, _ in varying.values()}) == 1:
        order = sorted(labels, key=lambda label: varying[label][1])
        for i, label in enumerate(order):
            found[label] = (_shade(i / (len(order) - 1)), *found[label][1:])
    return found


def _style(i: int) -> tuple[Any, Any, str]:
    return _COLOURS[i % 7], _DASHES[i % 4], _MARKERS[i % 9]


def _shade(part: float) -> Any:
    """From light to dark, in grey as well."""
    from matplotlib import colormaps

    return colormaps["viridis"](0.85 * (1.0 - part))


def _lines(axes: Axes, lines: Mapping[str, Array], styles: Sequence[tuple[Any, Any, str]]) -> None:
    for i, ((label, line), (colour, dashes, marker)) in enumerate(zip(lines.items(), styles, strict=True)):
        axes.plot(
            *line, color=colour, linestyle=dashes, marker=marker, markersize=4.0,
            markevery=(0.01 + 0.013 * (i % 5), 0.11), linewidth=1.4, label=label,
        )  # fmt: skip


def _direct_labels(figure: Figure, axes: Axes, lines: Mapping[str, Array], edge: float = 0.99) -> None:
    """Each label beside its line's end, in the line's colour; axes give way to labels that would cross the `edge`."""
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    shown = [(line, label) for line, label in zip(axes.get_lines(), lines, strict=True) if lines[label].size]
    texts = [
        figure.text(0, 0, _folded(label), color=_darker(line.get_color()), fontsize=_TEXT, zorder=5, linespacing=1.0,
                    path_effects=[withStroke(linewidth=2.5, foreground="white")])
        for line, label in shown
    ]  # fmt: skip
    boxes = [label.get_window_extent() for label in texts]
    sizes = np.array([[box.width, box.height] for box in boxes])
    unit = 1.2 * _TEXT * figure.dpi / 72.0  # a line of text
    whole, frame = figure.bbox, axes.get_position()
    paths = [lines[label].T for _, label in shown]
    ends = np.array([path[-1] for path in paths])
    right = axes.transAxes.inverted().transform(axes.transData.transform(ends))[:, 0]
    room = (whole.width * (edge - frame.x0) - sizes[:, 0] - 0.6 * unit) / np.maximum(right, 0.5)
    width = max(0.5 * frame.width, min(frame.width, float(room.min()) / whole.width))
    axes.set_position((frame.x0, frame.y0, width, frame.height))
    axes.apply_aspect()
    inside = axes.get_window_extent()
    drawn = [np.clip(axes.transData.transform(path), inside.p0, inside.p1) for path in paths]
    corners = np.array([path[-1] for path in drawn])
    at = place(corners, sizes, drawn, (inside.x0, inside.y0, edge * whole.width, inside.y1), unit)
    for label, corner, size, end in zip(texts, at, sizes, corners, strict=True):
        label.set_position(tuple(corner / whole.size))
        label.set_verticalalignment("bottom")
        near = np.clip(end, corner, corner + size)
        if np.hypot(*(near - end)) > unit:
            from_end = np.stack([end, near]) / whole.size
            figure.add_artist(Line2D(*from_end.T, color=label.get_color(), linewidth=0.6, zorder=4))


def _darker(colour: Any) -> Array:
    """For text, which is thinner than a line and its marker."""
    from matplotlib.colors import to_rgb

    return 0.7 * np.array(to_rgb(colour))


def _folded(label: str) -> str:
    """A long label on several lines, broken at its commas."""
    lines = [""]
    for piece in label.split(","):
        fits = len(lines[-1]) + len(piece) < _FOLD or not lines[-1]
        lines = [*lines[:-1], f"{lines[-1]}{piece},"] if fits else [*lines, f"{piece},"]
    return "\n".join(lines).removesuffix(",")
