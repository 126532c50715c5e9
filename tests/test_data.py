"""Reading, scaling, downloading and splitting: what is right is read exactly, what is wrong is named."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from newtonfl import data, splits

CSV = "site,age,y,dose\nB,1,0,0.5\nA,2,1,1.5\nB,3,1,2.5\n"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, request):
    """No test but those of real files sees the data folder."""
    if "real" not in request.fixturenames:
        monkeypatch.delenv(data.VARIABLE, raising=False)


@pytest.fixture
def real():
    """The path of a data set in the folder that NEWTONFL_DATA names."""

    def path(name: str) -> Path:
        named = os.environ.get(data.VARIABLE, "")
        if not (Path(named) / name).is_file() or not named:
            pytest.skip(f"{data.VARIABLE} names no folder with {name}")
        return Path(named) / name

    return path


def put(folder: Path, name: str, content: str | bytes) -> str:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


# --- LIBSVM


def test_libsvm_rows_become_dense_where_half_is_nonzero_and_stay_sparse_else(tmp_path):
    put(tmp_path, "half", "1 1:2 3:4\n-1 2:-1e1 # a comment\n\n")
    dense = data.read("libsvm:half", folder=tmp_path)
    assert isinstance(dense.rows, np.ndarray) and dense.rows.flags.c_contiguous
    np.testing.assert_array_equal(dense.rows, [[2, 0, 4], [0, -10, 0]])
    np.testing.assert_array_equal(dense.labels, [1, -1])
    rows = data.read("libsvm:half", folder=tmp_path, features=7).rows
    assert isinstance(rows, sparse.csr_array) and rows.shape == (2, 7) and rows.dtype == np.float64
    put(tmp_path, "zeros", "1 1:0 2:5 9:0\n")
    rows = data.read("libsvm:zeros", folder=tmp_path).rows
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
        data.read("libsvm:bad", folder=tmp_path)


def test_libsvm_features_smaller_than_an_index_and_empty_files(tmp_path):
    put(tmp_path, "f", "1 1:2 9:1\n")
    with pytest.raises(ValueError, match="features = 8, but the largest index is 9"):
        data.read("libsvm:f", folder=tmp_path, features=8)
    put(tmp_path, "empty", "")
    with pytest.raises(ValueError, match="empty: no rows"):
        data.read("libsvm:empty", folder=tmp_path)


# --- CSV


def test_csv_by_name_by_number_and_with_a_text_group(tmp_path):
    put(tmp_path, "c.csv", CSV)
    table = data.read("csv:c.csv", folder=tmp_path, label="y", group="site")
    np.testing.assert_array_equal(table.rows, [[1, 0.5], [2, 1.5], [3, 2.5]])
    np.testing.assert_array_equal(table.labels, [0, 1, 1])
    np.testing.assert_array_equal(table.groups, [1, 0, 1])
    put(tmp_path, "plain.csv", "\ufeff1,2,10\n3,4,9\n")
    table = data.read("csv:plain.csv", folder=tmp_path)
    np.testing.assert_array_equal(table.rows, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(table.labels, [10, 9])
    table = data.read("csv:plain.csv", folder=tmp_path, label=0, group="2")
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
        data.read("csv:c.csv", folder=tmp_path, **options)


# --- npz, scikit-learn


def test_npz_dense_and_sparse(tmp_path):
    dense = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "d.npz", X=dense.astype(np.int32), y=[1, 0, 1], groups=["b", "a", "b"])
    table = data.read("npz:d.npz", folder=tmp_path, group="groups")
    np.testing.assert_array_equal(table.rows, dense)
    np.testing.assert_array_equal(table.groups, [1, 0, 1])
    assert table.rows.dtype == table.labels.dtype == np.float64
    rows = sparse.random_array((9, 20), density=0.1, format="csr", rng=0)
    parts = {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr, "shape": rows.shape, "y": np.ones(9)}
    np.savez(tmp_path / "s.npz", **parts, format=b"csr")
    found = data.read("npz:s.npz", folder=tmp_path).rows
    assert isinstance(found, sparse.csr_array)
    np.testing.assert_array_equal(found.toarray(), rows.toarray())
    np.savez(tmp_path / "s.npz", **parts, format=b"csc")
    with pytest.raises(ValueError, match="s.npz.*csc.*must be csr"):
        data.read("npz:s.npz", folder=tmp_path)
    np.savez(tmp_path / "s.npz", **{**parts, "indices": rows.indices + 20})
    with pytest.raises(ValueError, match="s.npz: the CSR parts do not fit together"):
        data.read("npz:s.npz", folder=tmp_path)


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
        data.read("npz:n.npz", folder=tmp_path)


def test_a_damaged_npz_file_is_named(tmp_path):
    np.savez(tmp_path / "n.npz", X=np.ones((30, 2)), y=np.ones(30))
    whole = (tmp_path / "n.npz").read_bytes()
    for content in (whole[:200], b"", b"text", whole[:200] + bytes([whole[200] ^ 1]) + whole[201:]):
        put(tmp_path, "n.npz", content)
        with pytest.raises(ValueError, match="n.npz: "):
            data.read("npz:n.npz", folder=tmp_path)


def test_sklearn_sets_and_what_a_source_may_be():
    table = data.read("sklearn:wine")
    assert table.rows.shape == (178, 13) and set(table.labels) == {0, 1, 2}
    with pytest.raises(ValueError, match="'sklearn:cars'.*digits"):
        data.read("sklearn:cars")
    with pytest.raises(ValueError, match="'excel:a'.*csv:PATH"):
        data.read("excel:a")
    with pytest.raises(ValueError, match="label = 3.*CSV"):
        data.read("sklearn:wine", label=3)
    with pytest.raises(ValueError, match="no column 'a' to split by"):
        data.read("sklearn:wine", group="a")


# --- where files are


def test_missing_files_say_where_was_looked(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="nope.csv.*NEWTONFL_DATA"):
        data.read("csv:nope.csv", folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="'a1aa'.*NEWTONFL_DATA is not set.*Did you mean a1a"):
        data.read("libsvm:a1aa", folder=tmp_path)
    monkeypatch.setenv(data.VARIABLE, str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError) as caught:
        data.read("libsvm:mine", folder=tmp_path)
    assert str(tmp_path) in str(caught.value) and str(tmp_path / "elsewhere") in str(caught.value)


def test_a_cut_copy_of_a_known_set_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(data.VARIABLE, str(tmp_path))
    content = b"1 1:2\n"
    put(tmp_path, "phishing", content)
    known, found = data.KNOWN["phishing"][1], hashlib.sha256(content).hexdigest()
    with pytest.raises(ValueError, match=f"phishing.*{known}.*{found}"):
        data.read("libsvm:phishing", folder=tmp_path / "elsewhere")
    put(tmp_path, "mine", content)  # not a known name: nothing to compare with
    assert data.read("libsvm:mine", folder=tmp_path / "elsewhere").labels.size == 1


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A data server on this machine that counts; `content` is what it sends for any address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.content)))
            self.end_headers()
            self.wfile.write(self.server.content)

        def log_message(self, *args):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.paths, listening.content = [], b"1 1:2\n"
        listening.base = f"http://127.0.0.1:{listening.server_address[1]}/sets/"
        monkeypatch.setitem(data.KNOWN, "a1a", ("binary/a1a", hashlib.sha256(listening.content).hexdigest()))
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


def test_a_download_is_checked_and_kept(tmp_path, server):
    path = data.locate("a1a", base=server.base, cache=tmp_path / "cache")
    assert path.read_bytes() == server.content and server.paths == ["/sets/binary/a1a"]
    assert data.locate("a1a", base=server.base, cache=tmp_path / "cache") == path
    assert len(server.paths) == 1
    path.write_bytes(b"cut")  # a damaged file in the cache is fetched anew
    assert data.locate("a1a", base=server.base, cache=tmp_path / "cache").read_bytes() == server.content


def test_a_download_with_another_hash_is_refused_and_not_kept(tmp_path, server):
    server.content = b"1 1:3\n"
    with pytest.raises(ValueError, match=f"{server.base}binary/a1a.*not the known data set"):
        data.locate("a1a", base=server.base, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_server_that_is_down(tmp_path, server):
    gone = server.base.replace(str(server.server_address[1]), "1")  # nobody listens at port 1
    with pytest.raises(FileNotFoundError) as caught:
        data.locate("a1a", base=gone, cache=tmp_path / "cache")
    for word in (gone + "binary/a1a", "By hand", "NEWTONFL_DATA", str(tmp_path / "cache")):
        assert word in str(caught.value)


def test_globs_and_column_counts(tmp_path):
    for name in ("b.csv", "a.csv", "c.txt"):
        put(tmp_path, name, "1,2\n")
    assert data.expand("csv:*.csv", tmp_path) == ["csv:a.csv", "csv:b.csv"]
    assert data.expand("csv:a.csv", tmp_path) == ["csv:a.csv"]
    with pytest.raises(FileNotFoundError, match="no file matches"):
        data.expand("csv:*.tsv", tmp_path)
    assert data.same_columns({"csv:a": 3, "csv:b": 3}) == 3
    with pytest.raises(ValueError, match=r"libsvm:a has 3 .*libsvm:b has 4.*features = N under \[data\]"):
        data.same_columns({"libsvm:a": 3, "libsvm:b": 4})


# --- classes and scaling


def test_two_classes():
    labels, kept = data.two_classes(np.array([2.0, 1.0, 2.0]), None, "here")
    np.testing.assert_array_equal(labels, [1, -1, 1])
    np.testing.assert_array_equal(kept, [0, 1, 2])
    labels, kept = data.two_classes(np.array([8.0, 5.0, 3.0, 8.0]), (8, 3), "here")
    np.testing.assert_array_equal(labels, [-1, 1, -1])
    np.testing.assert_array_equal(kept, [0, 2, 3])
    np.testing.assert_array_equal(data.two_classes(np.array([3.0, 3.0]), (3, 8), "here")[0], [-1, -1])
    with pytest.raises(ValueError, match=r"here: .*10 different labels \(0, 1.*classes = \[a, b\]"):
        data.two_classes(np.arange(10.0), None, "here")
    with pytest.raises(ValueError, match="there are 1 different labels"):
        data.two_classes(np.ones(3), None, "here")
    with pytest.raises(ValueError, match=r"classes = \[3, 8\]; the labels are 1, 2"):
        data.two_classes(np.array([1.0, 2.0]), (3, 8), "here")


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_scaling_by_columns_and_rows(form):
    plain = np.array([[1.0, 0.0, -4.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    rows = form(plain)
    for how, expected in (
        ("none", plain),
        ("maxabs", [[1, 0, -1], [0, 0, 0.75], [0, 0, 0]]),
        ("unit-rows", np.array([[1, 0, -4], [0, 0, 17**0.5], [0, 0, 0]]) / 17**0.5),
    ):
        scaled = data.scale(rows, how)
        assert type(scaled) is type(rows)
        np.testing.assert_allclose(scaled.toarray() if sparse.issparse(scaled) else scaled, expected, rtol=1e-15)
    np.testing.assert_array_equal(rows.toarray() if sparse.issparse(rows) else rows, plain)  # left as it was


def test_standard_scaling():
    rows = np.random.default_rng(0).normal(5, 3, (50, 4))
    rows[:, 2] = 0.1  # its mean over 50 rows is not 0.1
    scaled = data.scale(rows, "standard")
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0, 1], rtol=1e-14)
    assert not scaled[:, 2].any()
    with pytest.raises(ValueError, match="maxabs"):
        data.scale(sparse.csr_array(rows), "standard")
    with pytest.raises(ValueError, match="given 'log', allowed are none"):
        data.scale(rows, "log")


# --- real files


def test_a1a_is_read_exactly(real):
    path = real("a1a")
    table = data.read("libsvm:a1a", features=123)
    assert table.rows.shape == (1605, 123) and isinstance(table.rows, sparse.csr_array)
    assert data.read(f"libsvm:{path}").rows.shape == (1605, 119)
    # Against the text itself, read in another way.
    lines = path.read_text().splitlines()
    np.testing.assert_array_equal(table.labels, [float(line.split()[0]) for line in lines])
    for number in (0, 800, 1604):
        pairs = [word.split(":") for word in lines[number].split()[1:]]
        expected = np.zeros(123)
        expected[[int(index) - 1 for index, _ in pairs]] = [float(value) for _, value in pairs]
        np.testing.assert_array_equal(table.rows[[number]].toarray().ravel(), expected)
    with pytest.raises(ValueError, match="features = 100, but the largest index is 119"):
        data.read("libsvm:a1a", features=100)


def test_madelon_is_dense_and_a_cut_copy_is_refused(real, tmp_path):
    path = real("madelon")
    assert isinstance(data.read("libsvm:madelon").rows, np.ndarray)
    put(tmp_path, "madelon", path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="SHA-256"):
        data.read("libsvm:madelon", folder=tmp_path)
    with pytest.raises(ValueError, match="cut short|not a finite number"):
        put(tmp_path, "madelon", path.read_bytes()[:100_000].rpartition(b":")[0])
        data.read("libsvm:./madelon", folder=tmp_path)


# --- splits


@settings(deadline=None)  # a shared machine may be slow
@given(
    how=st.sampled_from(["contiguous", "blocks", "shuffled", "by-label", "dirichlet:0.05", "dirichlet:9"]),
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**70),
)
def test_a_split_is_a_partition_without_empty_clients(how, labels, share, seed):
    labels = np.array(labels, dtype=float)
    count = 1 + round(share * (len(labels) - 1))
    parts = splits.split(how, labels, count, seed)
    assert len(parts) == count and all(part.size and part.dtype == np.int64 for part in parts)
    used = len(labels) - len(labels) % count if how == "contiguous" else len(labels)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(used))
    if not how.startswith("dirichlet"):
        assert np.ptp([part.size for part in parts]) <= (how != "contiguous")
    again = splits.split(how, labels, count, seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


def test_what_the_splits_are():
    labels = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])

    def parts(how, count=2, **options):
        return [part.tolist() for part in splits.split(how, labels, count, 3, **options)]

    assert parts("contiguous", 3) == [[0, 1], [2, 3], [4, 5]]
    assert parts("blocks", 3) == [[0, 1, 2], [3, 4], [5, 6]]
    assert parts("by-label") == [[1, 3, 5, 0], [2, 4, 6]]
    assert sum(parts("shuffled"), []) != list(range(7))
    groups = np.array([2, 0, 2, 1, 0, 2, 2])
    for count in (None, 3):
        assert parts("column:site", count, groups=groups) == [[1, 4], [3], [0, 2, 5, 6]]
    many = np.tile([0.0, 1.0], 500)
    assert not np.array_equal(splits.split("shuffled", many, 2, 0)[0], splits.split("shuffled", many, 2, 1)[0])

    def unlike(beta):  # how far clients' classes are from the whole's
        return np.mean([abs(many[part].mean() - 0.5) for part in splits.split(f"dirichlet:{beta}", many, 10, 0)])

    assert unlike(0.05) > 0.3 > 0.05 > unlike(1000)


@pytest.mark.parametrize(
    "how, count, fault",
    [
        ("blocks", 9, "given 9 clients, but there are only 5 rows"),
        ("blocks", None, "given None, must be at least 1"),
        ("blocks", 0, "given 0, must be at least 1"),
        ("block", 2, "given 'block', allowed are contiguous"),
        ("dirichlet:0", 2, "BETA"),
        ("dirichlet:nan", 2, "BETA"),
        ("column:", 2, "NAME"),
        ("column:a", 3, "given 3, but column 'a' has 2 values"),
        ("files", 2, "files"),
    ],
)
def test_splits_that_cannot_be(how, count, fault):
    with pytest.raises(ValueError, match=fault):
        splits.split(how, np.arange(5.0), count, 0, np.array([0, 1, 0, 1, 0]))
    with pytest.raises(ValueError, match="seed: given -1"):
        splits.split("shuffled", np.arange(5.0), 2, -1)
