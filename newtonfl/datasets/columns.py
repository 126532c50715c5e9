"""From a source's columns to the features that all sources share: their order, a column for each word, means.

A column of words becomes one column a word, 1 where the row has the word and 0 elsewhere, over the words of all
sources; a baseline word has no column, and a row that has it is 0 in all others'. A missing value becomes its feature's
mean over all sources: of a word's column that is the word's share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import scipy

from newtonfl.comm.envelope import pack
from newtonfl.core.backend import Array
from newtonfl.datasets.table import some

Levels = Mapping[str, tuple[str, ...]]
Baseline = Literal["first"] | Mapping[str, str] | None
"""Which words have no feature: the first of every column of words; or one of some columns, by the column's name."""


@dataclass(frozen=True)
class ColumnSummary:
    """What a source says of its columns, so that all sources have the same features.

    Attributes
    ----------
    levels : dict of str to tuple of str
        The words of each column of words, in order.
    sums, counts : dict of str to tuple of numbers
        Where missing values become means: of each column the sum of its values and how many there are, one pair for a
        column of numbers and one for each word of a column of words. Else empty.
    """

    levels: Levels
    sums: Mapping[str, tuple[float, ...]]
    counts: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, rows: Array, names: Sequence[str], levels: Levels, means: bool) -> ColumnSummary:
        """Of `rows`, shape (N, c), whose columns of words hold positions among their `levels`."""
        sums: dict[str, tuple[float, ...]] = {}
        counts: dict[str, tuple[int, ...]] = {}
        for j, name in enumerate(names if means else ()):
            values = rows[:, j][~np.isnan(rows[:, j])]
            words = levels.get(name)
            if words is None:
                with np.errstate(over="ignore"):
                    sums[name] = (float(np.sum(values)),)
            else:
                sums[name] = tuple(np.bincount(values.astype(np.int64), minlength=len(words)).astype(float).tolist())
            counts[name] = (len(values),) * len(sums[name])
        return cls(levels, sums, counts)

    @property
    def packet(self) -> bytes:
        """What travels from a client; empty where nothing must."""
        if not (self.levels or self.sums):
            return b""
        return pack({}, levels=self.levels, sums=self.sums, counts=self.counts)


