"""Where labels at the ends of lines go: beside their line, on no other label, and on few of the lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from newtonfl.core.backend import Array

_STEPS = 24
"""How many half lines of text up and down are tried."""

_SIDES = (0.0, 0.8, 1.0)
"""What a place right of the end, centred on it and left of it costs, in lines of text away."""


def place(
    ends: Array, sizes: Array, lines: Sequence[Array], frame: tuple[float, float, float, float], unit: float
) -> Array:
    """The lower left corners of labels, in the units of the screen.

    One label after the other, from the right, takes the cheapest of many places beside the end of its line: away from
    the end costs a little, a line underneath or between more, and another label or the frame's edge far more.

    Parameters
    ----------
    ends : array, shape (n, 2)
        Where the lines end.
    sizes : array, shape (n, 2)
        Widths and heights of the labels.
    lines : sequence of n arrays, shape (points, 2)
        What labels should not hide; one of them, the label's own, may lie between.
    frame : tuple of float
        Left, bottom, right and top: labels stay inside.
    unit : float
        The height of a line of text.

    Returns
    -------
    numpy.ndarray, shape (n, 2)
    """
    drawn = [_dense(line) for line in lines]
    points, owner = np.concatenate(drawn), np.repeat(np.arange(len(drawn)), [len(line) for line in drawn])
    corners = np.zeros((len(ends), 2))
    liking = np.repeat(_SIDES, 2 * _STEPS + 1)
    taken = np.zeros((0, 4))
    for i in sorted(range(len(ends)), key=lambda i: (-ends[i, 0], -ends[i, 1])):
        boxes = _candidates(ends[i], sizes[i], unit)
        cost = liking + np.hypot(*_away(boxes, ends[i])) / unit
        cost += 2.0 * _inside(points, boxes) / unit
        cost += 1.5 * _inside(points[owner != i], _with(boxes, ends[i])) / unit
        cost += 1e3 * _overlaps(boxes, taken)
        cost += 1e4 * _outside(boxes, frame)
        best = boxes[int(np.argmin(cost))]
        corners[i], taken = best[:2], np.vstack([taken, best])
    return corners


def _candidates(end: Array, size: Array, unit: float) -> Array:
    """Boxes (left, bottom, right, top): right of the end, centred on it, and left of it, at many heights."""
    width, height = size
    shifts = unit * np.arange(-_STEPS, _STEPS + 1) / 2.0
    lefts = end[0] + np.array([0.5 * unit, -0.5 * width, -width - 0.5 * unit])
    left, middle = (grid.ravel() for grid in np.meshgrid(lefts, end[1] + shifts, indexing="ij"))
    return np.column_stack([left, middle - 0.5 * height, left + width, middle + 0.5 * height])


def _away(boxes: Array, end: Array) -> Array:
    """From the end to the nearest point of each box across, and to its middle up or down, shape (2, boxes)."""
    across = np.clip(end[0], boxes[:, 0], boxes[:, 2]) - end[0]
    return np.stack([across, (boxes[:, 1] + boxes[:, 3]) / 2.0 - end[1]])


def _with(boxes: Array, end: Array) -> Array:
    """Each box, widened so that it holds the end too."""
    return np.column_stack([np.minimum(boxes[:, :2], end), np.maximum(boxes[:, 2:], end)])


def _inside(points: Array, boxes: Array) -> Array:
    """How many points each box covers."""
    x, y = points[:, 0, None], points[:, 1, None]
    covered = (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])
    count: Array = covered.sum(axis=0)
    return count


def _overlaps(boxes: Array, taken: Array) -> Array:
    """How many of the `taken` boxes each box meets."""
    one, other = boxes[:, None], taken[None]
    apart = (one[..., 2] <= other[..., 0]) | (other[..., 2] <= one[..., 0])
    apart |= (one[..., 3] <= other[..., 1]) | (other[..., 3] <= one[..., 1])
    count: Array = (~apart).sum(axis=1)
    return count


def _outside(boxes: Array, frame: tuple[float, float, float, float]) -> Array:
    left, bottom, right, top = frame
    out: Array = (boxes[:, 0] < left) | (boxes[:, 1] < bottom) | (boxes[:, 2] > right) | (boxes[:, 3] > top)
    return out


def _dense(line: Array) -> Array:
    """Points a unit of the screen apart, or nearer, along a line."""
    lengths = np.hypot(*np.diff(line, axis=0).T) if len(line) > 1 else np.zeros(0)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    at = np.linspace(0.0, along[-1], int(along[-1]) + 2)
    return np.column_stack([np.interp(at, along, line[:, 0]), np.interp(at, along, line[:, 1])])
