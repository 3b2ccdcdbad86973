"""The scenarios of tests/scenarios.toml, by their names."""

from __future__ import annotations

import base64
import errno
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import pytest
from conftest import BUCKET, HANG, Bed, callbacks_with, handles_at_rest, until
from oss_callback import (
    Callback,
    CallbackFailedError,
    Client,
    Credentials,
    IntegrityError,
    InvalidArgumentError,
    NetworkError,
    ServiceError,
    Signer,
    TimeoutError,
)

FORM = (
    "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}"
    "&crc64=${crc64}&order=${x:order}"
)


DATA_CRC64 = 14062946763493764991


def form(body: str) -> dict[str, str]:
    fields = parse_qs(body, keep_blank_values=True, strict_parsing=True)
    return {name: values[0] for name, values in fields.items()}


def test_reply_comes_back(bed: Bed) -> None:
    reply = bed.put("reply.txt")
    assert reply.body == b'{"Status":"OK"}'
    assert reply.text == '{"Status":"OK"}'
    assert reply.json() == {"Status": "OK"}
    assert reply.content_type == "application/json"
    assert reply.etag == "8D777F385D3DFEC8815D20F7496026DC"
    assert reply.crc64 == DATA_CRC64
    assert reply.request_id
    assert reply.version_id is None
    assert reply.server_time is None or reply.server_time >= 0


def test_application_server_receives_the_callback(bed: Bed) -> None:
    body = '{"key":${object},"size":${size},"who":${x:who},"mime":${mimeType}}'
    callback = bed.callback(
        "/echo", body=body, body_type="json", vars={"who": "张三 & co"}, headers={"X-Trace": "t-1"}
    )
    with bed.client() as client:
        reply = client.put_object_with_callback(BUCKET, "目录/图.jpg", b"12345", callback)
    seen = reply.json()
    assert seen["method"] == "POST"
    assert seen["target"] == "/echo"
    headers = dict_of(seen["headers"])
    assert headers["content-type"] == "application/json"
    assert headers["x-trace"] == "t-1"
    assert '"who":"张三 & co"' in seen["body"]
    assert '"key":"目录/图.jpg","size":5' in seen["body"]
    assert '"mime":"image/jpeg"' in seen["body"]


def dict_of(headers: Any) -> dict[str, str]:
    pairs = headers.items() if isinstance(headers, dict) else headers
    return {name.lower(): value for name, value in pairs}


@pytest.mark.parametrize("body_type", ["form", "json"])
def test_built_fields_reach_the_application_server(bed: Bed, body_type: Any) -> None:
    fields = {"key": "${object}", "size": "${size}", "note": 'a&b=c "quoted" ü', "order": "${x:order}"}
    callback = bed.callback("/echo", fields=fields, body_type=body_type, vars={"order": "4+2 %"})
    with bed.client() as client:
        reply = client.put_object_with_callback(BUCKET, "dir/ü +.txt", b"123", callback)
    body = reply.json()["body"]
    import json

    seen = json.loads(body) if body_type == "json" else form(body)
    assert seen["key"] == "dir/ü +.txt"
    assert str(seen["size"]) == "3"
    assert seen["note"] == 'a&b=c "quoted" ü'
    assert seen["order"] == "4+2 %"


def test_preview_shows_the_body_that_is_sent(bed: Bed) -> None:
    callback = bed.callback("/echo", body=FORM, vars={"order": "a b/ü"})
    with bed.client() as client:
        reply = client.put_object_with_callback(BUCKET, "p q.txt", b"data", callback)
    preview = callback.preview(
        bucket=BUCKET,
        object="p q.txt",
        etag=reply.etag,
        size=4,
        mime_type="text/plain",
        crc64=reply.crc64,
    )
    assert preview == reply.json()["body"]


