"""Sources under stress: many at once, after a fork, at the end of the program, and larger than memory."""

from __future__ import annotations

import asyncio
import os
import pathlib
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import BUCKET, HANG, Bed, until
from test_scenarios import wait_for
from test_sources import DATA, ReadOnly, async_generator, generator


def test_64_threads_send_files_of_their_own(bed: Bed, tmp_path: pathlib.Path) -> None:
    callback = bed.callback("/echo", body="crc64=${crc64}&size=${size}")
    with bed.client() as client, ThreadPoolExecutor(64) as pool:

        def put(number: int) -> tuple[str, str]:
            path = tmp_path / str(number)
            path.write_bytes(bytes([number]) * (1000 + number))
            source: Any = [path, open(path, "rb"), iter([path.read_bytes()])][number % 3]  # noqa: SIM115
            call = [client.put_object_with_callback, client.upload_file_with_callback][number % 2]
            reply = call(BUCKET, f"many/{number}", source, callback)
            if number % 3 == 1:
                source.close()
            again = client.put_object_with_callback(BUCKET, f"many/{number}", path.read_bytes(), callback)
            return reply.json()["body"], again.json()["body"]

        for sent, again in pool.map(put, range(64)):
            assert sent == again


def test_64_tasks_await_sources_of_their_own(bed: Bed, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(DATA)

    async def main() -> set[int]:
        async with bed.aio_client() as client:

            async def put(number: int) -> int:
                source: Any = [async_generator(), generator(), tmp_path / "file"][number % 3]
                call = [client.put_object_with_callback, client.upload_file_with_callback][number % 2]
                crc64 = (await call(BUCKET, f"many/{number}", source, bed.callback())).crc64
                assert crc64 is not None
                return crc64

            return set(await asyncio.gather(*(put(number) for number in range(64))))

    assert len(asyncio.run(main())) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_files_are_uploaded_by_the_child_of_a_fork(bed: Bed, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    with bed.client() as client, open(tmp_path / "file", "rb") as file:

        def upload(source: Any) -> bytes:
            return client.upload_file_with_callback(
                BUCKET, "fork", source, bed.callback(), threshold=0, part_size=1 << 20
            ).body

        assert upload(file)
        child = os.fork()
        if child == 0:
            try:
                answers = {upload(source) for source in [tmp_path / "file", file, generator()]}
                os._exit(0 if answers == {b'{"Status":"OK"}'} else 1)
            finally:
                os._exit(2)
        assert wait_for(child, 20) == 0
        assert upload(generator())


def this_file() -> Any:
    return open(__file__, "rb")


@pytest.mark.parametrize("make", [generator, lambda: ReadOnly(DATA), this_file])
def test_sources_are_let_go_when_the_call_has_ended(bed: Bed, make: Callable[[], Any]) -> None:
    with bed.client() as client:
        source = make()
        references = sys.getrefcount(source)
        client.put_object_with_callback(BUCKET, "reference", source, bed.callback())
        until(lambda: sys.getrefcount(source) <= references)
        assert sys.getrefcount(source) == references
        if hasattr(source, "closed"):
            assert not source.closed
            source.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
@pytest.mark.parametrize("source", ["open(os.pipe()[0], 'rb')", "sys.stdin.buffer"])
def test_a_pipe_that_gives_nothing_does_not_hold_up_ctrl_c_or_the_end(
    testbed: dict[str, str], source: str
) -> None:
    import signal

    from test_process import start

    code = f"""
        os.dup2(os.pipe()[0], 0)
        client = Client(**options | {{"endpoint": os.environ["OSS_ENDPOINT"]}})
        client.put_object_with_callback("examplebucket", "stdin", {source}, callback)
    """
    with start(code) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=HANG)
    assert err.rstrip().endswith("KeyboardInterrupt"), err
    assert child.returncode == -signal.SIGINT


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
@pytest.mark.parametrize(
    "call",
    [
        "client.put_object_with_callback(BUCKET, 'json/big', source(), callback)",
        "asyncio.run(aio_put())",
    ],
    ids=["threads", "asyncio"],
)
def test_256_mib_from_a_generator_need_little_memory(testbed: dict[str, str], call: str) -> None:
    code = """
        import asyncio, os, resource
        from oss_callback import Callback, Client, aio
        BUCKET = "examplebucket"
        options = dict(endpoint=os.environ["SINK"], region="cn-hangzhou", access_key_id="a",
                       access_key_secret="b")
        callback = Callback("http://127.0.0.1:9/cb")
        client = Client(**options)

        def source():
            for number in range(256):
                yield bytes([number]) * (1 << 20)

        async def asource():
            for piece in source():
                yield piece

        async def aio_put():
            async with aio.Client(**options) as client:
                return await client.put_object_with_callback(BUCKET, "json/big", asource(), callback)

        client.put_object_with_callback(BUCKET, "json/small", b"x", callback)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        CALL
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    program = textwrap.dedent(code).replace("CALL", call)
    with sink() as address:
        environment = {**os.environ, "SINK": address}
        command = [sys.executable, "-c", program]
        out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    # The core's buffers of 2 MiB, a few pieces of the generator's, and what allocators keep.
    assert int(out.stdout) < 16 * 1024


class sink:
    """An OSS that takes any body and keeps none of it, one connection at a time."""

    def __enter__(self) -> str:
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=[connection], daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        answer = b'HTTP/1.1 200 OK\r\nETag: "E"\r\nContent-Length: 2\r\n\r\n{}'
        with connection, connection.makefile("rb", 1 << 20) as file:
            while file.readline():
                fields = {}
                while (line := file.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    fields[name.lower()] = value.strip()
                if b"content-length" in fields:
                    file.read(int(fields[b"content-length"]))
                else:
                    while size := int(file.readline(), 16):
                        file.read(size + 2)
                    file.readline()
                connection.sendall(answer)
