"""A file's content: unpacked by its first bytes, and refused where it is cut, damaged or no UTF-8 text."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
import zipfile

import pytest

from newtonfl.datasets.file_bytes import read_bytes, read_text

PACK = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
LZMA = lzma.compress(b"1 1:2\n", lzma.FORMAT_ALONE)
LINES = b"".join(b"%d %d:%d\n" % (i % 2, i % 9 + 1, i * i) for i in range(9000))


def put(folder, content):
    path = folder / "f"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", PACK)
def test_archives_are_known_by_their_first_bytes_and_may_follow_each_other(tmp_path, kind):
    pack = PACK[kind]
    assert read_bytes(put(tmp_path, pack(LINES))) == LINES
    assert read_bytes(put(tmp_path, pack(b""))) == b""
    many = b"".join(pack(LINES[at : at + 500]) for at in range(0, len(LINES), 500))
    assert len(many) > 3 * 2**13 and read_bytes(put(tmp_path, many)) == LINES
    assert read_bytes(put(tmp_path, pack(b"a\n") + bytes(8) + pack(b"b\n") + bytes(70000))) == b"a\nb\n"
    assert read_bytes(put(tmp_path, pack(b"\xef\xbb\xbfa\n"))) == b"a\n"


def test_plain_files_and_the_older_lzma(tmp_path):
    for content in (LINES, b"", b"1", b"BZh9,a\n1,2\n", b"PK,a\n", b"]a\n", b"a\0b", "é\n".encode()):
        assert read_bytes(put(tmp_path, content)) == content
        assert read_bytes(put(tmp_path, b"\xef\xbb\xbf" + content)) == content
    assert read_bytes(put(tmp_path, LZMA)) == b"1 1:2\n"


@pytest.mark.parametrize("kind", PACK)
def test_an_archive_that_is_cut_damaged_or_followed_by_something_is_refused(tmp_path, kind):
    whole = PACK[kind](LINES)
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 16]) + whole[middle + 1 :]
    for content in (
        *(whole[:at] for at in (12, middle, len(whole) - 1)),
        flipped,
        whole + b"garbage",
        whole + bytes(70000) + b"x",
        whole + whole[:middle],
    ):
        with pytest.raises(ValueError, match=rf"f: the {kind} archive is cut or damaged \(.+\)"):
            read_bytes(put(tmp_path, content))


def test_an_archive_out_of_all_proportion_is_refused_before_it_fills_the_memory(tmp_path):
    zeros = bytes(1 << 20)
    for kind, maker in (("gzip", lambda: gzip.compress(zeros * 80)), ("bzip2", lambda: bz2.compress(zeros * 80))):
        path = put(tmp_path, maker())
        tracemalloc.start()
        with pytest.raises(ValueError, match=f"f: the {kind} archive of .* more than 200 times"):
            read_bytes(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 200 << 20
    small = gzip.compress(b"1 1:1\n" * 2_000_000)  # as dense, and no danger
    assert len(small) * 200 < 12_000_000
    assert len(read_bytes(put(tmp_path, small))) == 12_000_000


def test_an_xz_archive_that_asks_for_gigabytes_is_refused(tmp_path):
    assert LZMA[1:5] == (1 << 23).to_bytes(4, "little")  # the dictionary that its unpacking needs
    with pytest.raises(ValueError, match=r"f: the xz archive is cut or damaged \(.*[mM]emory"):
        read_bytes(put(tmp_path, LZMA[:1] + (1 << 31).to_bytes(4, "little") + LZMA[5:]))


def zipped():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "1 1:2\n")
    return stream.getvalue()


def tarred():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("a")
        entry.size = 6
        archive.addfile(entry, io.BytesIO(b"1 1:2\n"))
    return stream.getvalue()


@pytest.mark.parametrize(
    "content, name",
    [
        (zipped(), "a zip archive .*unpack it"),
        (tarred(), "a tar archive: unpack it"),
        (b"\x28\xb5\x2f\xfd\x04\x00\x31\x00\x00", "a zstd archive: unpack it"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive: unpack it"),
        *(
            (("\ufeff" * mark + "1 1:2\n").encode(code), f"{code[:6].upper()} text: save it as UTF-8")
            for code in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
            for mark in (0, 1)
        ),
    ],
)
def test_other_archives_and_encodings_are_named_packed_or_not(tmp_path, content, name):
    for packed in (content, gzip.compress(content)):
        with pytest.raises(ValueError, match=f"f: {name}"):
            read_bytes(put(tmp_path, packed))


def test_an_archive_inside_an_archive_is_named(tmp_path):
    with pytest.raises(ValueError, match="f: a bzip2 archive inside a gzip archive"):
        read_bytes(put(tmp_path, gzip.compress(bz2.compress(b"1 1:2\n"))))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_text_keeps_its_line_ends_and_bad_bytes_are_found_by_line(tmp_path, end):
    assert read_text(put(tmp_path, b"\xef\xbb\xbfa" + end + "é".encode())) == "a" + end.decode() + "é"
    with pytest.raises(ValueError, match=r"f, line 3: not UTF-8 text \(byte 0xe9\)"):
        read_text(put(tmp_path, b"a" + end + b"b" + end + b"caf\xe9" + end))
    with pytest.raises(ValueError, match=r"f, line 2: no text, for it has a NUL byte"):
        read_text(put(tmp_path, b"a,b" + end + b"1,\0" + end))