def test_reply_views_never_fail_the_upload(bed: Bed) -> None:
    expected = {"text": b"thank you", "empty": b"", "binary": b"\xfe\x00\xff"}
    with bed.faulty() as client:
        for kind, body in expected.items():
            reply = client.put_object_with_callback(BUCKET, f"{kind}/a", b"data", bed.callback())
            assert reply.body == body
            assert isinstance(reply.text, str)
            with pytest.raises(InvalidArgumentError, match="upload itself succeeded") as failure:
                reply.json()
            assert isinstance(failure.value.__cause__, ValueError)
        reply = client.put_object_with_callback(BUCKET, "json/a", b"data", bed.callback())
        assert isinstance(reply.json(), dict)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("/status/500", "bad_status"),
        ("/redirect", "bad_status"),
        ("/reset", "unreachable"),
        ("/empty", "bad_content_length"),
        ("/text", "not_json"),
        ("/bom", "not_json"),
        (None, "unreachable"),
    ],
)
def test_failed_callback_says_the_object_is_stored(bed: Bed, path: str | None, cause: str) -> None:
    callback = bed.callback(path) if path else Callback(closed_port() + "/cb")
    with bed.client() as client, pytest.raises(CallbackFailedError) as failure:
        client.put_object_with_callback(BUCKET, "failed.txt", b"data", callback)
    error = failure.value
    assert error.kind == "callback_failed"
    assert isinstance(error, ServiceError)
    assert error.status == 203
    assert error.stored is True
    assert error.etag == "8D777F385D3DFEC8815D20F7496026DC"
    assert error.crc64 == DATA_CRC64
    assert error.code == "CallbackFailed"
    assert error.ec
    assert error.ec.startswith("0007-000002")
    assert error.request_id
    assert error.cause == cause
    assert error.hint
    assert error.hint in str(error)
    if path == "/status/500":
        assert error.callback_status == 500


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_callback_in_the_query_works_the_same(bed: Bed) -> None:
    with bed.client() as client:
        reply = client.put_object_with_callback(
            BUCKET, "query.txt", b"data", bed.callback(vars={"order": "42"}), callback_in="query"
        )
        assert reply.json() == {"Status": "OK"}
        with pytest.raises(CallbackFailedError):
            client.put_object_with_callback(
                BUCKET, "query.txt", b"data", bed.callback("/status/500"), callback_in="query"
            )


def test_wrong_secret_is_a_service_error(bed: Bed) -> None:
    with bed.client(access_key_secret="wr0ng-secret") as client, pytest.raises(ServiceError) as failure:
        client.put_object_with_callback(BUCKET, "a.txt", b"data", bed.callback())
    error = failure.value
    assert type(error) is ServiceError
    assert (error.status, error.code) == (403, "SignatureDoesNotMatch")
    assert error.request_id
    assert error.string_to_sign
    assert not error.stored
    for secret in ["wr0ng-secret", error.string_to_sign, "Signature="]:
        assert secret not in str(error)
        assert secret not in repr(error)


def test_unknown_option_is_refused_with_a_suggestion(bed: Bed) -> None:
    with bed.client() as client, pytest.raises(InvalidArgumentError, match="content_type") as failure:
        client.put_object_with_callback(
            BUCKET, "typo.txt", b"data", bed.callback("/ok?typo"), content_typ="text/plain"
        )
    assert failure.value.field == "content_typ"
    assert isinstance(failure.value, TypeError)
    # None does not excuse it.
    with pytest.raises(InvalidArgumentError, match="did you mean `connect_timeout`"):
        bed.client(connectTimeout=None)
    with pytest.raises(InvalidArgumentError, match="did you mean `body_type`"):
        Callback("https://app.example.com/cb", bodytype="json")  # type: ignore[arg-type]


def test_invalid_callback_is_refused_before_anything_is_sent() -> None:
    url = "https://app.example.com/cb"
    refused: list[tuple[dict[str, Any], str]] = [
        ({"url": url, "body": "a=${objct}"}, "callback.body"),
        ({"url": url, "body": "a=${x:order}"}, "callback.body"),
        ({"url": "ftp://app.example.com/cb"}, "callback.url"),
    ]
    for arguments, field in refused:
        with pytest.raises(InvalidArgumentError) as failure:
            Callback(**arguments)
        assert failure.value.field == field
        assert failure.value.hint
    with pytest.raises(InvalidArgumentError) as failure:
        Callback("ftp://app.example.com/cb")
    assert failure.value.ec == "0007-00000004"