@dataclass(frozen=True)
class SharedColumns:
    """The features of all sources.

    Attributes
    ----------
    names : tuple of str, or None
        The sources' columns, in the order that holds for all; None where they have no names.
    levels : dict of str to tuple of str
        The words of all sources, in order.
    means : dict of str to tuple of float
        Of each column, as in :class:`ColumnSummary`; empty where nothing may be missing.
    baselines : dict of str to str
        The word that has no feature, of each column of words that has such a one.
    """

    names: tuple[str, ...] | None
    levels: Levels
    means: Mapping[str, tuple[float, ...]]
    baselines: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def merge(
        cls, names: tuple[str, ...] | None, sources: Mapping[str, ColumnSummary], baseline: Baseline = None
    ) -> SharedColumns:
        """What the summaries of all `sources`, by name, come to.

        Raises
        ------
        ValueError
            If other columns are words at another source, two words are one number, written in two ways, a column has
            no value at any source, or a `baseline` is no word of a column of words.
        """
        first, all_of = next(iter(sources)), list(sources.values())
        for other, summary in sources.items():
            if apart := sorted(summary.levels.keys() ^ all_of[0].levels.keys()):
                has, lacks = (other, first) if apart[0] in summary.levels else (first, other)
                raise ValueError(
                    f"column {apart[0]!r} is categorical in {has} and not in {lacks}, as its number is another there: "
                    "name it"
                )
        levels = {name: _joined_words(name, sources) for name in all_of[0].levels}
        means = {}
        for name in all_of[0].sums:
            parts: dict[str, list[float]] = {word: [] for word in levels.get(name, ("",))}
            for source in all_of:
                for word, value in zip(source.levels.get(name, ("",)), source.sums[name], strict=True):
                    parts[word].append(value)
            total = sum(source.counts[name][0] for source in all_of if source.counts[name])
            with np.errstate(over="ignore"):
                sums = np.array([math.fsum(values) for values in parts.values()])
            if not total or not np.isfinite(sums).all():
                raise ValueError(
                    f"column {name}: no source has a value for it, or their sum is not finite: it has no mean"
                )
            means[name] = tuple((sums / total).tolist())
        return cls(names, levels, means, _baselines(baseline, levels))

    @property
    def packet(self) -> bytes:
        """What travels to a client; empty where nothing must."""
        return pack({}, levels=self.levels, means=self.means) if self.levels or self.means else b""

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """One name a feature: a column's, or COLUMN=WORD."""
        if self.names is None:
            return None
        return tuple(
            full
            for name in self.names
            for full in ([f"{name}={word}" for word in self._words(name)] if name in self.levels else [name])
        )

    def _words(self, name: str) -> tuple[str, ...]:
        """The words of a column that have a feature."""
        return tuple(word for word in self.levels[name] if word != self.baselines.get(name))

    def features(self, rows: Array, names: Sequence[str] | None, levels: Levels, dense: bool) -> Array:
        """A source's features, dense or CSR, from its `rows`, whose columns have these `names` and `levels`."""
        if self.names is None or names is None:
            return rows
        here = {name: j for j, name in enumerate(names)}
        order = [here[name] for name in self.names]
        if order != list(range(len(order))):
            rows = rows[:, order]
        if not (self.levels or self.means):
            return rows
        blocks = []
        for j, name in enumerate(self.names):
            column, missing = rows[:, j], np.isnan(rows[:, j])
            means = self.means.get(name)
            if name not in self.levels:
                filled = column if means is None else np.where(missing, means[0], column)
                blocks.append(filled[:, None] if dense else scipy.sparse.csr_array(filled[:, None]))
                continue
            words = self.levels[name]
            position = {word: i for i, word in enumerate(words)}
            at = np.array([position[word] for word in levels[name]], np.int64)
            known = np.flatnonzero(~missing)
            block = scipy.sparse.csr_array(
                (np.ones(len(known)), (known, at[column[known].astype(np.int64)])), shape=(len(column), len(words))
            )
            if missing.any():
                shares = scipy.sparse.csr_array(np.array([means]))
                block = block + scipy.sparse.csr_array(missing[:, None].astype(np.float64)) @ shares
            if name in self.baselines:
                block = block[:, [position[word] for word in self._words(name)]]
            blocks.append(block.toarray() if dense else block)
        return np.hstack(blocks) if dense else scipy.sparse.csr_array(scipy.sparse.hstack(blocks, "csr"))


def _baselines(baseline: Baseline, levels: Levels) -> dict[str, str]:
    """The word of each column that has no feature."""
    if baseline == "first":
        return {name: words[0] for name, words in levels.items() if words}
    found = dict(baseline or {})
    for name, word in found.items():
        if name not in levels:
            raise ValueError(f"baseline: given the column {name!r}, must be one of words: {', '.join(levels)}")
        if word not in levels[name]:
            raise ValueError(f"baseline: given {word!r} of column {name}, whose words are {some(levels[name])}")
    return found


def _joined_words(name: str, sources: Mapping[str, ColumnSummary]) -> tuple[str, ...]:
    """The words of a column over all sources, in order."""
    spellings: dict[Any, tuple[str, str]] = {}
    for source, summary in sources.items():
        for word in summary.levels[name]:
            known, where = spellings.setdefault(_value(word), (word, source))
            if known != word:
                raise ValueError(
                    f"{source}, column {name}: {word!r}, and {where} has {known!r}: one number written in two ways "
                    "would be two words"
                )
    return tuple(sorted(word for word, _ in spellings.values()))


def _value(word: str) -> Any:
    try:
        return float(word)
    except ValueError:
        return word
