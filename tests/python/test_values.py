"""Callbacks, replies and signers as values: how they print, compare, pickle, and what they refuse."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import oss_callback
import pytest
from oss_callback import (
    Callback,
    CallbackReply,
    CallbackVerifier,
    InvalidArgumentError,
    PresignedRequest,
    Signer,
)

URL = "https://app.example.com/cb"
TIME = 1_702_743_657


def test_a_callback_shows_what_it_is_made_of() -> None:
    callback = Callback(
        [URL, "https://b.example.com/cb"],
        body='{"key":${object},"n":${x:n}}',
        body_type="json",
        host="app.example.com",
        vars={"n": "s3cret-value"},
        headers={"X-A": "s3cret-header"},
    )
    assert callback.urls == (URL, "https://b.example.com/cb")
    assert callback.body == '{"key":${object},"n":${x:n}}'
    assert (callback.body_type, callback.host, callback.sni) == ("json", "app.example.com", True)
    assert callback.vars == {"x:n": "s3cret-value"}
    assert callback.headers == {"X-A": "s3cret-header"}
    assert callback.policy is None
    assert callback.warnings == ()
    assert callback.vars_json == '{"x:n":"s3cret-value"}'
    assert "s3cret" not in repr(callback)
    assert repr(callback).startswith('<Callback urls: ["https://app.example.com/cb"')


def test_a_policy_takes_the_place_of_the_url() -> None:
    callback = Callback(policy="stored", vars={"n": "1"})
    assert (callback.urls, callback.body, callback.policy) == ((), None, "stored")
    with pytest.raises(InvalidArgumentError, match="policy"):
        callback.preview()
    with pytest.raises(InvalidArgumentError, match=r"callback\.url"):
        Callback()


def test_callbacks_compare_by_what_is_sent_and_pickle() -> None:
    callback = Callback(URL, vars={"n": "1"}, body_type="form")
    assert callback == Callback(URL, vars={"x:n": "1"}, body_type="form")
    assert callback != Callback(URL, vars={"n": "2"}, body_type="form")
    assert callback != URL
    assert len({callback, Callback(URL, vars={"n": "1"}, body_type="form")}) == 1
    for twin in [pickle.loads(pickle.dumps(callback)), copy.copy(callback), copy.deepcopy(callback)]:
        assert type(twin) is Callback
        assert (twin.encoded, twin.encoded_vars) == (callback.encoded, callback.encoded_vars)


def test_mappings_of_every_kind_are_taken_and_others_refused() -> None:
    for vars in [{"n": "1"}, OrderedDict(n="1"), MappingProxyType({"n": "1"})]:
        assert Callback(URL, vars=vars).vars == {"x:n": "1"}
    wrong: list[Any] = ["n=1", [("n", "1")], 5, {"n": 1}, {1: "n"}, {"n": None}]
    for vars in wrong:
        with pytest.raises(InvalidArgumentError, match="vars") as failure:
            Callback(URL, vars=vars)
        assert isinstance(failure.value, TypeError)
    for url in [5, [5], b"https://app.example.com/cb"]:
        with pytest.raises(InvalidArgumentError, match="url"):
            Callback(url)  # type: ignore[arg-type]


def test_bytes_for_a_text_or_a_list_of_texts_are_to_be_decoded() -> None:
    # A hint that is followed must not lead to the next refusal.
    for url in [URL.encode(), [URL.encode()]]:
        with pytest.raises(
            TypeError, match=r"url: must be str, not bytes\. Decode it: `value\.decode\(\)`\."
        ):
            Callback(url)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"bucket: must be str, not bytes\. Decode it"):
        CallbackVerifier(bucket=b"examplebucket")  # type: ignore[arg-type]
    signer = Signer("id", "secret", region="cn-hangzhou")
    with pytest.raises(TypeError, match=r"must be a sequence of str, not bytes\. Decode it"):
        signer.sign("PUT", additional_headers=b"host")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"must be a sequence of str, not str\. Put it into a list"):
        signer.sign("PUT", additional_headers="host")


def test_preview_takes_python_names_and_those_of_oss() -> None:
    callback = Callback(URL, body="w=${imageInfo.width}&m=${mimeType}&o=${operation}&s=${size}")
    expected = "w=3&m=a%2Fb&o=PutObject&s=0"
    assert callback.preview(image_width=3, mime_type="a/b", operation="PutObject") == expected
    oss_names = {"imageInfo.width": 3, "mimeType": "a/b"}
    assert callback.preview(**oss_names, operation="PutObject") == expected  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="mimetype"):
        callback.preview(mimetype="a/b")
    with pytest.raises(InvalidArgumentError, match="whole number"):
        callback.preview(size=-1)


def test_replies_can_be_made_by_hand_and_pickle() -> None:
    reply = CallbackReply(b'{"a":1}', content_type="application/json", crc64=2**64 - 1, server_time=0.25)
    twin = pickle.loads(pickle.dumps(reply))
    for name in ["body", "content_type", "etag", "crc64", "version_id", "request_id", "server_time", "text"]:
        assert getattr(twin, name) == getattr(reply, name)
    assert twin.json() == {"a": 1}
    assert repr(reply) == '<CallbackReply body=7 bytes content_type="application/json">'
    assert CallbackReply(b"\xff\xfea").text == "\ufffd\ufffda"
    with pytest.raises(AttributeError):
        reply.etag = "x"  # type: ignore[misc]


def test_what_is_exported_pickles_by_its_name() -> None:
    for name in oss_callback.__all__:
        thing = getattr(oss_callback, name)
        assert pickle.loads(pickle.dumps(thing)) == thing, name


def test_deeply_nested_json_is_an_error_of_its_own() -> None:
    with pytest.raises(InvalidArgumentError, match="not JSON"):
        CallbackReply(b"[" * 200_000).json()


def signer(**options: Any) -> Signer:
    return Signer("LTAI", "s3cret", **({"region": "cn-hangzhou"} | options))


def test_a_time_is_an_aware_datetime_or_unix_seconds() -> None:
    expected = signer().sign("GET", bucket="examplebucket", time=TIME)
    for time in [
        float(TIME) + 0.5,
        datetime.fromtimestamp(TIME, timezone.utc),
        datetime.fromtimestamp(TIME, timezone(timedelta(hours=8))),
    ]:
        assert signer().sign("GET", bucket="examplebucket", time=time) == expected
    assert signer().sign("GET", bucket="examplebucket")["x-oss-date"]
    for wrong in [datetime(2023, 12, 16), "20231216T162057Z", float("inf"), -1e300, True]:
        with pytest.raises(InvalidArgumentError, match="time"):
            signer().sign("GET", bucket="examplebucket", time=wrong)  # type: ignore[arg-type]


def test_a_duration_is_seconds_or_a_timedelta() -> None:
    urls = {
        signer().presign("GET", bucket="examplebucket", key="a", expires_in=span, time=TIME).url
        for span in [60, 60.0, timedelta(minutes=1)]
    }
    assert len(urls) == 1
    for wrong in [0, -1, float("nan"), timedelta(days=8), "60", None]:
        with pytest.raises(InvalidArgumentError, match="expires_in"):
            signer().presign("GET", bucket="examplebucket", key="a", expires_in=wrong)  # type: ignore[arg-type]


def test_the_endpoint_of_a_presigned_url_is_the_regions_by_default() -> None:
    headers = {"Content-Type": "a/b"}
    request = signer().presign("PUT", bucket="examplebucket", key="a b", expires_in=60, headers=headers)
    assert request.url.startswith("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a%20b?")
    assert request.method == "PUT"
    assert request.headers == {"Content-Type": "a/b"}
    assert "Signature" not in repr(request)
    twin = pickle.loads(pickle.dumps(request))
    assert (twin.method, twin.url, twin.headers) == (request.method, request.url, request.headers)
    assert PresignedRequest("GET", "https://a.example/", {}).headers == {}


def test_a_query_is_pairs_or_a_mapping() -> None:
    pairs = signer().sign("GET", bucket="examplebucket", query=[("acl", None), ("a", "b")], time=TIME)
    assert signer().sign("GET", bucket="examplebucket", query={"acl": None, "a": "b"}, time=TIME) == pairs
    for wrong in ["acl", [("a",)], ["acl"], [("a", 5)], 5]:
        with pytest.raises(InvalidArgumentError, match="query"):
            signer().sign("GET", bucket="examplebucket", query=wrong)  # type: ignore[arg-type]


def test_a_signer_refuses_what_it_cannot_sign_and_keeps_its_secret() -> None:
    for wrong in [{"region": None}, {"region": "oss-cn-hangzhou"}, {"version": "v5"}, {"product": ""}]:
        with pytest.raises(InvalidArgumentError):
            signer(**wrong)
    with pytest.raises(InvalidArgumentError):
        signer().sign("get", bucket="examplebucket")
    with pytest.raises(InvalidArgumentError, match="additional_headers"):
        signer().sign("GET", additional_headers="host")
    assert repr(signer()) == "<Signer v4 cn-hangzhou>"
    with pytest.raises(TypeError):
        pickle.dumps(signer())


def test_a_policy_is_signed_with_the_conditions_it_must_hold() -> None:
    import json

    conditions = [{name: value} for name, value in signer().policy_conditions(time=TIME).items()]
    policy = json.dumps({"expiration": "2030-01-01T00:00:00Z", "conditions": conditions})
    fields = signer().sign_policy(policy, time=TIME)
    assert next(iter(fields)) == "policy"
    assert fields["x-oss-signature"]
    with pytest.raises(InvalidArgumentError, match="policy"):
        signer().sign_policy('{"expiration":"2030-01-01T00:00:00Z","conditions":[]}', time=TIME)
