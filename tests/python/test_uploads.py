"""Large uploads: parts, progress, cancelling and going on; and what is tried again."""

from __future__ import annotations

import asyncio
import os
import pathlib
import pickle
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import BUCKET, HANG, Bed, Face, callbacks_with, until, uploads_left
from oss_callback import (
    ArgumentTypeError,
    CallbackEvent,
    CallbackFailedError,
    Cancel,
    CancelledError,
    InvalidArgumentError,
    OutcomeUnknownError,
    Progress,
    ServiceError,
    SourceError,
)
from test_scenarios import form

MIB = 1 << 20
BODY = "size=${size}&crc64=${crc64}"


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(os.urandom(3 * MIB))
    return path


@pytest.fixture
def long_path(tmp_path: pathlib.Path) -> pathlib.Path:
    """Long enough to be interrupted in its middle, with parts of the smallest size one after the other."""
    path = tmp_path / "long"
    path.write_bytes(os.urandom(32 * MIB))
    return path


SLOWLY: dict[str, Any] = {"part_size": 100 * 1024, "parallel": 1, "threshold": 0}


def test_large_file_goes_in_parts_with_one_callback(face: Face, path: pathlib.Path) -> None:
    mark = f"parts-{face.name}"
    callback = face.bed.callback("/echo", body=f"{BODY}&mark={mark}")
    options = {"threshold": MIB, "part_size": MIB, "metadata": {"owner": "me"}}
    reply = face.upload(BUCKET, "large", path, callback, **options)
    seen = form(reply.json()["body"])
    assert seen == {"size": str(3 * MIB), "crc64": str(reply.crc64), "mark": mark}
    assert reply.etag.endswith("-3")
    assert callbacks_with(face.bed, mark) == 1
    small = face.upload(BUCKET, "small", path, face.bed.callback())
    assert "-" not in small.etag
    assert small.crc64 == reply.crc64


def test_progress_is_told(face: Face, path: pathlib.Path, long_path: pathlib.Path) -> None:
    told: list[Progress] = []
    threads = set()

    def tell(progress: Progress) -> None:
        told.append(progress)
        threads.add(threading.get_ident())

    def pieces() -> Iterator[bytes]:
        yield from [b"x" * MIB] * 3

    sources: list[tuple[Any, dict[str, Any], int | None, int | None]] = [
        (long_path, SLOWLY, 32 * MIB, 328),
        (path, {"threshold": 0, "part_size": MIB}, 3 * MIB, 3),
        (path, {}, 3 * MIB, None),
        (pieces(), {"part_size": MIB}, None, None),
        (pieces(), {"part_size": MIB, "length": 3 * MIB, "threshold": 0}, 3 * MIB, 3),
        (b"", {}, 0, None),
    ]
    for source, options, size, parts in sources:
        told.clear()
        face.upload(BUCKET, "progress", source, face.bed.callback(), progress=tell, **options)
        assert told
        done = [progress.bytes_done for progress in told]
        assert done == sorted(done)
        assert done[-1] == (3 * MIB if size is None else size)
        assert {progress.bytes_total for progress in told} == {size}
        # A stream has as many as it turned out to have.
        assert told[-1].parts_done == (3 if size is None else parts or 0)
        assert {progress.parts_total for progress in told} == {parts}
        if source is long_path:
            assert len({progress.bytes_done for progress in told}) > 2
    # Where the caller is, so that what it touches needs no lock.
    assert threads == {threading.get_ident()}

    class Enough(BaseException):
        pass

    def fail(progress: Progress) -> None:
        raise Enough(progress)

    for options in [{}, {"threshold": 0}]:
        callback = face.bed.callback(body=f"enough-{face.name}")
        with pytest.raises(Enough) as failure:
            face.upload("progress-fails", "progress", path, callback, progress=fail, **options)
        assert isinstance(failure.value.args[0], Progress)
    assert callbacks_with(face.bed, f"enough-{face.name}") == 0
    assert uploads_left(face.bed, "progress-fails") == []
    with pytest.raises(ArgumentTypeError, match="progress: must be callable"):
        face.upload(BUCKET, "progress", path, face.bed.callback(), progress=5)