def test_invalid_arguments_name_their_field(bed: Bed) -> None:
    with bed.client() as client:

        def refused(field: str, *arguments: Any, **options: Any) -> InvalidArgumentError:
            with pytest.raises(InvalidArgumentError) as failure:
                client.put_object_with_callback(*arguments, bed.callback(), **options)
            assert failure.value.field == field
            return failure.value

        refused("bucket", "Bad_Bucket", "k", b"")
        refused("key", BUCKET, "", b"")
        refused("traffic_limit", BUCKET, "k", b"", traffic_limit=1)
        refused("traffic_limit", BUCKET, "k", b"", traffic_limit=-1)
        refused("metadata", BUCKET, "k", b"", metadata={"a": "b\nc"})
        refused("acl", BUCKET, "k", b"", acl="publik")
        refused("timeout", BUCKET, "k", b"", timeout=float("nan"))
        refused("timeout", BUCKET, "k", b"", timeout=0)
        refused("key", BUCKET, "lone \ud800 surrogate", b"")
        for field, wrong in {
            "content_type": {"content_type": 5},
            "timeout": {"timeout": "3"},
            "forbid_overwrite": {"forbid_overwrite": 1},
            "traffic_limit": {"traffic_limit": 819200.0},
            "metadata": {"metadata": "a=b"},
            'metadata["n"]': {"metadata": {"n": 1}},
        }.items():
            assert isinstance(refused(field, BUCKET, "k", b"", **wrong), TypeError)
        hint = refused("data", BUCKET, "k", "text").hint
        assert hint == "Encode text: `data.encode()`. Make a path of a name: `pathlib.Path(name)`."
        refused("bucket", None, "k", b"")
        with pytest.raises(InvalidArgumentError, match=r"Callback\(url\)"):
            client.put_object_with_callback(BUCKET, "k", b"", "https://app.example.com/cb")  # type: ignore[arg-type]


def test_signature_v1_and_v4_work(bed: Bed) -> None:
    for version in ["v1", "v4"]:
        with bed.client(signature_version=version) as client:
            reply = client.put_object_with_callback(BUCKET, f"{version}.txt", b"data", bed.callback())
            assert reply.json() == {"Status": "OK"}


def test_sts_token_is_sent_and_checked(bed: Bed) -> None:
    pair = {
        "access_key_id": bed.addresses["STS_ACCESS_KEY_ID"],
        "access_key_secret": bed.addresses["STS_ACCESS_KEY_SECRET"],
    }
    with bed.client(**pair, security_token=bed.addresses["STS_TOKEN"]) as client:
        assert client.put_object_with_callback(BUCKET, "sts.txt", b"data", bed.callback()).etag
    with bed.client(**pair, security_token="an0ther") as client, pytest.raises(ServiceError) as failure:
        client.put_object_with_callback(BUCKET, "sts.txt", b"data", bed.callback())
    assert failure.value.status == 403
    assert "an0ther" not in str(failure.value)


def test_awkward_keys_arrive_byte_for_byte(bed: Bed) -> None:
    keys = [
        "a//b",
        "a/./b",
        "a/../b",
        "./a",
        "plus+plus",
        "per%cent",
        "slash%2Fslash",
        "ask?me",
        "hash#tag",
        "  blanks  ",
        "quote'\"quote",
        "amp&eq=semi;colon:",
        "tilde~!*()",
        "汉字/ü/😀",
        "back\\slash",
        "${object}",
    ]
    callback = bed.callback("/echo", body="object=${object}")
    with bed.client() as client:
        for key in keys:
            reply = client.put_object_with_callback(BUCKET, key, b"data", callback)
            assert form(reply.json()["body"]) == {"object": key}


