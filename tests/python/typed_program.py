"""Checked by mypy in strict mode, not run: right uses pass, and wrong ones are told.

An unused `type: ignore` is an error, so each one shows a mistake that is noticed.
"""

from __future__ import annotations

import gzip
import io
import pathlib
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from email.message import Message

from oss_callback import (
    Callback,
    CallbackEvent,
    CallbackFailedError,
    CallbackReply,
    CallbackVerifier,
    Cancel,
    Client,
    Confirmation,
    Credentials,
    OssCallbackError,
    Progress,
    Reply,
    Signer,
    VerificationError,
    aio,
    reply,
)

callback = Callback(
    ["https://a.example.com/cb", "https://b.example.com/cb"],
    fields={"key": "${object}"},
    body_type="json",
    vars={"order": "42"},
)
preview: str = callback.preview(size=3, mime_type="a/b")


def upload() -> CallbackReply:
    with Client(region="cn-hangzhou", timeout=timedelta(minutes=1), addressing="virtual") as client:
        try:
            return client.put_object_with_callback(
                "bucket", "key", memoryview(b"data"), callback, acl="private", timeout=3
            )
        except CallbackFailedError as error:
            stored: bool = error.stored
            tag: str | None = error.etag
            crc: int | None = error.crc64
            print(stored, tag, crc, error.cause, error.hint)
            raise
        except OssCallbackError as error:
            print(error.kind, error.retryable, error.status)
            raise


async def upload_many() -> list[bytes]:
    async with aio.Client(region="cn-hangzhou") as client:
        reply = await client.put_object_with_callback("bucket", "key", bytearray(b"data"), callback)
        return [reply.body]


def pieces() -> Iterator[bytes]:
    yield b"data"


async def awaited_pieces() -> AsyncIterator[bytes]:
    yield b"data"


class AsyncFile:
    async def read(self, size: int) -> bytes:
        return b""


def show(progress: Progress) -> None:
    total: int | None = progress.bytes_total
    print(progress.bytes_done, total, progress.parts_done, progress.parts_total)


def credentials() -> Credentials:
    return Credentials("id", "secret", "token", datetime.now(timezone.utc) + timedelta(hours=1))


async def awaited_credentials() -> Credentials:
    return Credentials("id", "secret", expires_at=1.5)


def upload_large(path: pathlib.Path, cancel: Cancel) -> None:
    client = Client(region="cn-hangzhou", credentials_provider=credentials)
    with open(path, "rb") as file, gzip.open(path) as packed:
        client.put_object_with_callback("bucket", "key", file, callback, cancel=cancel)
        client.put_object_with_callback("bucket", "key", packed, callback)
        client.put_object_with_callback("bucket", "key", sys.stdin.buffer, callback, length=4)
        client.put_object_with_callback("bucket", "key", io.BytesIO(b"data"), callback)
        client.put_object_with_callback("bucket", "key", [b"data", bytearray(b"data")], callback)
    client.upload_file_with_callback("bucket", "key", pieces(), callback, part_size=1 << 20)
    client.upload_file_with_callback(
        "bucket", "key", path, callback, progress=show, checkpoint=path.with_suffix(".checkpoint")
    )
    client.upload_file_with_callback("bucket", "key", awaited_pieces(), callback)  # type: ignore[arg-type]
    client.upload_file_with_callback("bucket", "key", "film.mp4", callback)  # type: ignore[arg-type]
    with open(path) as text:
        client.upload_file_with_callback("bucket", "key", text, callback)  # type: ignore[arg-type]
    Client(region="cn-hangzhou", credentials_provider=awaited_credentials)  # type: ignore[arg-type]


async def upload_large_awaited(path: pathlib.Path) -> None:
    async with aio.Client(region="cn-hangzhou", credentials_provider=awaited_credentials) as client:
        await client.put_object_with_callback("bucket", "key", awaited_pieces(), callback)
        await client.put_object_with_callback("bucket", "key", AsyncFile(), callback)
        await client.put_object_with_callback("bucket", "key", pieces(), callback)
        await client.upload_file_with_callback("bucket", "key", path, callback, progress=show, parallel=8)


signer = Signer("id", "secret", region="cn-hangzhou")
now = datetime.now(timezone.utc)
headers: dict[str, str] = signer.sign("GET", bucket="b", query=[("acl", None)], time=now)
url: str = signer.presign("GET", bucket="b", key="k", expires_in=timedelta(hours=1)).url

sealed: Callback = callback.seal("secret", timedelta(hours=1)).sealed_for("bucket", "key", time=now)


def first_use(nonce: str, expires_at: datetime) -> bool:
    return expires_at > now


verifier = CallbackVerifier(
    bucket=["a", "b"],
    seal_secret="secret",
    template_type="form",
    callback=callback,
    fetch_key=lambda url: url.encode(),
    first_use=first_use,
)


def receive(message: Message, body: bytes) -> Reply:
    try:
        event: CallbackEvent = verifier.verify("POST", "/", message, body)
        verifier.verify_signature("POST", b"/", {"a": "b"}, memoryview(body))
        verifier.verify("POST", "/", {b"a": b"b"}, bytearray(body), now=now)
        verifier.verify("POST", "/", [(b"a", b"b")], body)
    except VerificationError as error:
        print(error.reason, error.hint)
        raise
    size: int | None = event.size
    field = event.field("size")
    kind = field.kind if field and event.seal and event.seal.expires_at < now else "null"
    return reply({"size": size, "kind": kind, "order": event.variables["order"], "width": event.image.width})


async def confirm(event: CallbackEvent) -> Confirmation:
    async with aio.Client(region="cn-hangzhou") as asking:
        return await asking.confirm(event)


client = Client(region="cn-hangzhou")
client.put_object_with_callback("bucket", "key", "text", callback)  # type: ignore[arg-type]
client.put_object_with_callback("bucket", "key", b"", "https://a.example.com")  # type: ignore[arg-type]
client.put_object_with_callback("bucket", "key", b"", callback, content_typ="a/b")  # type: ignore[arg-type]
client.put_object_with_callback("bucket", "key", b"", callback, acl="publik")  # type: ignore[arg-type]
Client(regoin="cn-hangzhou")  # type: ignore[arg-type]
Client("cn-hangzhou")  # type: ignore[call-arg]
Callback("https://a.example.com", body_type="xml")  # type: ignore[arg-type]
Signer("id", "secret", version="v5")  # type: ignore[arg-type]
CallbackVerifier(seal_secrets="secret")  # type: ignore[arg-type]
CallbackVerifier(seal_secret=None)  # type: ignore[arg-type]
CallbackVerifier(first_use=None)  # type: ignore[arg-type]
CallbackVerifier(first_use=lambda nonce: True)  # type: ignore[arg-type,misc]
verifier.verify("POST", "/", "headers", b"")  # type: ignore[arg-type]
verifier.verify("POST", "/", {}, "body")  # type: ignore[arg-type]
client.confirm({"bucket": "b"})  # type: ignore[arg-type]
