"""A text file's content: unpacked where its first bytes say gzip, bzip2 or xz, and refused where it is no UTF-8 text.

What a file holds is known by its bytes and not by its suffix. The standard library's own ways to open archives pass
over what follows a bzip2 or xz stream, and have no bound; hence the loop here.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_PACKED = {  # the first bytes of what is unpacked here
    "gzip": re.compile(rb"\x1f\x8b"),
    "bzip2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\x00|\x5d\x00\x00"),  # the second is its forerunner, .lzma
}
_REFUSED = {  # the first bytes of what is not
    "a zip archive (as .xlsx and .npz files are): unpack it": re.compile(rb"PK(\x03\x04|\x05\x06)"),
    "a zstd archive: unpack it": re.compile(rb"\x28\xb5\x2f\xfd"),
    "a 7z archive: unpack it": re.compile(rb"7z\xbc\xaf\x27\x1c"),
    "a tar archive: unpack it": re.compile(rb".{257}ustar", re.DOTALL),
    "UTF-32 text: save it as UTF-8": re.compile(
        rb"\xff\xfe\0\0|\0\0\xfe\xff|([^\0]\0\0\0){2}|(\0\0\0[^\0]){2}", re.DOTALL
    ),
    "UTF-16 text: save it as UTF-8": re.compile(rb"\xff\xfe|\xfe\xff|([^\0]\0){2}|(\0[^\0]){2}", re.DOTALL),
}
_MARK = b"\xef\xbb\xbf"  # UTF-8's byte order mark
_HEAD = 512  # bytes that are enough to know any of these
_PIECE = 1 << 16  # bytes unpacked at a time

# No table of numbers is packed to less than a two-hundredth unless it says the same thing over and over; gzip
# could reach a thousandth, bzip2 a millionth. What is small in any case is no danger.
_RATIO = 200
_SMALL = 1 << 26
_DICTIONARY = 1 << 27  # bytes: twice what xz -9 asks for


def read_bytes(path: Path) -> bytes:
    """A text file's content, without a byte order mark.

    Parameters
    ----------
    path : Path
        Plain, or packed with gzip, bzip2 or xz, whatever its suffix; several archives may follow each other.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If an archive is cut, damaged, followed by something else, holds another archive, or unpacks to out of all
        proportion; if the file is an archive of another kind, or text in UTF-16 or UTF-32. The message names the file.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        _check(path, head)
        kind = _kind(head)
        if kind is None:
            return path.read_bytes().removeprefix(_MARK)  # ten times as fast as the stream's rest
        stream.seek(0)
        content = _unpacked(path, kind, stream)
    if inner := _kind(content[:_HEAD]):
        raise ValueError(f"{path}: a {inner} archive inside a {kind} archive: unpack one of them")
    _check(path, content[:_HEAD])
    return content.removeprefix(_MARK)


def read_utf8(path: Path) -> bytes:
    """A file's content as in :func:`read_bytes`, which is UTF-8 text, with the line ends that it has.

    Raises
    ------
    ValueError
        As :func:`read_bytes`, and if it is not UTF-8 or has NUL bytes; the message names the file and the line.
    """
    content = read_bytes(path)
    at, fault = content.find(b"\0"), "no text, for it has a NUL byte"
    if at < 0:
        try:
            if not content.isascii():
                content.decode("utf-8")
            return content
        except UnicodeDecodeError as error:
            at, fault = error.start, f"not UTF-8 text (byte 0x{content[error.start]:02x}): save it as UTF-8"
    before = content[:at].replace(b"\r\n", b"\n")
    line = before.count(b"\n") + before.count(b"\r") + 1
    raise ValueError(f"{path}, line {line}: {fault}")


def read_text(path: Path) -> str:
    """:func:`read_utf8` as a string."""
    return read_utf8(path).decode("utf-8")


def check_proportion(path: Path, kind: str, packed: int, unpacked: int) -> None:
    """Refuse an archive of `packed` bytes that unpacks to far more than a table of numbers would.

    Raises
    ------
    ValueError
        If `unpacked` is more than 200 times as much and more than 64 MiB.
    """
    if unpacked > max(_RATIO * packed, _SMALL):
        raise ValueError(
            f"{path}: the {kind} archive of {packed} bytes unpacks to more than {_RATIO} times as many (and more than "
            f"{_SMALL >> 20} MiB); store it unpacked if that is meant"
        )


def _kind(head: bytes) -> str | None:
    """Which archive that is unpacked here begins with these bytes, if one does."""
    return next((kind for kind, sign in _PACKED.items() if sign.match(head)), None)


def _check(path: Path, head: bytes) -> None:
    for what, sign in _REFUSED.items():
        if sign.match(head):
            raise ValueError(f"{path}: {what}")


def _unpacked(path: Path, kind: str, stream: BinaryIO) -> bytes:
    size = path.stat().st_size
    content = io.BytesIO()
    try:
        for piece in _PIECES[kind](stream):
            check_proportion(path, kind, size, content.tell())
            content.write(piece)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{path}: the {kind} archive is cut or damaged ({error})") from None
    return content.getvalue()


def _gzip_pieces(stream: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=stream) as archive:
        while piece := archive.read(_PIECE):
            yield piece


def _pieces(stream: BinaryIO, machine: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]) -> Iterator[bytes]:
    """What the streams that follow each other unpack to; zeros between them are padding."""
    packed = stream.read(_PIECE)
    while packed:
        one = machine()
        while not one.eof:
            if one.needs_input and not packed and not (packed := stream.read(_PIECE)):
                raise EOFError("it ends before its end mark")
            yield one.decompress(packed, _PIECE)
            packed = b""
        packed = one.unused_data.lstrip(b"\0")
        while not packed and (more := stream.read(_PIECE)):
            packed = more.lstrip(b"\0")


_PIECES: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "gzip": _gzip_pieces,
    "bzip2": lambda stream: _pieces(stream, bz2.BZ2Decompressor),
    "xz": lambda stream: _pieces(stream, lambda: lzma.LZMADecompressor(memlimit=_DICTIONARY)),
}
