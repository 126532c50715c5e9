"""stdout and stderr as a command may find them: absent, of another encoding than UTF-8, or left by their reader."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast


@contextlib.contextmanager
def steady_streams() -> Iterator[None]:
    """Let a command print whatever its streams are: what cannot be written is escaped, what nobody reads is dropped."""
    _open_absent()
    out, err = _Steady(sys.stdout or _nowhere()), _Steady(sys.stderr or _nowhere())
    with contextlib.redirect_stdout(cast(TextIO, out)), contextlib.redirect_stderr(cast(TextIO, err)):
        yield


@contextlib.contextmanager
def silent_stdout() -> Iterator[None]:
    """Let nothing reach stdout."""
    with _nowhere() as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8", errors="replace")


def _open_absent() -> None:
    """Take up the numbers of the standard streams: a file opened later must not get what C code writes to stderr."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


class _Steady:
    """A text stream that takes every character, and goes on when its reader has gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, words: str) -> int:
        encoding = self._stream.encoding or "utf-8"
        with self._left():
            self._stream.write(words.encode(encoding, "backslashreplace").decode(encoding))
        return len(words)

    def flush(self) -> None:
        with self._left():
            self._stream.flush()

    @contextlib.contextmanager
    def _left(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError):  # no file behind it
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())  # else Python fails again at its end
            if not isinstance(error, BrokenPipeError):
                raise