def test_a_progress_function_that_fails_too_late_loses_no_reply(face: Face) -> None:
    mark = f"too-late-{face.name}"
    raised = []

    def fail(progress: Progress) -> None:
        if face.name == "asyncio":
            # While it holds up the event loop, the upload is completed: OSS has its answer, and we soon.
            until(lambda: callbacks_with(face.bed, mark))
            time.sleep(1)
        elif not callbacks_with(face.bed, mark):
            return
        raised.append(progress)
        raise ZeroDivisionError

    reply = face.upload(BUCKET, "late", b"data", face.bed.callback(body=mark), progress=fail)
    assert reply.json() == {"Status": "OK"}
    mark += "-failed"
    callback = face.bed.callback("/status/500", body=mark)
    with pytest.raises(CallbackFailedError) as failure:
        face.upload(BUCKET, "late", b"data", callback, progress=fail)
    assert failure.value.stored
    assert raised


def test_progress_is_a_value() -> None:
    progress = Progress(1, 2, parts := 3, 4)
    assert repr(progress) == "Progress(bytes_done=1, bytes_total=2, parts_done=3, parts_total=4)"
    assert (progress.bytes_done, progress.bytes_total) == (1, 2)
    assert (progress.parts_done, progress.parts_total) == (parts, 4)
    assert progress == pickle.loads(pickle.dumps(progress)) != Progress(1)
    assert len({progress, Progress(1, 2, 3, 4), Progress()}) == 2
    assert repr(Progress()) == "Progress(bytes_done=0, bytes_total=None, parts_done=0, parts_total=None)"
    with pytest.raises(AttributeError):
        progress.bytes_done = 5  # type: ignore[misc]


