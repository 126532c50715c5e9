"""Good files, changed at random: each is read, or refused by name; and what is read is what a plain reader reads.

    python tests/support/mutated_files.py 20000 [FIRST]

makes that many, number FIRST onwards, prints a table of what came of them, and names every fault with its number, from
which it can be made again.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
import tempfile
import tracemalloc
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from plain_readers import PLAIN, Refused
from sklearn.datasets import dump_svmlight_file

import newtonfl as nf
from newtonfl.cli.starting_point import Start
from newtonfl.datasets import problem_reader, sources
from newtonfl.solver.checkpoint import NEWEST

TIMES, FLOOR = 20, 6 << 20  # bzip2's unpacking alone asks for 4 MB

# --- good files


@dataclass(frozen=True)
class Seed:
    """A good file: its format, its content, and how it is read."""

    kind: str
    content: bytes
    options: dict[str, Any]


def _table(head: str, row: str, count: int) -> bytes:
    """Text of `count` lines, in which # stands for digits."""
    draw = np.random.default_rng(5)
    lines = ["".join(str(draw.integers(1, 10)) if sign == "#" else sign for sign in row) for _ in range(count)]
    return (head + "\n".join(lines) + "\n").encode()


def _libsvm(count: int) -> bytes:
    draw = np.random.default_rng(6)
    stream = io.BytesIO()
    rows = draw.normal(size=(count, 9)).round(3) * (draw.random((count, 9)) < 0.4)
    dump_svmlight_file(rows, draw.integers(2, size=count), stream, zero_based=False)
    return stream.getvalue()


def _npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _history() -> bytes:
    """A line of every kind that is written, and one with levels."""
    lines = [
        {"round": 0, "f": 0.7, "gradient_norm": 0.5, "step": 0.0, "bytes_up": 0.0, "bytes_down": 0.0, "seconds": 0.0,
         "formula_bits_up": 0.0, "formula_bits_down": 0.0, "hessians": 1.0, "setup_bytes_up": 70.5},
        {"round": 1, "f": None, "gap": 1e-3, "gradient_norm": 1e-3, "step": 2.0, "bytes_up": 80.0, "bytes_down": 9.0,
         "formula_bits_up": 640.0, "formula_bits_down": 0.0, "hessians": 2.0, "seconds": 0.1, "levels_up": [3, 1]},
    ]  # fmt: skip
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _checkpoint() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        nf.Checkpoint(folder).write(**KEPT)
        return (Path(folder) / NEWEST).read_bytes()


KEPT: dict[str, Any] = {
    "arrays": {"values of clients": np.arange(700.0), "x0": np.ones(5), "up": np.arange(4), "step": np.zeros((2, 0))},
    "values": {"round": 3, "history": ["{}"]},
}

TOML = b"""title = "Phishing"
[data]
source = "libsvm:phishing"   # a known set
scale = "maxabs"
classes = [0, 1]
[objective]
loss = "logistic"
l2 = 1e-3
intercept = true
[clients]
count = 10
split = "dirichlet:0.5"
seed = 3
[reference]
f_star = 0.25
[method]
name = "newton-3pc"
k = 3
"""

_X, _Y = np.arange(1.0, 13).reshape(4, 3), np.array([1, 0, 1, 0])
_CSR = {"data": np.array([1.5, 2, -3]), "indices": np.array([0, 7, 7], np.int32), "indptr": np.array([0, 1, 1, 2, 3])}

SEEDS = [
    Seed("csv", _table("site,age,dose,y\n", "s#,##,0.#,#", 12), {"label": "y", "group": "site"}),
    Seed("csv", _table("", "##.#,-#,#e2,#", 12), {}),
    Seed("csv", _table("age,dose,y\n", '"##",-.#,"no"', 6), {"label": "y"}),
    Seed("csv", _table("a;b;y\n", "##;.#;#", 9).replace(b";.4", b";NA"), {"separator": ";", "missing": "mean"}),
    Seed("csv", _table("a,b,y\n", "##,w#,#", 9), {"categorical": ("b",), "label": "y"}),
    Seed("csv", _table("site,age,dose,y\n", "s#,##,0.#,#", 9000), {"label": "y", "group": "site"}),
    Seed("libsvm", _libsvm(12), {}),
    Seed("libsvm", b"# one\n1 qid:3 1: .5 3:-2e-1 # two\n-1\t2:4\n\n+1 1:1 2:2 3:3 \n", {}),
    Seed("libsvm", b"0 0:1 5:2\n1 1:.25\n1 2:3 3:4\n", {"zero_based": True}),
    Seed("libsvm", _libsvm(5000), {}),
    Seed("npz", _npz(X=_X, y=_Y, who=["b", "a", "b", "c"], feature_names=["u", "v", "w"]), {"group": "who"}),
    Seed("npz", _npz(X=np.asfortranarray(_X, ">f4"), y=np.array(["no", "yes", "no", "no"]), who=_Y), {"group": "who"}),
    Seed("npz", _npz(**_CSR, shape=(4, 8), format=b"csr", y=_Y.astype("f2")), {}),
    Seed("npz", _npz(X=np.ones((5000, 8)), y=np.ones(5000)), {}),
    Seed("toml", TOML, {}),
    Seed("toml", b'problem = "a.py"\n[arguments]\nn = 3\n', {}),
    Seed("trace", b"0 3 11 # monday\n\n7\n0 1 2 3 4 5\n", {}),
    Seed("history", _history(), {}),
    Seed("start", _npy(np.linspace(-1.0, 1.0, 5)), {}),
    Seed("start", _npy(np.arange(5, dtype=">i4")), {}),
    Seed("checkpoint", _checkpoint(), KEPT),
]
LARGE = 1 << 16  # bytes; what is larger is drawn seldom

