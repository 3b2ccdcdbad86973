"""Checked by mypy in strict mode, not run: right uses pass, and wrong ones are told.

An unused `type: ignore` is an error, so each one shows a mistake that is noticed.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.message import Message

from oss_callback import (
    Callback,
    CallbackEvent,
    CallbackFailedError,
    CallbackReply,
    CallbackVerifier,
    Client,
    Confirmation,
    OssCallbackError,
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
CallbackVerifier(first_use=lambda nonce: True)  # type: ignore[arg-type,misc]
verifier.verify("POST", "/", "headers", b"")  # type: ignore[arg-type]
verifier.verify("POST", "/", {}, "body")  # type: ignore[arg-type]
client.confirm({"bucket": "b"})  # type: ignore[arg-type]
