"""stdout and stderr as a command may find them: absent, of another encoding than UTF-8, or left by their reader."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any, TextIO, cast


@contextlib.contextmanager
def steady_streams() -> Iterator[Steady]:
    """Let a command print whatever its streams are; yields stdout, of which the caller asks what became of it."""
    _open_absent()
    out, err = Steady(sys.stdout or _nowhere()), Steady(sys.stderr or _nowhere())
    with contextlib.redirect_stdout(cast(TextIO, out)), contextlib.redirect_stderr(cast(TextIO, err)):
        yield out


@contextlib.contextmanager
def silent_stdout() -> Iterator[None]:
    """Let nothing reach stdout."""
    with _nowhere() as nowhere, contextlib.redirect_stdout(nowhere):
        yield


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Say each RuntimeWarning as a line on stderr, once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        yield
    for words in dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, RuntimeWarning)):
        print(f"newtonfl: {words}", file=sys.stderr)


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8", errors="replace")


def _open_absent() -> None:
    """Take up the numbers of the standard streams: a file opened later must not get what C code writes to stderr."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


class Steady:
    """A text stream that takes every character, and goes on when its reader has gone or its disk is full.

    Attributes
    ----------
    fault : OSError or None
        Why something was not written, but for a reader that has gone, which wants no more.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.fault: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, words: str) -> int:
        """Write `words`, escaped where the encoding has not their characters."""
        encoding = self._stream.encoding or "utf-8"
        with self._going_on():
            self._stream.write(words.encode(encoding, "backslashreplace").decode(encoding))
        return len(words)

    def flush(self) -> None:
        """Write what waits."""
        with self._going_on():
            self._stream.flush()

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.fault = error
            with contextlib.suppress(OSError):  # no file behind it
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())  # else Python fails again at its end
