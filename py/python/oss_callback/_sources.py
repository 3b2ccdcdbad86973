"""What can be uploaded: tells which kind of source a value is. It is imported when the first is not bytes."""

from __future__ import annotations

import functools
import inspect
import io
import os
import select
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Iterable
    from typing import Any, Protocol, TypeAlias

    from typing_extensions import Buffer

    class _SupportsRead(Protocol):
        def read(self, size: int, /) -> Buffer: ...

    class _SupportsAsyncRead(Protocol):
        def read(self, size: int, /) -> Awaitable[Buffer]: ...

    _Path: TypeAlias = os.PathLike[str] | os.PathLike[bytes]
    _Source: TypeAlias = Buffer | _Path | _SupportsRead | Iterable[Buffer]
    _AsyncSource: TypeAlias = _Source | _SupportsAsyncRead | AsyncIterable[Buffer]

__all__ = ["describe"]


def describe(value: Any) -> tuple[str, object, int | None]:
    """What the native module needs to know of a value that is no buffer: its kind, what belongs to that, and
    how many bytes it has, where that is cheap to find out and sure. Files are looked at by their paths later.

    `path`: the path, as text. `file`: the file, and its position. `bytes`: bytes, and where to begin.
    `read`: a function that takes a number of bytes. `iterator`: one of bytes. `wrong`: what to do about it.
    """
    if isinstance(value, str):
        return "wrong", "Encode text: `data.encode()`. Make a path of a name: `pathlib.Path(name)`.", None
    if hasattr(value, "__fspath__"):
        return "path", os.fsdecode(value), None
    if callable(getattr(value, "read", None)):
        return _of_file(value)
    if hasattr(value, "__aiter__"):
        return "wrong", "Use oss_callback.aio for sources that are awaited.", None
    if hasattr(value, "keys") or not hasattr(value, "__iter__"):
        return "wrong", "Of an own class make it iterable, or give it `read(size)`.", None
    return "iterator", iter(value), None


def _of_file(value: Any) -> tuple[str, object, int | None]:
    # What tempfile wraps is read by its descriptor too.
    if type(value).__name__ == "_TemporaryFileWrapper" and type(value).__module__ == "tempfile":
        value = value.file
    if isinstance(value, io.TextIOBase):
        return "wrong", 'The file is open for text: open it with mode "rb", or give its `buffer`.', None
    if inspect.iscoroutinefunction(value.read):
        return "wrong", "Use oss_callback.aio for sources that are awaited.", None
    if isinstance(value, io.IOBase):
        if value.closed:
            return "wrong", "The file is closed.", None
        if not value.readable():
            return "wrong", 'The file is not open for reading: open it with mode "rb".', None
    # Subclasses may read what is not in the file, such as what they have unpacked.
    if type(value) is io.BytesIO:
        # Not a copy, unless it is written to meanwhile.
        whole, position = value.getvalue(), value.tell()
        return "bytes", (whole, position), max(len(whole) - position, 0)
    raw = value.raw if type(value) in (io.BufferedReader, io.BufferedRandom) else value
    if type(raw) is io.FileIO:
        status = os.fstat(raw.fileno())
        if stat.S_ISREG(status.st_mode):
            value.flush()
            position = value.tell()
            return "file", (value, position), max(os.fstat(raw.fileno()).st_size - position, 0)
        if hasattr(select, "poll"):
            return "read", functools.partial(_read_when_ready, value), None
    return "read", value.read, None


def _read_when_ready(file: Any, size: int) -> Any:
    """Reads a pipe or a device. It waits without the lock of a buffered file: a program that ends meanwhile
    could not close the file, and Python would abort."""
    poll = select.poll()
    poll.register(file.fileno(), select.POLLIN)
    poll.poll()
    return file.read(size) if type(file) is io.FileIO else file.read1(size)