def test_sizes_0_1_and_64_mib_arrive_whole(bed: Bed) -> None:
    callback = bed.callback("/echo", body="size=${size}&crc64=${crc64}")
    with bed.client() as client:
        for data in [b"", b"1", os.urandom(64) * (1 << 20)]:
            reply = client.put_object_with_callback(BUCKET, "size.bin", data, callback)
            assert form(reply.json()["body"]) == {"size": str(len(data)), "crc64": str(reply.crc64)}


def test_upload_options_arrive(bed: Bed) -> None:
    callback = bed.callback("/echo", body="mime=${mimeType}")
    with bed.client() as client:
        reply = client.put_object_with_callback(
            BUCKET,
            "options.bin",
            b"data",
            callback,
            content_type="image/x-own",
            metadata={"owner": "me"},
            tagging={"team": "a/b"},
            cache_control="no-cache",
            storage_class="IA",
        )
    assert form(reply.json()["body"]) == {"mime": "image/x-own"}


def test_damaged_data_is_an_integrity_error(bed: Bed) -> None:
    with bed.faulty() as client, pytest.raises(IntegrityError) as failure:
        client.put_object_with_callback(BUCKET, "wrong-crc/a", b"data", bed.callback())
    error = failure.value
    assert (error.retryable, error.stored) == (False, False)
    assert error.etag


def test_refused_connection_is_a_network_error(bed: Bed) -> None:
    dead = bed.addresses["DEAD_ENDPOINT"]
    with bed.client(endpoint=dead) as client, pytest.raises(NetworkError) as failure:
        client.put_object_with_callback(BUCKET, "secret-name", b"data", bed.callback())
    assert isinstance(failure.value, ConnectionError)
    assert failure.value.os_error == errno.ECONNREFUSED
    assert isinstance(failure.value.__cause__, ConnectionRefusedError)
    assert dead.removeprefix("http://") in str(failure.value)
    assert "secret-name" not in str(failure.value)


def test_timeout_is_reported(bed: Bed) -> None:
    start = time.monotonic()
    with bed.faulty() as client, pytest.raises(TimeoutError) as failure:
        client.put_object_with_callback(BUCKET, "hang/a", b"data", bed.callback(), timeout=0.3)
    assert 0.3 <= time.monotonic() - start < HANG / 2
    assert isinstance(failure.value, OSError)
    with bed.faulty(timeout=0.3) as client, pytest.raises(TimeoutError):
        client.put_object_with_callback(BUCKET, "hang/a", b"data", bed.callback())


def test_cancel_ends_the_call_promptly(bed: Bed) -> None:
    """Python's own way in a thread is Ctrl-C; for tasks see test_aio.py."""
    with bed.faulty() as client:
        timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
        timer.start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            client.put_object_with_callback(BUCKET, "hang/a", b"data", bed.callback())
        assert time.monotonic() - start < HANG / 10
        timer.join()
        reply = client.put_object_with_callback(BUCKET, "json/a", b"data", bed.callback())
        assert reply.etag


def test_parallel_calls_share_one_client(bed: Bed) -> None:
    with bed.client() as client, ThreadPoolExecutor(64) as pool:

        def put(number: int) -> bytes:
            callback = bed.callback("/delay/1000")
            return client.put_object_with_callback(BUCKET, f"parallel/{number}", b"data", callback).body

        start = time.monotonic()
        bodies = list(pool.map(put, range(64)))
        assert time.monotonic() - start < 64 / 2, "64 calls of 1 s took as long as one after the other"
    assert bodies == [b'{"Status":"OK"}'] * 64


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_works_after_fork(bed: Bed) -> None:
    with bed.client() as client:

        def put(name: str) -> bytes:
            return client.put_object_with_callback(BUCKET, f"fork/{name}", b"data", bed.callback()).body

        assert put("before")
        child = os.fork()
        if child == 0:
            # No way out of here may reach the test runner.
            try:
                os._exit(0 if put("child") == b'{"Status":"OK"}' and put("again") else 1)
            finally:
                os._exit(2)
        assert wait_for(child, 60) == 0
        assert put("after") == b'{"Status":"OK"}'


def wait_for(child: int, seconds: float) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


