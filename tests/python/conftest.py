"""The testbed that all languages are tested against: its addresses come from the environment, or from the
`testbed` program, which lives as long as this process."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oss_callback
import pytest
from oss_callback import Callback, CallbackEvent, CallbackVerifier, Client, _native, aio

NAMES = [
    "OSS_ENDPOINT",
    "OSS_REGION",
    "OSS_ACCESS_KEY_ID",
    "OSS_ACCESS_KEY_SECRET",
    "STS_ACCESS_KEY_ID",
    "STS_ACCESS_KEY_SECRET",
    "STS_TOKEN",
    "OSS_PUBLIC_KEY_FILE",
    "APP_URL",
    "CONTROL_URL",
    "FAULTY_ENDPOINT",
    "DEAD_ENDPOINT",
]
# A shell that starts the tests in the background has them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[2]
BUCKET = "examplebucket"
# How long the misbehaving OSS says nothing when asked for `hang/`. A call that ended long before did not wait
# for it, however slow the machine is.
HANG = 20


def testbed_program() -> str:
    """`OSS_CALLBACK_TESTBED`, or what `cargo build -p oss-callback-tests --bin testbed` made."""
    named = os.environ.get("OSS_CALLBACK_TESTBED")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    found = named or shutil.which("testbed", path=target / "debug")
    if not found:
        pytest.exit("build the testbed first: cargo build -p oss-callback-tests --bin testbed", returncode=2)
    return found


@pytest.fixture(scope="session")
def testbed() -> Iterator[dict[str, str]]:
    if all(name in os.environ for name in NAMES):
        yield {name: os.environ[name] for name in NAMES}
        return
    # It ends when its standard input is closed: by us, or by our death.
    with subprocess.Popen(
        [testbed_program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        addresses: dict[str, str] = {}
        while missing := [name for name in NAMES if name not in addresses]:
            line = process.stdout.readline()
            assert line, f"the testbed ended without {missing}"
            name, _, value = line.strip().removeprefix("export ").partition("=")
            addresses[name] = value
        # Children of the tests read it from there.
        os.environ.update(addresses)
        yield addresses
        process.stdin.close()


@dataclass
class Request:
    """A callback as the application server received it."""

    target: str
    headers: list[tuple[str, str]]
    body: bytes
    method: str = "POST"

    def verified(self, verifier: CallbackVerifier, **options: Any) -> CallbackEvent:
        return verifier.verify(self.method, self.target, self.headers, self.body, **options)


class Bed:
    """Clients and callbacks for the testbed."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses

    def options(self, **options: Any) -> dict[str, Any]:
        given = {
            "endpoint": self.addresses["OSS_ENDPOINT"],
            "region": self.addresses["OSS_REGION"],
            "access_key_id": self.addresses["OSS_ACCESS_KEY_ID"],
            "access_key_secret": self.addresses["OSS_ACCESS_KEY_SECRET"],
        }
        return given | options

    def client(self, **options: Any) -> Client:
        return Client(**self.options(**options))

    def aio_client(self, **options: Any) -> aio.Client:
        return aio.Client(**self.options(**options))

    def faulty(self, **options: Any) -> Client:
        return self.client(endpoint=self.addresses["FAULTY_ENDPOINT"], **options)

    def callback(self, path: str = "/ok", **options: Any) -> Callback:
        return self.callback_to(self.addresses["APP_URL"] + path, **options)

    def callback_to(self, url: str, **options: Any) -> Callback:
        return Callback(url, **options)

    def put(self, key: str, path: str = "/ok", data: bytes = b"data") -> oss_callback.CallbackReply:
        with self.client() as client:
            return client.put_object_with_callback(BUCKET, key, data, self.callback(path))

    @property
    def public_key(self) -> str:
        return Path(self.addresses["OSS_PUBLIC_KEY_FILE"]).read_text()

    def verifier(self, **options: Any) -> CallbackVerifier:
        return CallbackVerifier(**{"trusted_keys": self.public_key} | options)

    def received(self, key: str, callback: Callback | None = None, data: bytes = b"123456789") -> Request:
        """Uploads, and tells what the application server was sent. The callback goes to `/echo`."""
        with self.client() as client:
            reply = client.put_object_with_callback(BUCKET, key, data, callback or self.callback("/echo"))
        seen = reply.json()
        headers = [(name, value) for name, value in seen["headers"]]
        return Request(seen["target"], headers, seen["body"].encode(), seen["method"])


@pytest.fixture(scope="session")
def bed(testbed: dict[str, str]) -> Bed:
    return Bed(testbed)


class Face:
    """Either client, called in one way."""

    def __init__(self, bed: Bed, name: str) -> None:
        self.bed = bed
        self.name = name

    def put(self, *arguments: Any, client: Client | aio.Client | None = None, **options: Any) -> Any:
        return self.call("put_object_with_callback", client, arguments, options)

    def upload(self, *arguments: Any, client: Client | aio.Client | None = None, **options: Any) -> Any:
        return self.call("upload_file_with_callback", client, arguments, options)

    def client(self, **options: Any) -> Client | aio.Client:
        kind = aio.Client if self.name == "asyncio" else Client
        return kind(**self.bed.options(**options))

    def call(
        self, name: str, client: Client | aio.Client | None, arguments: Any, options: dict[str, Any]
    ) -> Any:
        client = client or self.client()
        call = getattr(client, name)
        if self.name == "threads":
            return call(*arguments, **options)

        async def main() -> Any:
            return await call(*arguments, **options)

        return asyncio.run(main())


@pytest.fixture(params=["threads", "asyncio"])
def face(bed: Bed, request: pytest.FixtureRequest) -> Face:
    return Face(bed, request.param)


def fetched(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def uploads_left(bed: Bed, bucket: str) -> list[Any]:
    uploads: list[Any] = fetched(f"{bed.addresses['CONTROL_URL']}/uploads?bucket={bucket}")
    return uploads


def callbacks_with(bed: Bed, text: str) -> int:
    """How many callbacks had the text in their body."""
    count: int = fetched(f"{bed.addresses['APP_URL']}/__count/{text}")
    return count


def until(happened: Callable[[], Any]) -> None:
    """Waits for what must come, and collects garbage meanwhile."""
    end = time.monotonic() + HANG
    while not happened():
        gc.collect()
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)


def handles_at_rest(least: int | None = None) -> int:
    """How many live handles there are when other threads have let go of theirs: of calls that have ended, in
    an instant. It waits for no fewer than `least`, and for that many if it takes long; without it, for a
    number that stays."""
    end = time.monotonic() + HANG
    count, since = -1, 0.0
    while time.monotonic() < end:
        gc.collect()
        if count != (count := _native.live_handles()):
            since = time.monotonic()
        if count <= least if least is not None else time.monotonic() - since > 0.3:
            break
        time.sleep(0.01)
    return count


@pytest.fixture
def all_handles_come_back() -> Iterator[None]:
    before = handles_at_rest()
    yield
    assert handles_at_rest(before) == before