# --- changes

Draw = np.random.Generator
WORDS = (
    b"", b" ", b"nan", b"NA", b"inf", b"1e999", b"1e-400", b"1_0", b"0x10", b"-0", b"+.5e1", b"5.", b"1e5", b"'", b'"',
    b"99999999999999999999", b"2147483647", b"2147483648", b"0", b"-1", b"1:2", b"1:", b":1", b"qid:2", b"qid:x", b"\t",
    b"#", b"1,2", b"\xd9\xa3", b"\xc2\xa0", b"\xe9", b"\0", b"\r", b"\x0c", b"\n", b"\r\n", b"x", b"true", b"[", b"=",
    b"[[1]]", b"{a = 1}", b"2020-01-01", b"9" * 4400, b"0" * 4400 + b"1", b'"a"', b"\\u0000", b"\xef\xbb\xbf", b";",
)  # fmt: skip


def _bytes(content: bytes, draw: Draw) -> bytes:
    """One byte or a run of them flipped, put in, taken out or doubled; or the file cut."""
    at, length = int(draw.integers(len(content) + 1)), int(draw.integers(1, 9))
    before, run, after = content[:at], content[at : at + length], content[at + length :]
    match draw.integers(6):
        case 0:
            return before + bytes([run[0] ^ 1 << draw.integers(8)]) + content[at + 1 :] if run else before
        case 1:
            return before + draw.bytes(length) + run + after
        case 2:
            return before + after
        case 3:
            return before + run + run + after
        case 4:
            return before
        case _:
            return before + bytes([draw.integers(256)]) * len(run) + after


def _lines(content: bytes, draw: Draw) -> bytes:
    """Two lines swapped, one doubled or one taken out."""
    lines = content.split(b"\n")
    i, j = (int(k) for k in draw.integers(len(lines), size=2))
    match draw.integers(3):
        case 0:
            lines[i], lines[j] = lines[j], lines[i]
        case 1:
            lines.insert(i, lines[j])
        case _:
            del lines[i]
    return b"\n".join(lines)


def _cell(content: bytes, draw: Draw) -> bytes:
    """A word put in the place of another, or beside it."""
    ends = [-1, *(at for at, sign in enumerate(content[:LARGE]) if sign in b",;: \t\n=[]")]
    k = int(draw.integers(len(ends)))
    at, until = ends[k] + 1, ends[k + 1] if k + 1 < len(ends) else len(content)
    until = at if draw.integers(4) == 0 else until
    return content[:at] + WORDS[draw.integers(len(WORDS))] + content[until:]


def _encoding(content: bytes, draw: Draw) -> bytes:
    """Another encoding, or other line ends."""
    words = content.decode("latin-1")
    codes = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-8")
    ends = ("\r\n", "\r", "\r\r\n", "\n\n", "\n\r", " \n", "\x85", "\u2028")
    choice = int(draw.integers(len(codes) + len(ends)))
    if choice < len(codes):
        return words.encode(codes[choice])
    return words.replace("\n", ends[choice - len(codes)], -1 if draw.integers(2) else 2).encode()


def _packed(content: bytes, draw: Draw) -> bytes:
    """An archive, or several that follow each other."""
    pack: Callable[[bytes], bytes] = (
        gzip.compress, lambda raw: bz2.compress(raw, 1), lambda raw: lzma.compress(raw, preset=0),
    )[draw.integers(3)]  # fmt: skip
    at = int(draw.integers(len(content) + 1)) if draw.integers(3) == 0 else 0
    return pack(content[:at]) * bool(at) + pack(content[at:])


