"""The scenarios of `tests/scenarios.toml` on the receiving side, in Python."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import gc
import json
import pickle
import random
import re
import threading
import time
import weakref
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import BUCKET, ROOT, Bed, Request
from oss_callback import (
    ArgumentTypeError,
    Callback,
    CallbackEvent,
    CallbackVerifier,
    Confirmation,
    Field,
    ImageInfo,
    InvalidArgumentError,
    Reply,
    Seal,
    Signer,
    VerificationError,
    _native,
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


def test_what_the_real_oss_signed_verifies_without_any_setting() -> None:
    verifier = CallbackVerifier()
    event = REAL.verified(verifier)
    assert event.bucket == "yonghu-test"
    verifier.verify_signature(REAL.method, REAL.target, REAL.headers, REAL.body)
    with pytest.raises(VerificationError):
        verifier.verify_signature(REAL.method, REAL.target, REAL.headers, b"{}")


def test_requests_are_taken_as_every_framework_has_them() -> None:
    class Headers:
        """Not a mapping: names may stand twice."""

        def items(self) -> list[tuple[str, str]]:
            return REAL.headers

    verifier = CallbackVerifier()
    encoded = [(name.lower().encode(), value.encode()) for name, value in REAL.headers]
    for headers in (dict(REAL.headers), dict(encoded), encoded, iter(REAL.headers), Headers()):
        for body in (REAL.body, bytearray(REAL.body), memoryview(REAL.body)):
            kept = list(headers) if hasattr(headers, "__next__") else headers
            event = verifier.verify("POST", REAL.target.encode(), kept, body)
            assert event.bucket == "yonghu-test"
            headers = kept
    url = "https://app.example.com" + REAL.target
    assert verifier.verify("POST", url, REAL.headers, REAL.body).bucket
    for wrong in (
        lambda: verifier.verify("POST", REAL.target, "authorization: x", REAL.body),  # type: ignore[arg-type]
        lambda: verifier.verify("POST", REAL.target, [1], REAL.body),  # type: ignore[list-item]
        lambda: verifier.verify("POST", REAL.target, REAL.headers, REAL.body.decode()),  # type: ignore[arg-type]
        lambda: verifier.verify("POST", 7, REAL.headers, REAL.body),  # type: ignore[arg-type]
    ):
        with pytest.raises(ArgumentTypeError):
            wrong()


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


def test_events_are_built_from_bodies_and_shown_without_values() -> None:
    body = '{"file":"a/猫.jpg","meta":{"bytes":3,"ok":true,"none":null},"image":{"w":8},"who":"secret"}'
    template = (
        '{"file":${object},"meta":{"bytes":${size},"ok":true,"none":null},'
        '"image":{"w":${imageInfo.width}},"who":${x:user}}'
    )
    event = CallbackEvent.parse(body.encode(), "json", template)
    assert (event.key, event.size, event.variables) == ("a/猫.jpg", 3, {"user": "secret"})
    assert event.image == ImageInfo(width=8)
    assert (event.image.width, event.image.height, event.image.format) == (8, None, None)
    assert [field.kind for field in event.fields] == ["text", "number", "bool", "null", "number", "text"]
    assert repr(event) == "<CallbackEvent key='a/猫.jpg' size=3 variables=['user']>"
    assert repr(event.fields[1]) == "Field('meta.bytes', '3', 'number')"
    assert repr(event.image) == "ImageInfo(width=8, height=None, format=None)"
    with pytest.raises(VerificationError) as malformed:
        CallbackEvent.parse(b"object=a&object=b", "form")
    assert malformed.value.reason == "malformed_body"
    with pytest.raises(InvalidArgumentError):
        CallbackEvent.parse(b"a=b", "form", "a=${nonsense}")
    with pytest.raises(InvalidArgumentError):
        CallbackEvent.parse(b"a=b", "xml")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(event)


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


def test_other_threads_run_on_while_a_key_is_fetched(bed: Bed) -> None:
    """And they wait for one fetch together."""
    good = with_header(bed.received("k"), "x-oss-pub-key-url", official(2))
    asked, entered, go_on = [], threading.Event(), threading.Event()

    def fetch_key(url: str) -> bytes:
        asked.append(url)
        entered.set()
        assert go_on.wait(10)
        return bed.public_key.encode()

    verifier = CallbackVerifier(fetch_key=fetch_key)
    events: list[CallbackEvent] = []
    threads = [threading.Thread(target=lambda: events.append(good.verified(verifier))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    time.sleep(0.05)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert (len(asked), len(events)) == (1, 4)


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


def test_a_first_use_that_fails_is_no_answer(bed: Bed) -> None:
    sealed = bed.received("k", bed.callback("/echo").seal(SECRET, 60))

    def breaks(nonce: str, expires_at: datetime) -> bool:
        raise LookupError("the table is gone")

    with pytest.raises(LookupError, match="the table is gone"):
        sealed.verified(bed.verifier(seal_secret=SECRET, first_use=breaks))
    nothing = bed.verifier(seal_secret=SECRET, first_use=lambda nonce, expires_at: None)
    with pytest.raises(ArgumentTypeError, match="returns bool"):
        sealed.verified(nothing)

    # A function that verifies on its own disturbs nobody.
    inner = bed.verifier(seal_secret=SECRET, first_use=lambda nonce, expires_at: False)

    def nested(nonce: str, expires_at: datetime) -> bool:
        return refused(sealed, inner).reason == "replayed"

    assert sealed.verified(bed.verifier(seal_secret=SECRET, first_use=nested)).seal


def test_a_signed_url_carries_its_seal(bed: Bed) -> None:
    import urllib.request

    callback = bed.callback("/echo", vars={"order": "42"}).seal(SECRET, 60)
    now = datetime.now(timezone.utc)
    sealed = callback.sealed_for(BUCKET, "signed.txt", time=now)
    assert isinstance(sealed, Callback)
    assert not sealed.to_be_sealed
    assert set(sealed.vars) == {"x:order", "x:seal"}
    assert sealed.sealed_for(BUCKET, "x") is sealed
    another = callback.sealed_for(BUCKET, "signed.txt", time=now)
    assert another != sealed
    signer = Signer(
        bed.addresses["OSS_ACCESS_KEY_ID"],
        bed.addresses["OSS_ACCESS_KEY_SECRET"],
        region=bed.addresses["OSS_REGION"],
    )
    url = signer.presign(
        "PUT",
        endpoint=bed.addresses["OSS_ENDPOINT"],
        bucket=BUCKET,
        key="signed.txt",
        expires_in=60,
        query={"callback": sealed.encoded, "callback-var": sealed.encoded_vars},
        headers=(headers := {"Content-Type": "text/plain"}),
    ).url
    put = urllib.request.Request(url, b"from a browser", headers, method="PUT")
    with urllib.request.urlopen(put, timeout=30) as answer:
        seen = json.load(answer)
    request = Request(seen["target"], seen["headers"], seen["body"].encode())
    event = request.verified(bed.verifier(seal_secret=SECRET))
    assert (event.key, event.size, event.variable("order")) == ("signed.txt", 14, "42")
    with pytest.raises(InvalidArgumentError):
        callback.sealed_for("", "k")


def test_sealed_callbacks_keep_their_secret() -> None:
    plain = Callback("https://app.example.com/cb", vars={"order": "42"})
    callback = plain.seal(SECRET, 60)
    assert type(callback) is Callback
    assert callback.body == (plain.body or "") + "&seal=${x:seal}"
    assert SECRET not in repr(callback)
    assert callback != plain.seal(SECRET, 60)
    for secretive in (callback, callback.sealed_for("b", "k")):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(secretive)
    with pytest.raises(InvalidArgumentError) as weak:
        plain.seal("short", 60)
    assert weak.value.field == "callback.seal"
    assert "short" not in str(weak.value)
    with pytest.raises(InvalidArgumentError):
        plain.seal(SECRET, 0.5)
    with pytest.raises(ArgumentTypeError):
        plain.seal(SECRET.encode(), 60)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError) as bare:
        Callback("https://app.example.com/cb", body="k=${object}").seal(SECRET, 60)
    assert "${x:seal}" in str(bare.value)
    with pytest.raises(ArgumentTypeError):
        Callback("https://app.example.com/cb", seal=SECRET)  # type: ignore[arg-type]


def test_a_body_of_ones_own_is_understood_by_its_callback(bed: Bed) -> None:
    body = '{"where":{"b":${bucket},"k":${object}},"operation":${x:order},"proof":${x:seal}}'
    callback = bed.callback("/echo", body=body, body_type="json", vars={"order": "42"}, seal=(SECRET, 60))
    request = bed.received("k", callback)
    event = request.verified(bed.verifier(seal_secret=SECRET, callback=callback))
    assert (event.key, event.variable("order")) == ("k", "42")
    assert request.verified(
        bed.verifier(seal_secret=SECRET, template=body, template_type="json")
    ).variables == {"order": "42"}
    assert refused(request, bed.verifier(seal_secret=SECRET)).reason in ("seal_missing", "seal_wrong")
    with pytest.raises(InvalidArgumentError):
        bed.verifier(callback=callback, template=body)


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


def test_a_question_that_is_given_up_leaves_the_client_whole(bed: Bed) -> None:
    event = bed.received("given-up.txt").verified(bed.verifier())

    async def main() -> None:
        async with bed.aio_client() as client:
            task = asyncio.create_task(client.confirm(event))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await client.confirm(event)).size == 9

    asyncio.run(main())


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
    assert refusal().status == 403
    assert json.loads(refusal().body)
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


def test_options_of_the_verifier_are_checked() -> None:
    for options, field in [
        ({"trusted_keys": "rubbish"}, "trusted_keys"),
        ({"official_keys": False}, "official_keys"),
        ({"seal_secret": "short"}, "seal_secret"),
        ({"template_type": "json"}, "template_type"),
        ({"template": "a=${nonsense}"}, "template"),
        ({"first_use": lambda nonce, expires_at: True}, "first_use"),
        ({"max_body": -1}, "max_body"),
    ]:
        with pytest.raises(InvalidArgumentError) as raised:
            CallbackVerifier(**options)  # type: ignore[arg-type]
        assert field in (raised.value.field or ""), raised.value
    with pytest.raises(TypeError, match="seal_secret"):
        CallbackVerifier(seal_secrets=SECRET)  # type: ignore[arg-type]
    for name in ("fetch_key", "first_use", "callback"):
        with pytest.raises(ArgumentTypeError) as wrong:
            CallbackVerifier(**{"seal_secret": SECRET, name: 7})  # type: ignore[arg-type]
        assert wrong.value.field == name
    assert CallbackVerifier(max_body=7).max_body == 7
    assert CallbackVerifier().max_body == 1 << 20
    shown = repr(CallbackVerifier(seal_secret=SECRET))
    assert re.fullmatch(r"<CallbackVerifier .*>", shown)
    assert SECRET not in shown


def test_values_compare_and_cross_processes() -> None:
    moment = datetime(2026, 11, 22, tzinfo=timezone.utc)
    for value, other in [
        (Field("a", "1", "text"), Field("a", "1", "number")),
        (ImageInfo(1, 2, "jpg"), ImageInfo(1, 2)),
        (Seal("nonce", moment), Seal("other", moment)),
        (Confirmation(etag="E", size=1, last_modified=moment), Confirmation()),
        (reply({"a": 1}), refusal()),
    ]:
        assert value != other
        assert pickle.loads(pickle.dumps(value)) == copy.copy(value) == value
        assert hash(copy.deepcopy(value)) == hash(value)
        assert "0x" not in repr(value)
    assert Seal("nonce", moment).expires_at == moment
    assert repr(Confirmation(etag="E", size=1)) == "Confirmation(etag='E', size=1)"
    assert Reply(200, {"A": "b"}, b"{}").headers == {"A": "b"}


def test_verifiers_are_freed_with_the_functions_that_refer_to_them(bed: Bed) -> None:
    gc.collect()
    handles = _native.live_handles()

    class App:
        def __init__(self) -> None:
            self.verifier = bed.verifier(seal_secret=SECRET, first_use=self.first_use)

        def first_use(self, nonce: str, expires_at: datetime) -> bool:
            return True

    app = App()
    request = bed.received("k", bed.callback("/echo").seal(SECRET, 60))
    event = request.verified(app.verifier)
    assert event.seal
    watched = weakref.ref(app)
    del app, event
    gc.collect()
    assert watched() is None
    assert _native.live_handles() == handles