class Stop:
    """Ends an upload in its middle, in one of the ways that there are."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.cancel = Cancel()
        self.task: asyncio.Task[Any] | None = None
        self.at = 0.0

    def progress(self, progress: Progress) -> None:
        if progress.parts_done and not self.at:
            self.at = time.monotonic()
            # By another thread, as a user or a signal would.
            threading.Thread(target=self.stop).start()

    def stop(self) -> None:
        if self.way == "token":
            self.cancel.cancel()
        elif self.way == "ctrl-c":
            signal.raise_signal(signal.SIGINT)
        else:
            assert self.task
            self.task.get_loop().call_soon_threadsafe(self.task.cancel)


def interrupted(bed: Bed, way: str, *arguments: Any, **options: Any) -> Any:
    """The error of an upload that is cancelled after some parts."""
    stop = Stop(way)
    if way != "task":
        if way == "token":
            options["cancel"] = stop.cancel
        raised = KeyboardInterrupt if way == "ctrl-c" else CancelledError
        with bed.client() as client, pytest.raises(raised) as failure:
            client.upload_file_with_callback(*arguments, progress=stop.progress, **options)
    else:

        async def main() -> None:
            stop.task = asyncio.current_task()
            async with bed.aio_client() as client:
                await client.upload_file_with_callback(*arguments, progress=stop.progress, **options)

        with pytest.raises(asyncio.CancelledError) as failure:
            asyncio.run(main())
    # A fifth of a second, and a few more for machines that are busy.
    assert time.monotonic() - stop.at < 2
    return failure.value


WAYS = pytest.mark.parametrize("way", ["token", "ctrl-c", "task"])


@WAYS
def test_cancelled_upload_resumes_from_its_checkpoint(
    bed: Bed, way: str, long_path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    face = Face(bed, "asyncio" if way == "task" else "threads")
    bucket, checkpoint, told = f"resumed-{way}", tmp_path / "checkpoint", []
    callback = bed.callback("/echo", body=f"{BODY}&mark=resumed-{way}")
    expected = face.put(BUCKET, "whole", long_path, callback).crc64
    error = interrupted(bed, way, bucket, "k", long_path, callback, checkpoint=checkpoint, **SLOWLY)
    if way == "token":
        assert "goes on from there" in error.hint
    assert checkpoint.exists()
    assert len(uploads_left(bed, bucket)) == 1
    # As text, it is the same file.
    reply = face.upload(
        bucket, "k", long_path, callback, checkpoint=str(checkpoint), progress=told.append, **SLOWLY
    )
    assert told[0].bytes_done > 0
    assert told[0].parts_done > 0
    assert reply.crc64 == expected
    assert form(reply.json()["body"])["size"] == str(32 * MIB)
    assert not checkpoint.exists()
    assert uploads_left(bed, bucket) == []

    checkpoint.write_text("damaged")
    with pytest.raises(InvalidArgumentError, match="checkpoint") as failure:
        face.upload(bucket, "k", long_path, callback, checkpoint=checkpoint, **SLOWLY)
    assert str(checkpoint) in str(failure.value)
    with pytest.raises(InvalidArgumentError) as failure, open(long_path, "rb") as file:
        face.upload(bucket, "k", file, callback, checkpoint=tmp_path / "another")
    assert failure.value.field == "checkpoint"


@WAYS
def test_cancelled_upload_leaves_no_parts(bed: Bed, way: str, long_path: pathlib.Path) -> None:
    bucket, mark = f"aborted-{way}", f"aborted-{way}-{os.getpid()}"
    callback = bed.callback(body=mark)

    def stream() -> Iterator[bytes]:
        for _ in range(32):
            yield b"x" * MIB

    for source in [long_path, stream()]:
        error = interrupted(bed, way, bucket, "k", source, callback, **SLOWLY)
        if way == "token":
            assert error.hint == "Nothing was stored, and OSS keeps no parts."
        assert uploads_left(bed, bucket) == []
    assert callbacks_with(bed, mark) == 0


def test_a_token_ends_calls_now_and_later(bed: Bed) -> None:
    cancel = Cancel()
    assert repr(cancel) == "<Cancel>"
    assert not cancel.cancelled
    with bed.faulty() as client:
        threading.Timer(0.2, cancel.cancel).start()
        started = time.monotonic()
        with pytest.raises(CancelledError):
            client.put_object_with_callback(BUCKET, "hang/a", b"data", bed.callback(), cancel=cancel)
        assert time.monotonic() - started < HANG / 10
        assert cancel.cancelled
        assert repr(cancel) == "<Cancel cancelled>"
        for call in [client.put_object_with_callback, client.upload_file_with_callback]:
            with pytest.raises(CancelledError):
                call(BUCKET, "json/a", b"data", bed.callback(), cancel=cancel)
            with pytest.raises(ArgumentTypeError, match=r"cancel: must be oss_callback\.Cancel"):
                call(BUCKET, "json/a", b"data", bed.callback(), cancel=threading.Event())  # type: ignore[arg-type]
    event = CallbackEvent.parse(b"bucket=examplebucket&object=k&size=4", "form")
    # It takes connections, and answers nothing.
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        client = bed.client(endpoint=f"http://127.0.0.1:{deaf.getsockname()[1]}")
        for token in [cancel, Cancel()]:
            threading.Timer(0.2, token.cancel).start()
            started = time.monotonic()
            with pytest.raises(CancelledError):
                client.confirm(event, cancel=token)
            assert time.monotonic() - started < (0.2 if token is cancel else 2)
        with pytest.raises(ArgumentTypeError, match=r"cancel: must be oss_callback\.Cancel"):
            client.confirm(event, cancel=threading.Event())  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes here")
def test_a_pipe_by_its_path_is_read_or_given_up(bed: Bed, tmp_path: pathlib.Path) -> None:
    with bed.client() as client:
        for number, call in enumerate([client.put_object_with_callback, client.upload_file_with_callback]):
            os.mkfifo(fifo := tmp_path / f"fifo-{number}")
            cancel, started = Cancel(), time.monotonic()
            threading.Timer(0.2, cancel.cancel).start()
            with pytest.raises(CancelledError):
                call(BUCKET, "fifo", fifo, bed.callback(), cancel=cancel)
            assert time.monotonic() - started < HANG / 10
            os.mkfifo(fifo := tmp_path / f"written-{number}")
            threading.Thread(target=fifo.write_bytes, args=[b"123456789"]).start()
            callback = bed.callback("/echo", body="size=${size}")
            assert call(BUCKET, "fifo", fifo, callback).json()["body"] == "size=9"


def test_an_asynchronous_source_is_stopped_with_its_call(bed: Bed) -> None:
    """A task that is cancelled leaves no other task behind."""
    ended = []

    async def never(begun: asyncio.Event) -> Any:
        yield b"x" * MIB
        try:
            begun.set()
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(asyncio.current_task())
            raise

    async def main() -> None:
        async with bed.aio_client() as client:
            for call in [client.put_object_with_callback, client.upload_file_with_callback]:
                before, begun = asyncio.all_tasks(), asyncio.Event()
                task = asyncio.create_task(call(BUCKET, "never", never(begun), bed.callback()))
                await begun.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert asyncio.all_tasks() == before

    asyncio.run(main())
    assert len(ended) == 2


def test_an_asynchronous_source_that_is_cancelled_fails_the_call_at_once(bed: Bed) -> None:
    async def given_up() -> Any:
        yield b"x"
        raise asyncio.CancelledError

    async def never() -> Any:
        yield b"x"
        await asyncio.sleep(60)

    async def main() -> None:
        async with bed.aio_client() as client:
            for call in [client.put_object_with_callback, client.upload_file_with_callback]:
                with pytest.raises(SourceError) as failure:
                    await asyncio.wait_for(call(BUCKET, "k", given_up(), bed.callback()), 10)
                assert isinstance(failure.value.__cause__, RuntimeError)
                assert isinstance(failure.value.__cause__.__cause__, asyncio.CancelledError)
                # By somebody who cancels all tasks that are not his.
                before = asyncio.all_tasks()
                upload = asyncio.create_task(call(BUCKET, "k", never(), bed.callback()))
                while not (others := asyncio.all_tasks() - before - {upload}):
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
                for task in others:
                    task.cancel()
                with pytest.raises(SourceError):
                    await asyncio.wait_for(upload, 10)

    asyncio.run(main())


def test_an_asynchronous_source_is_read_in_one_task_and_context(bed: Bed) -> None:
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen = set()

    async def source() -> Any:
        for _ in range(5):
            seen.add((asyncio.current_task(), variable.get()))
            yield b"x"

    async def main() -> None:
        variable.set("the caller's")
        async with bed.aio_client() as client:
            await client.put_object_with_callback(BUCKET, "context", source(), bed.callback())

    asyncio.run(main())
    assert [value for _, value in seen] == ["the caller's"]


def test_a_progress_function_that_is_a_coroutine_is_refused(bed: Bed) -> None:
    async def late(progress: Progress) -> None: ...

    async def main() -> None:
        async with bed.aio_client() as client:
            with pytest.raises(ArgumentTypeError, match="progress: must be"):
                await client.upload_file_with_callback(BUCKET, "k", b"data", bed.callback(), progress=late)

    asyncio.run(main())


def test_busy_service_is_retried(face: Face, path: pathlib.Path) -> None:
    endpoint = face.bed.addresses["FAULTY_ENDPOINT"]
    client, impatient = face.client(endpoint=endpoint), face.client(endpoint=endpoint, retries=0)
    for number, source in enumerate([b"data", path]):
        key = f"busy/2/{face.name}-{number}"
        assert face.put(BUCKET, key, source, face.bed.callback(), client=client).json() == {"Status": "OK"}
        with pytest.raises(ServiceError) as failure:
            face.put(BUCKET, key + "-again", source, face.bed.callback(), client=impatient)
        assert (failure.value.status, failure.value.code) == (503, "SlowDown")
        assert failure.value.retryable


def test_lost_answer_is_outcome_unknown(face: Face, path: pathlib.Path) -> None:
    client = face.client(endpoint=face.bed.addresses["FAULTY_ENDPOINT"])
    for number, call in enumerate([face.put, face.upload]):
        with pytest.raises(OutcomeUnknownError) as failure:
            call(BUCKET, f"lost/{face.name}-{number}", path, face.bed.callback(), client=client)
        error = failure.value
        assert (error.kind, error.stored, error.retryable) == ("outcome_unknown", True, False)
        assert error.etag
        assert error.crc64
        assert error.hint
        assert "application server" in error.hint


@pytest.mark.usefixtures("all_handles_come_back")
def test_handles_of_uploads_are_freed(face: Face, path: pathlib.Path) -> None:
    callback = face.bed.callback()
    client = face.client()
    for source in [path, path.read_bytes(), iter([b"x" * MIB] * 3)]:
        face.upload(BUCKET, "freed", source, callback, client=client, progress=repr, threshold=0)
    with pytest.raises(ZeroDivisionError):
        face.upload(BUCKET, "freed", path, callback, client=client, progress=lambda _: 1 / 0)
    with pytest.raises(ArgumentTypeError):
        face.upload(BUCKET, "freed", iter([b"x" * MIB, "text"]), callback, client=client)
