"""Where files are: folders are searched in turn, known sets must be whole, downloads are checked and kept."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from newtonfl.datasets import fetch, sources


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, request):
    """No test but those of real files sees the data folder."""
    if "real" not in request.fixturenames:
        monkeypatch.delenv(fetch.VARIABLE, raising=False)


@pytest.fixture
def real():
    """The path of a data set in the folder that NEWTONFL_DATA names."""

    def path(name: str) -> Path:
        named = os.environ.get(fetch.VARIABLE, "")
        if not (Path(named) / name).is_file() or not named:
            pytest.skip(f"{fetch.VARIABLE} names no folder with {name}")
        return Path(named) / name

    return path


def put(folder: Path, name: str, content: str | bytes) -> str:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def test_missing_files_say_where_was_looked(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"nope.csv.*NEWTONFL_DATA"):
        sources.read("csv:nope.csv", folder=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"'a1aa'.*NEWTONFL_DATA is not set.*Did you mean a1a"):
        sources.read("libsvm:a1aa", folder=tmp_path)
    monkeypatch.setenv(fetch.VARIABLE, str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError) as caught:
        sources.read("libsvm:mine", folder=tmp_path)
    assert str(tmp_path) in str(caught.value) and str(tmp_path / "elsewhere") in str(caught.value)


def test_a_cut_copy_of_a_known_set_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(fetch.VARIABLE, str(tmp_path))
    content = b"1 1:2\n"
    put(tmp_path, "phishing", content)
    known, found = fetch.KNOWN["phishing"][1], hashlib.sha256(content).hexdigest()
    with pytest.raises(ValueError, match=f"phishing.*{known}.*{found}"):
        sources.read("libsvm:phishing", folder=tmp_path / "elsewhere")
    put(tmp_path, "mine", content)  # not a known name: nothing to compare with
    assert sources.read("libsvm:mine", folder=tmp_path / "elsewhere").labels.size == 1


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
        monkeypatch.setitem(fetch.KNOWN, "a1a", ("binary/a1a", hashlib.sha256(listening.content).hexdigest()))
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


def test_a_download_is_checked_and_kept(tmp_path, server):
    path = fetch.locate("a1a", base=server.base, cache=tmp_path / "cache")
    assert path.read_bytes() == server.content and server.paths == ["/sets/binary/a1a"]
    assert fetch.locate("a1a", base=server.base, cache=tmp_path / "cache") == path
    assert len(server.paths) == 1
    path.write_bytes(b"cut")  # a damaged file in the cache is fetched anew
    assert fetch.locate("a1a", base=server.base, cache=tmp_path / "cache").read_bytes() == server.content


def test_a_download_with_another_hash_is_refused_and_not_kept(tmp_path, server):
    server.content = b"1 1:3\n"
    with pytest.raises(ValueError, match=f"{server.base}binary/a1a.*not the known data set"):
        fetch.locate("a1a", base=server.base, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_server_that_is_down(tmp_path, server):
    gone = server.base.replace(str(server.server_address[1]), "1")  # nobody listens at port 1
    with pytest.raises(FileNotFoundError) as caught:
        fetch.locate("a1a", base=gone, cache=tmp_path / "cache")
    for word in (gone + "binary/a1a", "By hand", "NEWTONFL_DATA", str(tmp_path / "cache")):
        assert word in str(caught.value)


# --- real files


@pytest.mark.data
def test_a1a_is_read_exactly(real):
    path = real("a1a")
    table = sources.read("libsvm:a1a", features=123)
    assert table.rows.shape == (1605, 123) and isinstance(table.rows, sparse.csr_array)
    assert sources.read(f"libsvm:{path}").rows.shape == (1605, 119)
    # Against the text itself, read in another way.
    lines = path.read_text().splitlines()
    np.testing.assert_array_equal(table.labels, [float(line.split()[0]) for line in lines])
    for number in (0, 800, 1604):
        pairs = [word.split(":") for word in lines[number].split()[1:]]
        expected = np.zeros(123)
        expected[[int(index) - 1 for index, _ in pairs]] = [float(value) for _, value in pairs]
        np.testing.assert_array_equal(table.rows[[number]].toarray().ravel(), expected)
    with pytest.raises(ValueError, match="features = 100, but the largest index is 119"):
        sources.read("libsvm:a1a", features=100)


@pytest.mark.data
def test_madelon_is_dense_and_a_cut_copy_is_refused(real, tmp_path):
    path = real("madelon")
    assert isinstance(sources.read("libsvm:madelon").rows, np.ndarray)
    put(tmp_path, "madelon", path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="SHA-256"):
        sources.read("libsvm:madelon", folder=tmp_path)
    with pytest.raises(ValueError, match=r"cut short|not a finite number"):
        put(tmp_path, "madelon", path.read_bytes()[:100_000].rpartition(b":")[0])
        sources.read("libsvm:./madelon", folder=tmp_path)
