"""The scenarios of `tests/scenarios.toml` on the receiving side, in Python."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import BUCKET, ROOT, Bed, Request
from oss_callback import (
    ArgumentTypeError,
    CallbackEvent,
    CallbackVerifier,
    Confirmation,
    Field,
    ImageInfo,
    InvalidArgumentError,
    VerificationError,
    failure,
    refusal,
    reply,
)

SECRET = "a secret of more than sixteen bytes"
OTHER_SECRET = "another secret of sixteen bytes"
CRC64 = 11051210869376104954  # of 123456789
# OSS's own worked example (OSS, Callback).
REAL = Request(
    "/index.php?id=1&index=2",
    [
        (
            "Authorization",
            "kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==",
        ),
        ("x-oss-pub-key-url", "aHR0cDovL2dvc3NwdWJsaWMuYWxpY2RuLmNvbS9jYWxsYmFja19wdWJfa2V5X3YxLnBlbQ=="),
    ],
    b"bucket=yonghu-test",
)


def refused(request: Request, verifier: CallbackVerifier, **options: Any) -> VerificationError:
    with pytest.raises(VerificationError) as raised:
        request.verified(verifier, **options)
    assert raised.value.kind == "verification"
    return raised.value


def with_header(request: Request, name: str, value: str | None) -> Request:
    kept = [pair for pair in request.headers if pair[0].lower() != name]
    return replace(request, headers=kept if value is None else [*kept, (name, value)])


# What is expected where OSS's samples contradict each other: we refuse what no honest key URL holds.
REASONS = {
    "ok": None,
    "pub-key-url-not-allowed": "key_url_refused",
    "missing-pub-key-url": "missing_key_url",
    "bad-authorization": "bad_authorization",
    "signature-mismatch": "wrong_signature",
}


def test_verify_vectors_pass() -> None:
    vectors = json.loads((ROOT / "tests/vectors/callback_verify.json").read_text("utf-8"))
    assert len(vectors["vectors"]) == vectors["count"]
    for vector in vectors["vectors"]:
        request, asked = vector["request"], []
        served = {
            key["url"].replace("http:", "https:", 1): key["pem"] for key in vector["served_public_keys"]
        }

        def fetch_key(url: str, served: dict[str, str] = served, asked: list[str] = asked) -> bytes:
            asked.append(url)
            return served[url].encode()

        reason = None
        try:
            CallbackVerifier(fetch_key=fetch_key).verify(
                request["method"],
                request["request_target"],
                request["headers"],
                base64.b64decode(request["body_base64"]),
            )
        except VerificationError as error:
            reason = error.reason
        expected = REASONS[vector["expected"]["reason"]]
        if vector["id"] == "key-url-dotdot-after-prefix":
            expected = "key_url_refused"
        assert reason == expected, vector["id"]
        assert len(asked) == 1 if reason is None else reason != "key_url_refused" or not asked, vector["id"]


def test_received_callback_is_verified(bed: Bed) -> None:
    names = [
        "bucket",
        "object",
        "etag",
        "size",
        "mimeType",
        "crc64",
        "clientIp",
        "vpcId",
        "reqId",
        "operation",
    ]
    fields = {name: f"${{{name}}}" for name in names} | {"order": "${x:order}"}
    callback = bed.callback("/echo?a=%2F&b", fields=fields, vars={"order": "n° 42 & more"})
    event = bed.received("dir/ü +1.txt", callback).verified(bed.verifier(bucket=BUCKET))
    assert (event.bucket, event.key, event.size) == (BUCKET, "dir/ü +1.txt", 9)
    assert (event.etag, event.crc64) == ("25F9E794323B453885F5181F1B624D0B", CRC64)
    assert (event.mime_type, event.operation) == ("text/plain", "PutObject")
    assert event.request_id
    assert event.client_ip == "127.0.0.1"
    assert event.variables == {"order": "n° 42 & more"}
    assert event.variable("order") == event.variable("x:order") == "n° 42 & more"
    assert event.variable("other") is None
    assert event.seal is None
    assert event.vpc_id == ""
    size = event.field("size")
    assert size == Field("size", "9", "text")
    assert (size.name, size.text, size.kind) == ("size", "9", "text")
    assert size in event.fields

    # Absent, empty and non-numeric.
    wanted = {"object": "${object}", "width": "${imageInfo.width}", "crc64": "n/a"}
    odd = bed.received("k", bed.callback("/echo", fields=wanted)).verified(bed.verifier())
    assert (odd.size, odd.field("size")) == (None, None)
    assert odd.bucket is None
    assert odd.image == ImageInfo()
    assert odd.variable("width") == ""
    assert (odd.crc64, odd.field("crc64")) == (None, Field("crc64", "n/a", "text"))


def test_altered_callback_is_refused_with_a_reason(bed: Bed) -> None:
    good = bed.received("secret-key.txt", bed.callback("/echo/up?a=1"))
    verifier = bed.verifier(max_body=10_000)
    assert good.verified(verifier)
    both = bed.verifier(official_keys=True)
    signature = next(value for name, value in good.headers if name.lower() == "authorization")
    for request, judge, reason in [
        (replace(good, body=good.body + b"&admin=1"), verifier, "wrong_signature"),
        (replace(good, target="/other?a=1"), verifier, "wrong_signature"),
        (replace(good, target="echo"), verifier, "bad_target"),
        (replace(good, method="PUT"), verifier, "wrong_method"),
        (with_header(good, "authorization", None), verifier, "missing_authorization"),
        (with_header(good, "authorization", "?"), verifier, "bad_authorization"),
        (replace(good, headers=good.headers * 2), verifier, "duplicate_header"),
        (replace(good, body=b"a" * 10_001), verifier, "body_too_large"),
        (good, bed.verifier(bucket=["films", "photos"]), "wrong_bucket"),
        (
            with_header(
                replace(good, body=b"x"), "x-oss-pub-key-url", base64.b64encode(b"http://evil/k").decode()
            ),
            both,
            "key_url_refused",
        ),
    ]:
        error = refused(request, judge)
        assert error.reason == reason, error
        assert signature not in str(error)
        assert "secret-key" not in str(error)
    stripped = with_header(replace(good, target="/up?a=1"), "x-forwarded-prefix", "/echo")
    assert "prefix" in (refused(stripped, verifier).hint or "")


def official(number: int) -> str:
    return base64.b64encode(f"http://gosspublic.alicdn.com/k{number}.pem".encode()).decode()


def test_key_function_replaces_the_fetching_never_the_rule(bed: Bed) -> None:
    good = bed.received("k")
    asked: list[str] = []

    def fetch_key(url: str) -> bytes:
        asked.append(url)
        return bed.public_key.encode()

    verifier = CallbackVerifier(fetch_key=fetch_key)
    request = with_header(good, "x-oss-pub-key-url", official(1))
    for _ in range(3):
        assert request.verified(verifier).key == "k"
    assert asked == ["https://gosspublic.alicdn.com/k1.pem"]
    evil = base64.b64encode(b"http://gosspublic.alicdn.com@evil.example/k.pem").decode()
    assert refused(with_header(good, "x-oss-pub-key-url", evil), verifier).reason == "key_url_refused"
    assert len(asked) == 1

    def fails(url: str) -> bytes:
        raise OSError("the line is cut")

    error = refused(request, failing := CallbackVerifier(fetch_key=fails))
    assert error.reason == "key_unavailable"
    assert "the line is cut" in str(error)
    assert isinstance(error.__cause__, OSError)
    # The failure is remembered for a while; the exception is not.
    again = refused(request, failing)
    assert "the line is cut" in str(again)

    wrong = CallbackVerifier(fetch_key=lambda url: 7)  # type: ignore[arg-type,return-value]
    assert isinstance(refused(request, wrong).__cause__, ArgumentTypeError)
    text = CallbackVerifier(fetch_key=lambda url: bed.public_key)
    assert request.verified(text)

    def ends(url: str) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        request.verified(CallbackVerifier(fetch_key=ends))


def test_seal_is_demanded_and_used_once(bed: Bed) -> None:
    plain = bed.callback("/echo", vars={"order": "42"})
    callback = plain.seal(SECRET, timedelta(minutes=1))
    assert callback.to_be_sealed
    assert not plain.to_be_sealed
    sealed = bed.received("k", callback)
    event = sealed.verified(bed.verifier(seal_secret=SECRET))
    assert event.variables == {"order": "42"}
    assert event.seal is not None
    now = datetime.now(timezone.utc)
    assert now < event.seal.expires_at <= now + timedelta(minutes=1)
    assert sealed.verified(bed.verifier(seal_secret=[OTHER_SECRET, SECRET])).seal == event.seal
    # Without a secret the seal is not looked at.
    assert sealed.verified(bed.verifier()).seal is None

    demanding = bed.verifier(seal_secret=SECRET)
    assert refused(bed.received("k", plain), demanding).reason == "seal_missing"
    assert refused(sealed, bed.verifier(seal_secret=OTHER_SECRET)).reason == "seal_wrong"
    assert refused(sealed, demanding, now=now + timedelta(minutes=2)).reason == "seal_expired"
    assert refused(sealed, demanding, now=time.time() + 120).reason == "seal_expired"

    used: dict[str, datetime] = {}

    def first_use(nonce: str, expires_at: datetime) -> bool:
        return used.setdefault(nonce, expires_at) is expires_at

    once = bed.verifier(seal_secret=SECRET, first_use=first_use)
    assert sealed.verified(once).seal == event.seal
    assert used == {event.seal.nonce: event.seal.expires_at}
    assert refused(sealed, once).reason == "replayed"


def test_confirm_asks_oss(bed: Bed) -> None:
    first = bed.received("confirmed.txt").verified(bed.verifier(bucket=BUCKET))
    with bed.client() as client:
        found = client.confirm(first)
        assert (found.size, found.crc64, found.etag) == (9, CRC64, first.etag)
        assert found.content_type == "text/plain"
        assert found.last_modified is not None
        assert abs(found.last_modified - datetime.now(timezone.utc)) < timedelta(minutes=1)
        assert found.request_id
        assert found.version_id is None

        async def ask(event: CallbackEvent) -> Confirmation:
            async with bed.aio_client() as aio_client:
                return await aio_client.confirm(event)

        assert asyncio.run(ask(first)).etag == first.etag

        bed.received("confirmed.txt", data=b"another")
        gone = CallbackEvent.parse(f"bucket={BUCKET}&object=nothing&size=9".encode(), "form")
        for event, reason in [(first, "object_differs"), (gone, "object_missing")]:
            for confirm in (client.confirm, lambda event: asyncio.run(ask(event))):
                with pytest.raises(VerificationError) as raised:
                    confirm(event)
                assert raised.value.reason == reason
                assert raised.value.request_id
        with pytest.raises(InvalidArgumentError) as nothing:
            client.confirm(CallbackEvent.parse(b"size=9", "form"))
        assert nothing.value.field == "event"
        with pytest.raises(ArgumentTypeError):
            client.confirm({"bucket": "b"})  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError):
        client.confirm(first)


def test_answer_is_checked_before_it_is_sent() -> None:
    answer = reply({"Status": "OK", "猫": [1, None]})
    assert json.loads(answer.body) == {"Status": "OK", "猫": [1, None]}
    assert answer.status == 200
    assert answer.headers == {
        "Content-Type": "application/json",
        "Content-Length": str(len(answer.body)),
    }
    for text in ('{"a": 1}', b'{"a": 1}', bytearray(b'{"a": 1}')):
        assert reply(text).body == b'{"a": 1}'
    assert reply([]).body == b"[]"
    for made, status in [(refusal(), 403), (failure(), 500)]:
        assert made.status == status
        assert json.loads(made.body)["error"]
    assert repr(answer) == f"<Reply 200 body={len(answer.body)} bytes>"
    for wrong, ec in [
        ("OK", "0007-00000205"),
        (b"\xef\xbb\xbf{}", "0007-00000205"),
        ({"a": float("nan")}, "0007-00000205"),
        ("[" * 100_000, "0007-00000205"),
        ("a" * (1 << 20), "0007-00000205"),
        ("a" * (1 << 20) + "b", "0007-00000204"),
        ("", None),
    ]:
        with pytest.raises(InvalidArgumentError) as raised:
            reply(wrong)
        assert (raised.value.field, raised.value.ec) == ("answer", ec)
    with pytest.raises(ArgumentTypeError) as raised:
        reply({"a": object()})
    assert isinstance(raised.value.__cause__, TypeError)


def understood(body: bytes, body_type: Any) -> CallbackEvent | None:
    with contextlib.suppress(VerificationError):
        return CallbackEvent.parse(body, body_type)
    return None


def test_hostile_callbacks_are_refused_without_harm() -> None:
    verifier = CallbackVerifier(max_body=4 << 20)
    rubbish: list[Any] = [
        b"\xff\xfe\x00",
        "\ud800",
        "a\x00b",
        "%00" * 1000,
        "",
        "/" * 100_000,
        "?" * 1000,
        "\r\nX: y",
    ]
    for text in rubbish:
        for request in (
            (text, REAL.target, REAL.headers, REAL.body),
            ("POST", text, REAL.headers, REAL.body),
            ("POST", REAL.target, [("authorization", text), ("x-oss-pub-key-url", text)], REAL.body),
            ("POST", REAL.target, [(text, text)], REAL.body),
        ):
            with pytest.raises(VerificationError):
                verifier.verify(*request)
    bodies = [
        b"\xff\xfe=\x00&%ff=%00",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"a=1&" * 1_000_000,
        json.dumps({str(number): number for number in range(100_000)}).encode(),
        b'{"size":1e999}',
        b"size=" + b"9" * 100_000,
        bytes(1 << 20),
    ]
    random.seed(5)
    bodies += [random.randbytes(200) for _ in range(300)]
    for body in bodies:
        with pytest.raises(VerificationError):
            verifier.verify("POST", REAL.target, REAL.headers, body)
        for body_type in ("form", "json"):
            event = understood(body, body_type)
            if event is not None:
                assert repr(event)
                assert len(event.variables) <= len(event.fields)
                assert event.crc64 is None
                assert event.image == ImageInfo()
