"""Reading: what is right is read exactly, what is wrong is named with its file and line."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from newtonfl.datasets import sources
from newtonfl.datasets.npz_reader import read_npz

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
        ({"X": np.ones((2, 1)), "y": np.array([1, 2**53 + 1])}, r"y holds a whole number beyond 2\*\*53"),
        ({"X": np.array([[1], [-(2**60)]]), "y": np.ones(2)}, r"X holds a whole number beyond 2\*\*53"),
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
    for content in (whole[:200], b"", b"text", b"text" + whole, whole[:200] + bytes([whole[200] ^ 1]) + whole[201:]):
        put(tmp_path, "n.npz", content)
        with pytest.raises(ValueError, match=r"n.npz: "):
            sources.read("npz:n.npz", folder=tmp_path)


X, Y = np.arange(6.0).reshape(3, 2), np.array([1.0, 0, 1])
ROWS = sparse.random_array((4, 9), density=0.3, format="csr", rng=0)
CSR = {"data": ROWS.data, "indices": ROWS.indices, "indptr": ROWS.indptr, "shape": ROWS.shape, "y": np.ones(4)}
CSR |= {"format": b"csr"}


@pytest.mark.parametrize("kind", [">f8", "<f4", ">i2", "u1", "f2", "longdouble", "?"])
@pytest.mark.parametrize("order", "CF")
def test_npz_of_any_kind_of_real_number_and_either_order(tmp_path, kind, order):
    rows = np.asarray(X % 2 if kind == "?" else X, dtype=kind, order=order)
    np.savez_compressed(tmp_path / "n.npz", X=rows, y=Y.astype(kind))
    table = sources.read("npz:n.npz", folder=tmp_path)
    np.testing.assert_array_equal(table.rows, X % 2 if kind == "?" else X)
    np.testing.assert_array_equal(table.labels, Y)
    assert table.rows.dtype == table.labels.dtype == np.float64 and table.rows.flags.c_contiguous


def test_npz_labels_and_names_may_be_strings(tmp_path):
    labels, names = ["no", "yes", "nö"], ("age", "dose")
    unread = {"more": np.array([None]), "deep/X": X}
    np.savez(tmp_path / "n.npz", X=X, y=labels, feature_names=names, who=["b", "a", "b"], **unread)
    content = read_npz(tmp_path / "n.npz", "who")
    assert (content.labels.tolist(), content.column_names, content.groups.tolist()) == (labels, names, ["b", "a", "b"])
    plain = read_npz(tmp_path / "n.npz", None)
    assert plain.groups is None and plain.rows.tolist() == X.tolist()
    np.savez(tmp_path / "n.npz", X=X, y=Y)
    assert read_npz(tmp_path / "n.npz", None).column_names is None


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([7, -1, 7], [7, -1, 7]),
        ([7.0, -0.0, 2.0**52], [7, 0, 2**52]),
        (np.array([2**64 - 1, 0, 1], np.uint64), [2**64 - 1, 0, 1]),
        ([True, False, True], [True, False, True]),
        ([1, np.nan, 2], r"ids\[1\] is nan; client ids are names: whole numbers or strings"),
        ([1, 2, np.inf], r"ids\[2\] is inf"),
        ([1, 2.5, 3], r"ids\[1\] is 2.5"),
        ([1, 2, 2.0**53], r"ids\[2\] is 9007199254740992.0"),  # beyond which floats skip whole numbers
        (np.array([b"a", b"b", b"c"]), r"ids is of \|S1; client ids are names"),
        (np.array([1, 2, 3], "M8[D]"), r"ids is of datetime64\[D\]"),
        (np.array([[1], [2], [3]]), r"'ids'; its shape is \(3, 1\), and there are 3 rows"),
        (np.array(["a", 1, None]), "'ids' cannot be read: it holds Python objects"),
    ],
)
def test_npz_client_ids(tmp_path, ids, found):
    np.savez(tmp_path / "n.npz", X=X, y=Y, ids=ids)
    if isinstance(found, list):
        groups = read_npz(tmp_path / "n.npz", "ids").groups
        assert groups.tolist() == found and groups.dtype.kind in "iub"
    else:
        with pytest.raises(ValueError, match=f"n.npz: .*{found}"):
            read_npz(tmp_path / "n.npz", "ids")


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"X": X, "y": Y[:, None]}, r"y must be 1-D, one label a row; its shape is \(3, 1\), and y.ravel"),
        ({"X": X, "y": np.ones((3, 2))}, "y must be 1-D and of real numbers; it is 2-D"),
        ({"X": X, "y": Y.astype("M8[D]")}, r"y must be .*datetime64"),
        ({"X": X, "y": Y.astype(object)}, "'y' cannot be read: it holds Python objects"),
        ({"X": X, "y": np.array(["a", "b", "\ud800"])}, "y holds a string that is damaged"),
        ({"X": X, "y": np.array([97, 98, 2**31], np.uint32).view("U1")}, "y holds a string that is damaged"),
        ({"X": X.astype(str), "y": Y}, "X must be 2-D and of real numbers; it is 2-D of <U"),
        ({"X": X[:0], "y": Y[:0]}, "0 rows with 2 columns, and 0 labels"),
        ({"X": X[:, :0], "y": Y}, "3 rows with 0 columns"),
        ({"X": np.array([[1, 1], [1, 1], [1, np.longdouble("1e4000")]]), "y": Y}, r"X\[2\] holds NaN or infinity"),
        ({"X": X, "y": Y, "feature_names": ["a"]}, "feature_names must be 2 different strings, .*it has 1"),
        ({"X": X, "y": Y, "feature_names": ["a", "a"]}, "of which 1 are different"),
        ({"X": X, "y": Y, "feature_names": [1, 2]}, "feature_names must be 1-D and of strings"),
        ({**CSR, "X": X}, "rows X or their CSR parts, not both"),
        ({**CSR, "shape": (4, 10**12)}, "shape must be rows and columns, at most 2147483647; it is .4, 1000000000000"),
        ({**CSR, "shape": (4, 9, 1)}, "shape must be rows and columns"),
        ({**CSR, "shape": (-4, 9)}, "shape must be rows and columns"),
        ({**CSR, "shape": (4.0, 9.0)}, "shape must be 1-D and of whole numbers"),
        ({**CSR, "shape": (10**15, 9)}, "fit together .indptr must be 1000000000000001 numbers"),
        ({**CSR, "shape": (4, 3)}, r"fit together .indices\[\d\] is \d, which is no column of 3"),
        ({**CSR, "indptr": ROWS.indptr.astype(float)}, "indptr must be 1-D and of whole numbers"),
        ({**CSR, "indptr": ROWS.indptr[::-1]}, "do not fit together"),
        ({**CSR, "indptr": [0, 5, 2, 6, ROWS.nnz]}, "do not fit together"),
        ({**CSR, "indptr": [0, 2**63 - 1, -2, 4, 5]}, "fit together .indptr must be 5 numbers from 0 to"),
        (
            {**CSR, "indptr": np.array([0, 2**64 - 1, 2, 4, 5], np.uint64)},
            "fit together .indptr must be 5 numbers from",
        ),
        ({**CSR, "indices": ROWS.indices - 1}, r"fit together .indices\[\d+\] is -1"),
        ({**CSR, "indices": ROWS.indices.astype(np.uint64) + 2**63}, "fit together .indices.0. is 9223372036"),
        ({**CSR, "indices": ROWS.indices[1:]}, "do not fit together"),
        ({**CSR, "data": ROWS.data[1:]}, "do not fit together"),
        ({**CSR, "data": ROWS.data * 1j}, "data must be 1-D and of real numbers"),
        ({**CSR, "data": np.where(ROWS.data > 0.5, np.nan, ROWS.data)}, r"data\[\d+\] holds NaN"),
    ],
)
def test_what_an_npz_file_may_not_hold(tmp_path, arrays, fault):
    np.savez(tmp_path / "n.npz", **arrays)
    with pytest.raises(ValueError, match=f"n.npz: .*{fault}"):
        read_npz(tmp_path / "n.npz", None)


def entry(array, **changes) -> bytes:
    """A .npy file, with some words of its header changed."""
    stream = io.BytesIO()
    np.save(stream, array)
    content = stream.getvalue()
    for old, new in changes.values():
        assert old in content and len(old) == len(new)
        content = content.replace(old, new)
    return content


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (entry(X, a=(b"(3, 2)", b"(3, 4)")), "'X' is damaged .its header states 224 bytes, and there are 176"),
        (entry(X, a=(b"(3, 2), }       ", b"(3, 2000000000)}")), "'X' is damaged .its header states 48000000128 bytes"),
        (entry(X, a=(b"(3, 2), } ", b"(-3, -2), }"[:10])), "'X' is damaged"),
        (entry(X, a=(b"'<f8'", b"'O'  ")), "'X' cannot be read: it holds Python objects"),
        (entry(X, a=(b"'<f8'", b"'<q8'")), "'X' is damaged"),
        (entry(X, a=(b"{'descr'", b"(((((((("[:8])), "'X' is damaged"),
        (entry(X)[:-8], "'X' is damaged .its header states"),
        (entry(X) + bytes(8), "'X' is damaged .its header states"),
        (b"", "'X' is damaged"),
        (b"\x93NUMPY\x09\x00", "'X' is damaged"),
    ],
)
def test_a_header_that_states_what_is_not_there(tmp_path, content, fault):
    with zipfile.ZipFile(tmp_path / "n.npz", "w") as archive:
        archive.writestr("X.npy", content)
        archive.writestr("y.npy", entry(Y))
    with pytest.raises(ValueError, match=f"n.npz: the array {fault}"):
        read_npz(tmp_path / "n.npz", None)


@pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile's own, when it writes them
def test_odd_zip_archives(tmp_path):
    path = tmp_path / "n.npz"

    def write(*entries, how=zipfile.ZIP_STORED):
        with zipfile.ZipFile(path, "w", how) as archive:
            for name, content in entries:
                archive.writestr(name, content)

    x, y = ("X.npy", entry(X)), ("y.npy", entry(Y))
    for double in (x, ("X", entry(X))):
        write(x, y, double)
        with pytest.raises(ValueError, match=r"n.npz: two arrays in it are named 'X'"):
            read_npz(path, None)
    write(x, y, how=zipfile.ZIP_BZIP2)
    with pytest.raises(ValueError, match=r"n.npz: the array 'X' is packed in a way"):
        read_npz(path, None)
    write(("deep/X.npy", entry(X)), y, ("a\nb", b""))
    with pytest.raises(ValueError, match=r"n.npz: needs .*the file holds 'a\\nb', deep/X, y$"):
        read_npz(path, None)
    write(x, y)
    content = bytearray(path.read_bytes())
    for sign, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(sign) + flags] |= 1  # encrypted
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"n.npz: the array 'X' is damaged .*encrypted"):
        read_npz(path, None)
    write(x, y, ("unread.npy", b"what"))
    assert read_npz(path, None).rows.tolist() == X.tolist()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "n.npz"
    np.savez_compressed(path, X=np.zeros((100, 100_000)), y=np.ones(100))  # 80 MB in 80 kB
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"n.npz: the npz archive of \d+ bytes unpacks to more than 200 times as many"):
        read_npz(path, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    np.savez_compressed(path, X=np.zeros((100, 10_000)), y=np.ones(100))
    assert not read_npz(path, None).rows.any()