def test_handles_are_freed(bed: Bed) -> None:
    before = handles_at_rest()
    callback = bed.callback()
    signer = Signer("id", "secret", region="cn-hangzhou")
    client = bed.client()
    reply = client.put_object_with_callback(BUCKET, "handles.txt", b"data", callback)
    presigned = signer.presign("GET", bucket=BUCKET, key="a", expires_in=60)
    with pytest.raises(InvalidArgumentError):
        client.put_object_with_callback("", "k", b"data", callback)
    with pytest.raises(CallbackFailedError):
        client.put_object_with_callback(BUCKET, "handles.txt", b"data", bed.callback("/status/500"))
    assert handles_at_rest(before + 5) == before + 5
    client.close()
    client.close()
    with pytest.raises(InvalidArgumentError, match="closed"):
        client.put_object_with_callback(BUCKET, "handles.txt", b"data", callback)
    del callback, signer, client, reply, presigned
    assert handles_at_rest(before) == before


def test_data_is_taken_from_every_kind_of_buffer(bed: Bed) -> None:
    import array
    import mmap

    callback = bed.callback("/echo", body="size=${size}&crc64=${crc64}")
    with bed.client() as client, mmap.mmap(-1, 6) as mapped:
        mapped.write(b"abcdef")
        buffers = [b"abcdef", bytearray(b"abcdef"), memoryview(b"abcdef"), memoryview(b"a.b.c.d.e.f.")[::2]]
        sizes = set()
        for data in [*buffers, array.array("B", b"abcdef"), mapped]:
            reply = client.put_object_with_callback(BUCKET, "buffer", data, callback)
            sizes.add(reply.json()["body"])
        assert len(sizes) == 1, sizes


def test_data_that_is_changed_during_the_call_is_sent_as_it_was(bed: Bed) -> None:
    data = bytearray(b"a" * 100_000)
    callback = bed.callback("/ok", body="crc64=${crc64}")
    asked, changed = threading.Event(), threading.Event()

    def credentials() -> Credentials:
        # The call has begun, and nothing is sent yet.
        asked.set()
        assert changed.wait(HANG)
        return Credentials(bed.addresses["OSS_ACCESS_KEY_ID"], bed.addresses["OSS_ACCESS_KEY_SECRET"])

    options = bed.options(credentials_provider=credentials)
    del options["access_key_id"], options["access_key_secret"]
    with Client(**options) as client, bed.client() as another, ThreadPoolExecutor(1) as pool:
        expected = another.put_object_with_callback(BUCKET, "mutable", bytes(data), callback).crc64
        call = pool.submit(client.put_object_with_callback, BUCKET, "mutable", data, callback)
        assert asked.wait(HANG)
        data[:] = b"b" * 10
        changed.set()
        assert call.result().crc64 == expected


def test_a_call_under_way_survives_the_closing_of_its_client(bed: Bed) -> None:
    client = bed.client()
    with ThreadPoolExecutor(1) as pool:
        callback = bed.callback("/delay/1000", body="a-client-is-closed")
        call = pool.submit(client.put_object_with_callback, BUCKET, "closing", b"data", callback)
        until(lambda: callbacks_with(bed, "a-client-is-closed"))
        assert not call.done()
        client.close()
        assert call.result().text == '{"Status":"OK"}'


def test_md5_option_is_computed(bed: Bed) -> None:
    with bed.client() as client:
        assert client.put_object_with_callback(
            BUCKET, "md5", b"data", bed.callback(), content_md5="auto"
        ).etag
        wrong = base64.b64encode(b"0" * 16).decode()
        with pytest.raises(ServiceError):
            client.put_object_with_callback(BUCKET, "md5", b"data", bed.callback(), content_md5=wrong)


def test_options_from_the_environment(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["OSS_ENDPOINT", "OSS_REGION", "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"]:
        monkeypatch.setenv(name, bed.addresses[name])
    with Client() as client:
        assert client.endpoint == bed.addresses["OSS_ENDPOINT"]
        assert client.region == bed.addresses["OSS_REGION"]
        assert client.put_object_with_callback(BUCKET, "env", b"data", bed.callback()).etag
    assert client.closed
