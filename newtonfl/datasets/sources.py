"""A source is one string, ``KIND:WHAT``, read to a Table: ``libsvm:a9a``, ``csv:silos/*.csv``, ``sklearn:digits``.

This is the face of several modules: where files are (fetch), one reader a format (libsvm_reader, …), what is done to
rows and labels once read (table).
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from newtonfl.core.quoting import quoted
from newtonfl.datasets.csv_columns import OFFSETS, CsvLayout
from newtonfl.datasets.csv_reader import read_csv
from newtonfl.datasets.fetch import existing, libsvm_path
from newtonfl.datasets.libsvm_reader import read_libsvm
from newtonfl.datasets.npz_reader import read_npz
from newtonfl.datasets.sklearn_reader import SKLEARN, read_sklearn
from newtonfl.datasets.table import Table, some, store, two_classes
from newtonfl.datasets.values import sort_names

__all__ = [
    "KINDS",
    "Table",
    "parse_source",
    "is_glob",
    "read",
    "seen_from",
    "at_hand",
    "expand",
    "store",
    "two_classes",
    "some",
]

KINDS = ("libsvm", "csv", "npz", "sklearn")

_LONGEST_PATH = 4000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def parse_source(source: str) -> tuple[str, str]:
    """Split ``KIND:WHAT``, or raise a ValueError that names the kinds."""
    kind, colon, what = source.partition(":")
    if kind not in KINDS or not colon or not what.strip():
        raise ValueError(
            f"source: given {quoted(source)}, must be libsvm:NAME_OR_PATH, csv:PATH, npz:PATH or sklearn:NAME"
        )
    if len(what) > _LONGEST_PATH or _CONTROL.search(what):
        raise ValueError(f"source: given {quoted(source)}, which is no path that a file has")
    if kind == "sklearn" and what not in SKLEARN:
        raise ValueError(f"source: given {quoted(source)}, the scikit-learn sets are {', '.join(SKLEARN)}")
    return kind, what


def is_glob(source: str) -> bool:
    """Whether `source` is a pattern for several files."""
    return any(sign in source for sign in "*?[") and not Path(source.partition(":")[2]).is_file()


def read(
    source: str,
    *,
    folder: Path = Path("."),
    features: int | None = None,
    label: str | int | None = None,
    group: str | int | None = None,
    offset: str | int | None = None,
    exposure: str | int | None = None,
    zero_based: bool = False,
    labelled: bool = True,
    **csv: Any,
) -> Table:
    """Read one source.

    Parameters
    ----------
    source : str
        ``libsvm:NAME_OR_PATH``, ``csv:PATH``, ``npz:PATH`` or ``sklearn:NAME``.
    folder : Path
        What relative paths are relative to: the problem file's folder.
    features : int, optional
        Number of columns d. LIBSVM text does not state it, and the largest index may fall short of it.
    label : str or int, optional
        CSV only: the label's column, by name or by number from 0. By default the last.
    group : str or int, optional
        CSV: a column, by name or by number, that is no feature but names each row's client; it may be words. npz: the
        name of an array.
    offset, exposure : str or int, optional
        CSV: columns, by name or by number, that are no features but go to :attr:`Table.per_row`. npz: names of arrays.
    zero_based : bool
        LIBSVM only: whether indices begin with 0 rather than 1.
    labelled : bool
        Whether rows have labels, which are read; without them CSV and npz files need have none, and all labels are 0.
    csv : other arguments of :class:`newtonfl.datasets.csv_columns.CsvLayout`
        Allowed only with a CSV source.

    Returns
    -------
    Table

    Raises
    ------
    FileNotFoundError
        If there is no such file; the message names every place that was searched.
    ValueError
        If what is found is not sound: the message names the file and the line or row.
    """
    kind, what = parse_source(source)
    if label is not None and kind != "csv":
        raise ValueError(f"{source}: label = {label!r} picks a column of a CSV file; {kind} keeps its labels apart")
    if group is not None and kind not in ("csv", "npz"):
        raise ValueError(f"{source}: there is no column {group!r} to split by; only csv and npz sources can have one")
    said = {key: which for key, which in zip(OFFSETS, (offset, exposure), strict=True) if which is not None}
    for key, which in said.items():
        if kind not in ("csv", "npz"):
            raise ValueError(f"{source}: {key} = {which!r} needs a csv or npz source")
    if csv and kind != "csv":
        raise ValueError(f"{source}: {', '.join(csv)}: allowed only with a csv source")
    if zero_based and kind != "libsvm":
        raise ValueError(f"{source}: zero_based: allowed only with a libsvm source")
    if kind == "sklearn":
        table = read_sklearn(what, source)
    elif kind == "libsvm":
        table = Table(*read_libsvm(libsvm_path(what, folder), features, zero_based), source)
    elif kind == "csv":
        layout = CsvLayout(label=label, group=group, offset=offset, exposure=exposure, labelled=labelled, **csv)
        table = read_csv(existing(what, folder), layout, source)
    else:
        content = read_npz(existing(what, folder), group, labelled, {key: str(which) for key, which in said.items()})
        codes = None if content.groups is None else sort_names(content.groups.astype(str))[1]
        names = ("" if offset is None else str(offset), "" if exposure is None else str(exposure))
        table = Table(
            content.rows, content.labels, source, codes, content.column_names, per_row=content.per_row,
            offset_names=names,
        )  # fmt: skip
    if features is not None and table.rows.shape[1] != features:
        raise ValueError(f"{source}: features = {features}, but there are {table.rows.shape[1]} columns of features")
    return replace(table, rows=store(table.rows))


def expand(source: str, folder: Path = Path(".")) -> list[str]:
    """The single-file sources, sorted, that a source with a pattern such as ``csv:silos/*.csv`` stands for.

    Raises
    ------
    FileNotFoundError
        If no file matches.
    """
    kind, pattern = parse_source(source)
    if kind == "sklearn" or not is_glob(source):
        return [source]
    found = sorted(name for name in glob.glob(pattern, root_dir=folder, recursive=True) if (folder / name).is_file())
    if not found:
        raise FileNotFoundError(f"{source}: no file matches {pattern!r} in {folder.resolve()}")
    return [f"{kind}:{name}" for name in found]


def seen_from(source: str, folder: Path, other: Path) -> str:
    """The same source for a problem file in `other`, where a path in `source` is relative to `folder`.

    Relative to `other`, so that folders that are moved together still find it; absolute where the two have nothing but
    the root in common.
    """
    kind, what = parse_source(source)
    bare = kind == "libsvm" and Path(what).name == what and not is_glob(source)
    if kind == "sklearn" or (bare and not (folder / what).is_file()):
        return source
    path, pattern = Path(what).expanduser(), is_glob(source)
    if pattern and path.is_absolute():
        return f"{kind}:{path}"
    top, rest = (folder, path) if pattern else ((folder / path).parent, Path(path.name))
    # Real paths: ".." leads up from where a link points to, not from the link.
    here, there = os.path.realpath(top), os.path.realpath(other)
    try:
        shared = Path(os.path.commonpath([here, there]))
        way = os.path.relpath(here, there) if shared != Path(shared.anchor) else here
    except ValueError:  # on two drives
        way = here
    return f"{kind}:{Path(glob.escape(way) if pattern else way) / rest}"  # a folder's own name is no pattern


def at_hand(source: str, folder: Path) -> str:
    """Where a single source is, without a download.

    Raises
    ------
    FileNotFoundError
        If it is not there; the message states whether a solve would download it.
    ValueError
        If a known set's file is not that set.
    """
    kind, what = parse_source(source)
    if kind == "sklearn":
        return "comes with scikit-learn"
    return str(libsvm_path(what, folder, download=False) if kind == "libsvm" else existing(what, folder))
