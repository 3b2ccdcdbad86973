"""The receiving side beyond the scenarios: what is Python's own in verifiers, seals and events."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import json
import pickle
import re
import threading
import time
import weakref
from datetime import datetime, timedelta, timezone

import pytest
from conftest import BUCKET, Bed, Request
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
from test_receiving import REAL, SECRET, official, refused, with_header


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


def test_options_of_the_verifier_are_checked() -> None:
    for options, field in [
        ({"trusted_keys": "rubbish"}, "trusted_keys"),
        ({"official_keys": False}, "official_keys"),
        ({"seal_secret": "short"}, "seal_secret"),
        ({"template_type": "json"}, "template_type"),
        ({"template": "a=${nonsense}"}, "template"),
        ({"first_use": lambda nonce, expires_at: True}, "first_use"),
        ({"max_body": -1}, "max_body"),
        ({"body_timeout": 0}, "body_timeout"),
        ({"body_timeout": -1}, "body_timeout"),
        ({"body_timeout": float("inf")}, "body_timeout"),
        ({"body_timeout": timedelta(days=1000)}, "body_timeout"),
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
    assert CallbackVerifier().body_timeout == 5
    assert CallbackVerifier(body_timeout=0.25).body_timeout == 0.25
    assert CallbackVerifier(body_timeout=timedelta(milliseconds=1500)).body_timeout == 1.5
    shown = repr(CallbackVerifier(seal_secret=SECRET))
    assert re.fullmatch(r"<CallbackVerifier .*>", shown)
    assert SECRET not in shown


def test_a_check_is_not_switched_off_by_accident() -> None:
    for options, field in [
        ({"seal_secret": None}, "seal_secret"),
        ({"seal_secret": []}, "seal_secret"),
        ({"seal_secret": ""}, "seal_secret"),
        ({"bucket": None}, "bucket"),
        ({"bucket": ()}, "bucket"),
        ({"bucket": iter([])}, "bucket"),
        ({"seal_secret": SECRET, "first_use": None}, "first_use"),
        ({"trusted_keys": []}, "trusted_keys"),
    ]:
        with pytest.raises(InvalidArgumentError) as raised:
            CallbackVerifier(**options)  # type: ignore[arg-type]
        error = raised.value
        assert error.field == field
        if options[field] != "":
            assert str(error) == f"{field}: {error.message}. {error.hint}"
            empty = options[field] is not None
            expected = "must not be an empty list" if empty else "is None, which would switch the check off"
            assert error.message == expected
            assert "eave it out" in str(error.hint)
    # The examples' way to say that OSS's own keys will do.
    assert CallbackVerifier(seal_secret=[SECRET], bucket=["b"], trusted_keys=None, fetch_key=None)
    shown = str(inspect.signature(CallbackVerifier))
    assert "bucket: 'str | Sequence[str] | _LeftOut' = <left out>" in shown


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
