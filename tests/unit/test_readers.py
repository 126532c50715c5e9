"""Reading: what is right is read exactly, what is wrong is named with its file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from newtonfl.datasets import sources

CSV = "site,age,y,dose\nB,1,0,0.5\nA,2,1,1.5\nB,3,1,2.5\n"


def put(folder: Path, name: str, content: str | bytes) -> str:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


# --- LIBSVM


def test_libsvm_rows_become_dense_where_half_is_nonzero_and_stay_sparse_else(tmp_path):
    put(tmp_path, "half", "1 1:2 3:4\n-1 2:-1e1 # a comment\n\n")
    dense = sources.read("libsvm:half", folder=tmp_path)
    assert isinstance(dense.rows, np.ndarray) and dense.rows.flags.c_contiguous
    np.testing.assert_array_equal(dense.rows, [[2, 0, 4], [0, -10, 0]])
    np.testing.assert_array_equal(dense.labels, [1, -1])
    rows = sources.read("libsvm:half", folder=tmp_path, features=7).rows
    assert isinstance(rows, sparse.csr_array) and rows.shape == (2, 7) and rows.dtype == np.float64
    put(tmp_path, "zeros", "1 1:0 2:5 9:0\n")
    rows = sources.read("libsvm:zeros", folder=tmp_path).rows
    assert rows.shape == (1, 9) and rows.nnz == 1 and rows.has_sorted_indices


@pytest.mark.parametrize(
    "line, fault",
    [
        ("1 1:2 3", "cut short"),
        ("1 1:2 3:", "cut short"),
        ("1 1:2 3:nan", "'nan' of index 3"),
        ("1 1:2 3:-inf", "'-inf' of index 3"),
        ("1 1:2 3:1e999", "'1e999' of index 3"),
        ("1 1:2 3:1_0", "'1_0' of index 3"),  # Python's float takes it
        ("nan 1:2", "label 'nan'"),
        ("a 1:2", "label 'a'"),
        ("1,2 1:2", "label '1,2'"),
        ("1 0:2", "index '0'"),
        ("1 99999999999:2", "index '99999999999'"),
        ("1 2:1 2:3", "index 2 comes after 2"),
        ("1 x:2", "index 'x'"),
        (b"1 1:2\xff", "value"),
    ],
)
def test_a_bad_libsvm_line_is_named(tmp_path, line, fault):
    line = line if isinstance(line, bytes) else line.encode()
    put(tmp_path, "bad", b"# first\n-1 1:1 2:1\n\n" + line + b"\n1 1:1\n")
    with pytest.raises(ValueError, match=f"bad, line 4: .*{fault}"):
        sources.read("libsvm:bad", folder=tmp_path)


def test_libsvm_features_smaller_than_an_index_and_empty_files(tmp_path):
    put(tmp_path, "f", "1 1:2 9:1\n")
    with pytest.raises(ValueError, match="features = 8, but the largest index is 9"):
        sources.read("libsvm:f", folder=tmp_path, features=8)
    put(tmp_path, "empty", "")
    with pytest.raises(ValueError, match="empty: no rows"):
        sources.read("libsvm:empty", folder=tmp_path)


# --- CSV


def test_csv_by_name_by_number_and_with_a_text_group(tmp_path):
    put(tmp_path, "c.csv", CSV)
    table = sources.read("csv:c.csv", folder=tmp_path, label="y", group="site")
    np.testing.assert_array_equal(table.rows, [[1, 0.5], [2, 1.5], [3, 2.5]])
    np.testing.assert_array_equal(table.labels, [0, 1, 1])
    np.testing.assert_array_equal(table.groups, [1, 0, 1])
    put(tmp_path, "plain.csv", "\ufeff1,2,10\n3,4,9\n")
    table = sources.read("csv:plain.csv", folder=tmp_path)
    np.testing.assert_array_equal(table.rows, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(table.labels, [10, 9])
    table = sources.read("csv:plain.csv", folder=tmp_path, label=0, group="2")
    np.testing.assert_array_equal(table.rows, [[2], [4]])
    np.testing.assert_array_equal(table.groups, [1, 0])  # 9 before 10: by number, not by text


@pytest.mark.parametrize(
    "text, options, fault",
    [
        ("a,b\n1,2\n1,nan\n", {}, "line 3, column b: 'nan'"),
        ("a,b\n1,2\n1,\n", {}, "line 3, column b: ''"),
        ("a,b\n1,2\n1,x\n", {}, "line 3, column b: 'x'"),
        ("a,b\n1,2\n\n1\n", {}, "line 4: 1 columns, where the first line has 2"),
        ("s,b,y\nA,2,1\nA,1\n", {"group": "s"}, "line 3: 2 columns, where the first line has 3"),
        ("1,x,2\n1,2,3\n", {}, "line 1: 'x'"),  # neither a header nor a row, and must not vanish
        ("a,b\n", {}, "no rows"),
        ("", {}, "no rows"),
        ("1;2\n", {}, "not a finite number|feature"),
        ("a,b\n1,2\n", {"label": "bb"}, "label: given 'bb'.*did you mean 'b'"),
        ("1,2\n1,2\n", {"label": "b"}, "label: given 'b'.*no header line"),
        ("1,2\n1,2\n", {"label": 2}, "label: given 2.*from 0 to 1"),
        ("a,b\n1,2\n", {"features": 3}, "features = 3, but there are 1 "),
        (b"a,b\n\xff,2\n", {}, "not UTF-8"),
    ],
)
def test_a_bad_csv_file_is_named(tmp_path, text, options, fault):
    put(tmp_path, "c.csv", text)
    with pytest.raises(ValueError, match=f"c.csv.*({fault})"):
        sources.read("csv:c.csv", folder=tmp_path, **options)


# --- npz


def test_npz_dense_and_sparse(tmp_path):
    dense = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "d.npz", X=dense.astype(np.int32), y=[1, 0, 1], groups=["b", "a", "b"])
    table = sources.read("npz:d.npz", folder=tmp_path, group="groups")
    np.testing.assert_array_equal(table.rows, dense)
    np.testing.assert_array_equal(table.groups, [1, 0, 1])
    assert table.rows.dtype == table.labels.dtype == np.float64
    rows = sparse.random_array((9, 20), density=0.1, format="csr", rng=0)
    parts = {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr, "shape": rows.shape, "y": np.ones(9)}
    np.savez(tmp_path / "s.npz", **parts, format=b"csr")
    found = sources.read("npz:s.npz", folder=tmp_path).rows
    assert isinstance(found, sparse.csr_array)
    np.testing.assert_array_equal(found.toarray(), rows.toarray())
    np.savez(tmp_path / "s.npz", **parts, format=b"csc")
    with pytest.raises(ValueError, match=r"s.npz.*csc.*must be csr"):
        sources.read("npz:s.npz", folder=tmp_path)
    np.savez(tmp_path / "s.npz", **{**parts, "indices": rows.indices + 20})
    with pytest.raises(ValueError, match=r"s.npz: the CSR parts do not fit together"):
        sources.read("npz:s.npz", folder=tmp_path)


@pytest.mark.parametrize(
    "arrays, fault",
    [
        ({"X": np.ones((3, 2))}, "needs labels y.*the file holds X"),
        ({"X": np.ones((3, 2)), "y": np.ones(2)}, "3 rows with 2 columns, and 2 labels"),
        ({"X": np.array([[1.0], [np.inf]]), "y": np.ones(2)}, r"X\[1\] holds NaN or infinity"),
        ({"X": np.ones((2, 1)), "y": np.array([1, np.nan])}, r"y\[1\] holds NaN or infinity"),
        ({"X": np.ones((2, 1), dtype=complex), "y": np.ones(2)}, "real numbers"),
        ({"X": np.array([[1], [None]]), "y": np.ones(2)}, "Python objects"),
    ],
)
def test_a_bad_npz_file_is_named(tmp_path, arrays, fault):
    np.savez(tmp_path / "n.npz", **arrays)
    with pytest.raises(ValueError, match=f"n.npz: .*{fault}"):
        sources.read("npz:n.npz", folder=tmp_path)


def test_a_damaged_npz_file_is_named(tmp_path):
    np.savez(tmp_path / "n.npz", X=np.ones((30, 2)), y=np.ones(30))
    whole = (tmp_path / "n.npz").read_bytes()
    for content in (whole[:200], b"", b"text", whole[:200] + bytes([whole[200] ^ 1]) + whole[201:]):
        put(tmp_path, "n.npz", content)
        with pytest.raises(ValueError, match=r"n.npz: "):
            sources.read("npz:n.npz", folder=tmp_path)
