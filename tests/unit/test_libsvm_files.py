"""LIBSVM files as they are found: blanks, line ends, marks, queries, indices from zero, stray indices, packed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tracemalloc

import numpy as np
import pytest
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from newtonfl.datasets import libsvm_reader, sources
from newtonfl.datasets.libsvm_reader import read_libsvm

ROWS, LABELS = [[2, 0, -4], [0, 0.5, 0]], [1, -1]


def put(folder, content):
    path = folder / "f"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder, content, features=None, **options):
    rows, labels = read_libsvm(put(folder, content), features, **options)
    return rows.toarray().tolist(), labels.tolist()


@pytest.mark.parametrize(
    "content",
    [
        "1 1:2 3:-4\n-1 2:.5",
        "\ufeff+1 1:2 3:-4\n-1 2:.5\n",
        "1 1: 2 3:\t-4\n-1 2: \t .5\n",  # LIBSVM's own set protein has blanks after its colons
        "\n  1\t1:2 \t 3:-4  \n\n \t\n-1 2:5e-1\t\n\n",
        "# 7 1:1\n1 1:2 3:-4 # 5:6\n-1 2:.5# qid:x 1_0:3: \n#\n",
        "1 1:2 3:-4\r\n-1 2:.5\r\n",
        "1 1:2 3:-4\r\r\n\r\n-1 2:.5\r\n",
        "# one\r1 1:2 3:-4\r-1 2:.5\r",
        "1 qid:3 1:2 3:-4\n-1 qid: 4 2:.5\n",
        "1 +1:2 003:-4\n-1 2:+0.5\n",
        "1 " + "0" * 200 + "1:2 3:-4.\n-1 2:+0.5\n",
        b"1 1:2 3:-4 # caf\xe9\n-1 2:.5 # \0\n",
    ],
)
def test_what_is_read(tmp_path, content):
    assert read(tmp_path, content) == (ROWS, LABELS)


def test_a_label_alone_is_a_row_of_zeros(tmp_path):
    assert read(tmp_path, "3\n4 qid:1\n5 2:1\n") == ([[0, 0], [0, 0], [0, 1]], [3, 4, 5])


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1,2 1:2", "the label '1,2' is not a finite number; a row has one label"),
        ("1:2 3:4", "the label '1:2' is not"),
        ("0x1 1:2", "the label '0x1' is not"),
        ("1_0 1:2", "the label '1_0' is not"),
        ("1 1:0x1", "the value '0x1' of index 1"),
        ("1 1:2:3", "the value '2:3' of index 1"),
        ("1 1: # 3:4", "'1:' is not INDEX:VALUE"),
        ("1 1: 2:3", "the value '2:3' of index 1"),
        ("1 1 :2", "'1' is not INDEX:VALUE"),
        ("1 :2 3:4", "the index '' is not a whole number"),
        ("1 1:1e999", "the value '1e999' of index 1 is not a finite number"),
        ("-1e999 1:1", "the label '-1e999' is not a finite number"),
        ("1 1_0:2", "the index '1_0' is not a whole number from 1"),
        ("1 -1:2", "the index '-1' is not a whole number from 1"),
        ("1 2.0:2", "the index '2.0' is not"),
        ("1 0:2", r"the index '0' is below 1: zero_based = true under \[data\]"),
        ("1 2147483648:2", "the index '2147483648' is not a whole number from 1 to 2147483647"),
        ("1 " + "0" * 5000 + "2147483648:2", "the index '0+…' is not a whole number"),
        ("1 " + "0" * 4300 + "1:2", "the index '0+…' is not a whole number"),
        ("1 3e0:2", "the index '3e0' is not"),
        ("1 3:2 2:2", "index 2 comes after 3; indices must ascend"),
        ("1 qid:x 1:2", "'qid:x' is no query"),
        ("1 qid3:1 1:2", "'qid3:1' is no query"),
        ("1 1:2 qid:3", "the index 'qid' is not"),
        ("1 1:2 3:-4\f", r"the value '-4\\x0c' of index 3"),
        ("\v1 1:2", r"the label '\\x0b1' is not"),
        ("1 1:2\f3:4", r"the value '2\\x0c3:4' of index 1"),
        ("1\v1:2", r"the label '1\\x0b1:2' is not"),
        ("1 1:\f2", r"the value '\\x0c2' of index 1"),
        ("1 1:1-2 3:e", "the value '1-2' of index 1"),
        ("1 1:2- 3:4", "the value '2-' of index 1"),
        (b"1 1:\xd9\xa3", "the value '٣' of index 1"),
        (b"1 1:2\xa0", "the value '2\ufffd' of index 1"),
        (b"1 1:2\0", r"the value '2\\x00' of index 1"),
        ("1 1:2 \r 3:4", "a carriage return inside the line"),
        ("1 1:2 # a comment\r1 3:4", "a carriage return inside the line"),
    ],
)
def test_what_is_refused_by_line_and_word(tmp_path, line, fault):
    line = line.encode() if isinstance(line, str) else line
    for end in (b"\n", b"\r\n"):
        path = put(tmp_path, end.join([b"# a comment: one", b"1 1: 1", b"", line, b"1 1:1", b""]))
        with pytest.raises(ValueError, match=f"f, line 4: {fault}"):
            read_libsvm(path, None)


@pytest.mark.parametrize("content", ["", "\n \n", "# 1 1:2\n", "\ufeff"])
def test_no_rows(tmp_path, content):
    with pytest.raises(ValueError, match="f: no rows"):
        read_libsvm(put(tmp_path, content), None)


@pytest.mark.parametrize("size", [1, 64, 1000, 1 << 14])
def test_pieces_of_any_size_have_the_numbers_of_scikit_learns_reader(tmp_path, monkeypatch, size):
    monkeypatch.setattr(libsvm_reader, "_PIECE", size)
    draw = np.random.default_rng(8)
    rows = draw.normal(size=(300, 30)) * 10.0 ** draw.integers(-320, 300, (300, 30)) * (draw.random((300, 30)) < 0.3)
    rows[7:9] = 0
    content = io.BytesIO()
    dump_svmlight_file(rows, draw.normal(size=300), content, zero_based=False, comment="thirty columns")
    theirs, their_labels = load_svmlight_file(io.BytesIO(content.getvalue()), zero_based=False)
    written = content.getvalue().replace(b"\n", b" # 1:1\n", 40).replace(b"# Column", b"\n\n# Column")
    ours, labels = read_libsvm(put(tmp_path, written.rstrip(b"\n")), None)
    for part, dtype in (("data", np.float64), ("indices", np.int32), ("indptr", np.int32)):
        np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part).astype(dtype), strict=True)
    np.testing.assert_array_equal(labels, their_labels, strict=True)
    path, number = put(tmp_path, written + b"1 1:2 x\n"), len(written.splitlines()) + 1
    with pytest.raises(ValueError, match=f"f, line {number}: 'x' is not INDEX:VALUE"):
        read_libsvm(path, None)


def test_usual_lines_are_not_walked(tmp_path, monkeypatch):
    monkeypatch.setattr(libsvm_reader, "walked", None)
    assert read(tmp_path, "# all\n1\t1:2 3: -4 #\r\n\n-1 qid:3 2:5e-1 \n") == (ROWS, LABELS)
    assert read(tmp_path, "1 0:2 2:-4\n-1 1:.5\n", zero_based=True) == (ROWS, LABELS)


def test_indices_from_zero(tmp_path):
    content = "1 0:2 2:-4\n-1 1:.5\n"
    assert read(tmp_path, content, zero_based=True) == (ROWS, LABELS)
    # -0 is 0 to every reader; a query has the lines walked.
    assert read(tmp_path, "1 qid:1 -0:2 2:-4 # qid\n-1 +1:.5\n", zero_based=True) == (ROWS, LABELS)
    with pytest.raises(ValueError, match="line 1: the index '-0' is below 1"):
        read(tmp_path, "1 -0:2\n")
    theirs = load_svmlight_file(io.BytesIO(content.encode()), zero_based=True)
    assert theirs[0].toarray().tolist() == ROWS
    assert read(tmp_path, content, 4, zero_based=True)[0] == [[*row, 0] for row in ROWS]
    with pytest.raises(ValueError, match=r"f: features = 2, but the largest index is 2 \(counted from 0\)"):
        read(tmp_path, content, 2, zero_based=True)
    with pytest.raises(ValueError, match="line 1: the index '-1' is not a whole number from 0"):
        read(tmp_path, "1 -1:2\n", zero_based=True)
    with pytest.raises(ValueError, match="line 1: index 0 comes after 0"):
        read(tmp_path, "1 0:2 0:3\n", zero_based=True)


@pytest.mark.parametrize(("zero_based", "shown"), [(False, "20000000"), (True, r"19999999 \(counted from 0\)")])
def test_a_stray_index_is_refused_unless_so_many_columns_are_meant(tmp_path, zero_based, shown):
    stray = 20_000_000 - zero_based
    path = put(tmp_path, f"# one\n1\n\n-1 1:3\n1 1:2 {stray}:1 # here\n-1 2:1\n")
    with pytest.raises(ValueError, match=f"f, line 5: index {shown} would make 20000000 columns for 4 entries; feat"):
        read_libsvm(path, None, zero_based)
    with pytest.raises(ValueError, match="f, line 3: index 20000000"):  # the first of its row
        read_libsvm(put(tmp_path, "1 1:1\n1\n1 20000000:1\n1 1:1\n"), None)
    path = put(tmp_path, f"-1 1:3\n1 1:2 {stray}:1\n1\n-1 2:1\n")
    rows, _ = read_libsvm(path, 20_000_000, zero_based)
    assert rows.shape == (4, 20_000_000) and rows.nnz == 4
    assert read_libsvm(put(tmp_path, "1 1:2 10000000:1\n"), None)[0].shape == (1, 10_000_000)


def test_many_columns_are_read_where_there_are_entries_for_them(tmp_path):
    pairs = " ".join(f"{10 * place}:1" for place in range(1, 1_000_002))
    assert read_libsvm(put(tmp_path, f"1 {pairs}\n"), None)[0].shape == (1, 10_000_010)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["f", "f.gz", "f.bz2"])
def test_packed_files_are_read_whatever_their_suffix(tmp_path, pack, name):
    content = io.BytesIO()
    rows = np.random.default_rng(3).normal(size=(30, 4)).round(3)
    labels = np.arange(30) % 2
    dump_svmlight_file(rows, labels, content, zero_based=False)
    (tmp_path / name).write_bytes(pack(content.getvalue()))
    table = sources.read(f"libsvm:./{name}", folder=tmp_path)
    np.testing.assert_array_equal(table.rows, rows)
    np.testing.assert_array_equal(table.labels, labels)
    (tmp_path / name).write_bytes(pack(content.getvalue())[:-9])
    with pytest.raises(ValueError, match=f"{name}: the .* archive is cut or damaged"):
        sources.read(f"libsvm:./{name}", folder=tmp_path)


def test_memory_stays_in_proportion_to_the_file_when_a_line_is_bad(tmp_path):
    path = put(tmp_path, b"10\n" * 30_000 + b"1 1:2 x\n")
    tracemalloc.start()
    with pytest.raises(ValueError, match="line 30001: 'x' is not INDEX:VALUE"):
        read_libsvm(path, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * path.stat().st_size