def _entries(content: bytes, draw: Draw) -> bytes:
    """An npz file's arrays changed in a zip archive that is sound."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    i, j = (int(k) for k in draw.integers(len(entries), size=2))
    name, array = entries[i]
    match draw.integers(6):
        case 0:
            entries[i] = name, _bytes(array, draw)
        case 1:  # the header
            entries[i] = name, _bytes(array[:128], draw) + array[128:]
        case 2:
            digits = [at for at, sign in enumerate(array[:128]) if sign in b"123456789<>fiuU8"]
            at = int(draw.choice(digits))
            entries[i] = name, array[:at] + bytes([draw.choice(list(b"0123456789<>|fiubcUSOMm-"))]) + array[at + 1 :]
        case 3:
            entries[i], entries[j] = (name, entries[j][1]), (entries[j][0], array)
        case 4:
            new = (name, f"deep/{name}", name.upper(), name.removesuffix(".npy"))[draw.integers(4)]
            entries.insert(j, (new, array))
        case _:
            del entries[i]
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", (0, 8, 8, 12)[draw.integers(4)]) as archive:
        warnings.simplefilter("ignore")  # of two entries of a name
        for name, array in entries:
            archive.writestr(name, array)
    return stream.getvalue()


def mutated(seed: Seed, draw: Draw) -> tuple[bytes, int]:
    """The content of `seed`, changed; and the bytes that an honest reader may have to hold."""
    content, size = seed.content, len(seed.content)
    if seed.kind in ("npz", "checkpoint"):
        content = _entries(content, draw) if draw.integers(4) else content
        if draw.integers(3) == 0:
            content = _bytes(content, draw)
    else:
        for _ in range(draw.integers(4)):
            content = (_bytes, _bytes, _cell, _cell, _cell, _lines, _encoding)[draw.integers(7)](content, draw)
        size = max(size, len(content))
        if draw.integers(3) == 0:
            content = _packed(content, draw)
            if draw.integers(2):
                content = _bytes(content, draw)
    return content, max(size, len(content))


# --- what comes of them


def _read_history(path: Path, options: Any) -> nf.History:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f"{path}: its last line is torn", RuntimeWarning)
        return nf.History.read(path)


def _read_data(path: Path, options: Any) -> Any:
    return sources.read(f"{path.suffix[1:]}:./{path.name}", folder=path.parent, **options)


READERS: dict[str, Callable[[Path, Any], Any]] = {
    **dict.fromkeys(("csv", "libsvm", "npz"), _read_data),
    "toml": lambda path, options: problem_reader.read(path),
    "trace": lambda path, options: nf.Trace.read(str(path)),
    "history": _read_history,
    "start": lambda path, options: Start.read(path.name, path.parent, 5, reads=True).values,
    "checkpoint": lambda path, options: nf.Checkpoint(path.parent).read(),
}
ENDING = {"start": "npy"}


def outcome(seed: Seed, content: bytes, size: int, folder: Path) -> tuple[str, str]:
    """What comes of a file of that content: "read", "refused" or "fault", and what the fault is."""
    path = folder / (NEWEST if seed.kind == "checkpoint" else f"mutated.{ENDING.get(seed.kind, seed.kind)}")
    path.write_bytes(content)
    found, fault = None, ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tracemalloc.start()
        try:
            found = READERS[seed.kind](path, seed.options)
        except ValueError as error:
            fault = "" if path.name in str(error) else f"no file's name in: {error}"
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if peak > TIMES * size + FLOOR:
        fault = fault or f"{peak} bytes of memory for {size}"
    if caught:
        fault = fault or f"a warning: {caught[0].message}"
    if found is not None and not fault:
        try:
            fault = PLAIN[seed.kind](path, found, seed.options)
        except Refused as error:
            fault = f"read, which a plain reader refuses: {error}"
    return "fault" if fault else "refused" if found is None else "read", fault


def drawn(number: int, folder: Path) -> tuple[str, str, str]:
    """The format of file `number`, and what comes of it."""
    draw = np.random.default_rng([20261127, number])
    large = draw.integers(40) == 0
    seeds = [seed for seed in SEEDS if (len(seed.content) > LARGE) == large]
    seed = seeds[draw.integers(len(seeds))]
    return seed.kind, *outcome(seed, *mutated(seed, draw), folder)


def main(count: int, first: int = 0) -> int:
    """Make that many files, print what came of them, and return how many faults there are."""
    counts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:  # what is imported for the first time is not counted below
            outcome(seed, seed.content, len(seed.content), Path(folder))
        for number in range(first, first + count):
            kind, what, fault = drawn(number, Path(folder))
            counts[kind, what] += 1
            if fault:
                print(f"{number} ({kind}): {fault[:300]}", flush=True)
    print(f"{'':10}{'read':>8}{'refused':>9}{'fault':>7}")
    for kind in READERS:
        print(f"{kind:10}{counts[kind, 'read']:8}{counts[kind, 'refused']:9}{counts[kind, 'fault']:7}")
    return sum(number for (_, what), number in counts.items() if what == "fault")


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
