"""The communication-complexity pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from newtonfl.history import History


def plot(folder: str | Path) -> list[Path]:
    """Draw a run: its gap over rounds, over measured bits and over the papers' formula bits.

    Where f* is not known the gradient norm stands for the gap.

    Parameters
    ----------
    folder : str or Path
        As ``newtonfl solve --out`` wrote it.

    Returns
    -------
    list of Path
        gap.png and gap.svg in the folder.

    Raises
    ------
    FileNotFoundError
        If the folder holds no history.
    ValueError
        If it cannot be read, or has no round.
    RuntimeError
        If matplotlib is not installed.
    """
    folder = Path(folder)
    source = folder / "history.jsonl"
    if not source.is_file():
        raise FileNotFoundError(f"{folder}: holds no history.jsonl; `newtonfl solve … --out {folder}` writes one")
    history = History.read(source)
    if not len(history):
        raise ValueError(f"{source}: no round was recorded")
    try:
        import matplotlib
    except ImportError:
        raise RuntimeError("plotting needs matplotlib, which is not installed: pip install 'newtonfl[plot]'") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    by_gap = all(record.gap is not None for record in history)
    label = "f(x) − f*" if by_gap else "‖∇f(x)‖₂"
    heights = np.array([record.gap if by_gap else record.gradient_norm for record in history], dtype=float)
    seen = heights > 0  # a gap at rounding level can be zero or negative, and has no logarithm
    rounds = np.array([record.round for record in history])
    measured = np.array([8.0 * (record.bytes_up + record.bytes_down) / 1e3 for record in history])
    formula = np.array([(record.formula_bits_up + record.formula_bits_down) / 1e3 for record in history])

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.0, 3.6), sharey=True, layout="constrained")
    left.semilogy(rounds[seen], heights[seen], color="#0072b2", marker="o", markersize=2.5)
    left.set(xlabel="round", ylabel=label)
    right.semilogy(measured[seen], heights[seen], color="#0072b2", label="measured on the wire")
    right.semilogy(formula[seen], heights[seen], color="#d55e00", linestyle="--", label="papers' formula")
    right.set(xlabel="kilobits per client, up and down, without set-up")
    right.legend(frameon=False, loc="upper right")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_title(folder))
    paths = [folder / "gap.png", folder / "gap.svg"]
    for path in paths:
        figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return paths


def _title(folder: Path) -> str:
    result = folder / "result.json"
    if not result.is_file():
        return f"{folder.name} (unfinished)"
    try:
        told = json.loads(result.read_text(encoding="utf-8"))
        return f"{told['method']} on {told['problem']}"
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{result}: not the result of a run ({type(error).__name__}: {error})") from None
