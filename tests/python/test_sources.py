"""Where the data of an upload comes from: every kind of source, whole, broken, or none at all."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import pathlib
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from conftest import BUCKET, Face, callbacks_with
from oss_callback import ArgumentTypeError, InvalidArgumentError, SourceError
from test_scenarios import form

# Not a multiple of anything that sources are read in.
DATA = os.urandom(1 << 20) * 2 + b"the end"
PIECES = [DATA[start : start + 300_001] for start in range(0, len(DATA), 300_001)]


class ReadOnly:
    """What has `read(size)` and nothing else."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int) -> bytearray:
        assert 0 < size <= 1 << 20
        # Fewer than asked for, and in a buffer that could change.
        return bytearray(self.file.read(size // 3))


class AsyncReadOnly(ReadOnly):
    async def read(self, size: int) -> bytearray:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().read(size)


class PathLike:
    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __fspath__(self) -> bytes:
        return os.fsencode(self.path)


def generator() -> Iterator[bytes | bytearray | memoryview]:
    yield b""
    buffer = bytearray()
    for piece in PIECES:
        buffer[:] = piece
        yield buffer
        buffer[:] = b"changed"
        yield memoryview(b"")


async def async_generator() -> AsyncIterator[bytes]:
    yield b""
    for piece in PIECES:
        await asyncio.sleep(0)
        yield piece


def stream_reader() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=1 << 24)
    reader.feed_data(DATA)
    reader.feed_eof()
    return reader


def advanced(file: Any) -> Any:
    """Read from, so that its buffer is ahead of its position."""
    assert file.read(3) == b"abc"
    return file


def written() -> Any:
    file = tempfile.TemporaryFile("w+b")  # noqa: SIM115
    file.write(b"abc" + DATA)
    file.seek(3)
    return file


def unflushed() -> Any:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115
    file.write(DATA[:-1])
    file.flush()
    file.seek(0)
    file.seek(len(DATA) - 1)
    file.write(DATA[-1:])
    file.seek(0)
    return file


def pipe(buffering: int = -1) -> Any:
    read, write = os.pipe()

    def fill() -> None:
        with open(write, "wb") as file:
            file.write(DATA)

    threading.Thread(target=fill).start()
    file = open(read, "rb", buffering=buffering)  # noqa: SIM115
    if buffering:
        # Some of it lies in the buffer.
        assert file.peek(1)
    return file


def makefile() -> Any:
    ours, theirs = socket.socketpair()

    def fill() -> None:
        with theirs:
            theirs.sendall(DATA)

    threading.Thread(target=fill).start()
    with ours:
        return ours.makefile("rb")


def kinds(folder: pathlib.Path) -> dict[str, Callable[[], Any]]:
    plain, headed, packed = folder / "plain", folder / "headed", folder / "packed.gz"
    plain.write_bytes(DATA)
    headed.write_bytes(b"abc" + DATA)
    packed.write_bytes(gzip.compress(DATA, 1))
    return {
        "path": lambda: plain,
        "path of bytes": lambda: PathLike(plain),
        "file": lambda: open(plain, "rb"),
        "file at a position": lambda: advanced(open(headed, "rb")),
        "file without a buffer": lambda: advanced(open(headed, "rb", buffering=0)),
        "file to write, too": lambda: open(plain, "r+b"),
        "file without a name": written,
        "temporary file": unflushed,
        "BytesIO": lambda: advanced(io.BytesIO(b"abc" + DATA)),
        "own class": lambda: ReadOnly(DATA),
        "gzip": lambda: gzip.open(packed),
        "pipe": pipe,
        "pipe without a buffer": lambda: pipe(buffering=0),
        "socket": makefile,
        "http": lambda: urlopen(plain.as_uri()),
        "list": lambda: PIECES,
        "generator": generator,
    }


ASYNC_KINDS: dict[str, Callable[[], Any]] = {
    "async generator": async_generator,
    "async own class": lambda: AsyncReadOnly(DATA),
}


@pytest.mark.usefixtures("all_handles_come_back")
def test_sources_of_every_kind_arrive_whole(face: Face, tmp_path: pathlib.Path) -> None:
    callback = face.bed.callback("/echo", body="size=${size}&crc64=${crc64}")
    client = face.client()
    expected = form(face.put(BUCKET, "source", DATA, callback, client=client).json()["body"])
    assert expected["size"] == str(len(DATA))

    def arrives(kind: str, make: Callable[[], Any]) -> None:
        for number, call in enumerate([face.put, face.upload, face.upload, face.upload]):
            options = [{}, {}, {"threshold": 0, "part_size": 1 << 20}, {"length": len(DATA)}][number]
            source = make()
            reply = call(BUCKET, "source", source, callback, client=client, **options)
            assert form(reply.json()["body"]) == expected, (kind, call, options)
            if isinstance(source, io.IOBase):
                assert not source.closed, kind
                source.close()

    for kind, make in kinds(tmp_path).items():
        arrives(kind, make)
    if face.name == "asyncio":
        for kind, make in ASYNC_KINDS.items():
            arrives(kind, make)
    for call in [face.put, face.upload]:
        with pytest.raises(SourceError, match="no-such-file") as failure:
            call(BUCKET, "source", tmp_path / "no-such-file", callback, client=client)
        assert isinstance(failure.value.__cause__, FileNotFoundError)
        assert call(BUCKET, "empty", iter(()), callback, client=client).json()["body"] == "size=0&crc64=0"


def test_what_can_be_read_again_keeps_its_position(face: Face, tmp_path: pathlib.Path) -> None:
    """A file is read through a descriptor of its own, so that the same call can be made again."""
    (tmp_path / "headed").write_bytes(b"abc" + DATA)
    callback = face.bed.callback()
    for source in [open(tmp_path / "headed", "rb"), io.BytesIO(b"abc" + DATA)]:  # noqa: SIM115
        with source:
            assert source.read(3) == b"abc"
            replies = [face.put(BUCKET, "twice", source, callback).crc64 for _ in range(2)]
            replies.append(face.upload(BUCKET, "twice", source, callback, threshold=0).crc64)
            assert len(set(replies)) == 1
            assert source.tell() == 3
            assert source.read() == DATA


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
def test_a_retried_file_is_sent_again_and_a_stream_is_not(face: Face, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    client = face.client(endpoint=face.bed.addresses["FAULTY_ENDPOINT"])
    callback = face.bed.callback()
    with open(tmp_path / "file", "rb") as file:
        assert face.put(BUCKET, f"busy/2/{face.name}", file, callback, client=client).crc64
    with pytest.raises(Exception, match="can be read only once"):
        face.put(BUCKET, f"busy/2/{face.name}-stream", generator(), callback, client=client)


class Broken(Exception):
    pass


def broken_generator() -> Iterator[bytes]:
    yield b"x" * 600_000
    raise Broken("half way")


class BrokenFile:
    left = 3

    def read(self, size: int) -> bytes:
        self.left -= 1
        if self.left:
            return b"x" * size
        raise Broken("half way")


async def broken_async_generator() -> AsyncIterator[bytes]:
    yield b"x" * 600_000
    raise Broken("half way")


class BrokenAsyncFile(BrokenFile):
    async def read(self, size: int) -> bytes:  # type: ignore[override]
        return super().read(size)


@pytest.mark.usefixtures("all_handles_come_back")
def test_broken_source_is_a_source_error(face: Face) -> None:
    def callback() -> Any:
        return face.bed.callback(body=f"broken-{face.name}")

    makers: list[Callable[[], Any]] = [broken_generator, BrokenFile]
    if face.name == "asyncio":
        makers += [broken_async_generator, BrokenAsyncFile]
    for call, options in [
        (face.put, {}),
        (face.put, {"length": 700_000}),
        (face.upload, {}),
        (face.upload, {"part_size": 102400}),
    ]:
        for make in makers:
            with pytest.raises(SourceError, match="half way") as failure:
                call(BUCKET, "broken", make(), callback(), **options)
            assert type(failure.value.__cause__) is Broken
            assert failure.value.__cause__.__traceback__ is not None
            assert not failure.value.stored
        for length, said in [(len(DATA) + 1, "ended after"), (len(DATA) - 1, "goes on after")]:
            with pytest.raises(SourceError, match=said):
                call(BUCKET, "broken", generator(), callback(), **(options | {"length": length}))
    assert callbacks_with(face.bed, f"broken-{face.name}") == 0
    # What is none of a program's own failures is not wrapped.
    for raised in [KeyboardInterrupt, SystemExit]:

        def stopped(raised: type[BaseException] = raised) -> Iterator[bytes]:
            yield b"x"
            raise raised("by the source")

        for call in [face.put, face.upload]:
            with pytest.raises(raised, match="by the source"):
                call(BUCKET, "broken", stopped(), callback())


class Nothing:
    def read(self, size: int) -> None:
        return None


class Later:
    async def read(self, size: int) -> bytes:
        return b""

    def __aiter__(self) -> Any:
        return self


def test_what_is_no_source_of_bytes_is_refused_with_a_hint(face: Face, tmp_path: pathlib.Path) -> None:
    (tmp_path / "text").write_text("text")
    with open(tmp_path / "text") as text_file, open(tmp_path / "new", "wb") as unreadable:
        closed = open(tmp_path / "text", "rb")  # noqa: SIM115
        closed.close()
        refused: list[tuple[Any, str]] = [
            ("text", "pathlib.Path"),
            (str(tmp_path / "text"), "pathlib.Path"),
            (text_file, 'mode "rb"'),
            (io.StringIO("text"), 'mode "rb"'),
            (unreadable, "not open for reading"),
            (closed, "is closed"),
            (5, "iterable"),
            (None, "iterable"),
            ({"a": b"b"}, "iterable"),
            (["text"], "Encode"),
            ([1, 2, 3], "Give bytes"),
            (Nothing(), "make it block"),
        ]
        if face.name == "threads":
            refused += [(Later(), "oss_callback.aio"), (async_generator(), "oss_callback.aio")]
        for source, hint in refused:
            for call, field in [(face.put, "data"), (face.upload, "source")]:
                with pytest.raises(ArgumentTypeError) as failure:
                    call(BUCKET, "refused", source, face.bed.callback())
                assert failure.value.field == field
                assert failure.value.hint
                assert hint in failure.value.hint, source
    for source in [b"data", io.BytesIO(b"data"), tmp_path / "text"]:
        with pytest.raises(InvalidArgumentError, match="is 5, but the source has 4 bytes") as refusal:
            face.put(BUCKET, "refused", source, face.bed.callback(), length=5)
        assert refusal.value.field == "length"
        assert face.put(BUCKET, "length", source, face.bed.callback(), length=4).etag
    for length in [-1, "4", 4.0, True]:
        with pytest.raises(InvalidArgumentError) as refusal:
            face.put(BUCKET, "refused", iter([b"data"]), face.bed.callback(), length=length)
        assert refusal.value.field == "length"


def test_a_source_of_another_type_in_disguise_is_read_by_its_own_method(
    face: Face, tmp_path: pathlib.Path
) -> None:
    """What a subclass gives need not be what lies in the file."""

    class Shouting(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            return (super().read(size) or b"").upper()

    (tmp_path / "quiet").write_bytes(b"hello")
    callback = face.bed.callback()
    expected = face.put(BUCKET, "shout", b"HELLO", callback).etag
    with Shouting(tmp_path / "quiet") as source:
        assert face.put(BUCKET, "shout", source, callback).etag == expected
