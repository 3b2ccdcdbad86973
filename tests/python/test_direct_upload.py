"""Uploads without the library at the sender's side: by the signed URL and the form of
`py/examples/direct_upload.py`, over plain HTTP, as a browser makes them."""

from __future__ import annotations

import http.client
import json
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import BUCKET, Bed, Request
from oss_callback import Signer, VerificationError
from test_example import run

SECRET = "0123456789abcdef0123456789abcdef"
DATA = b"not really a picture"


@pytest.fixture
def handed_out(testbed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the example gives to the browser. The application server answers with what it was sent."""
    monkeypatch.setenv("SEAL_SECRET", SECRET)
    out, err = run(testbed, "direct_upload.py", callback="/echo")
    assert err == ""
    return json.loads(out)


def sent(method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    # Nothing is added to the headers, as urllib would.
    connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers)
    answer = connection.getresponse()
    status, body = answer.status, answer.read()
    connection.close()
    return status, body


def posted(form: dict[str, Any], data: bytes = DATA, **changed: str) -> tuple[int, bytes]:
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (form["fields"] | changed).items()
    ]
    head = 'Content-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg'
    # The file comes last: OSS ignores what follows it.
    body = "".join(parts).encode() + f"--{boundary}\r\n{head}\r\n\r\n".encode()
    body += data + f"\r\n--{boundary}--\r\n".encode()
    return sent("POST", form["url"], {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body)


def as_received(answer: bytes) -> Request:
    seen = json.loads(answer)
    headers = [(name, value) for name, value in seen["headers"]]
    return Request(seen["target"], headers, seen["body"].encode(), seen["method"])


@pytest.mark.parametrize("way", ["put", "form"])
def test_the_browser_gets_the_answer_and_the_server_a_sealed_callback(
    handed_out: Any, bed: Bed, way: str
) -> None:
    given = handed_out[way]
    if way == "put":
        status, answer = sent(given["method"], given["url"], given["headers"], DATA)
    else:
        status, answer = posted(given)
    assert status == 200, answer
    verifier = bed.verifier(bucket=BUCKET, seal_secret=SECRET)
    event = as_received(answer).verified(verifier)
    assert (event.variable("user"), event.size, event.mime_type) == ("alice", len(DATA), "image/jpeg")
    assert event.key == handed_out["form"]["fields"]["key"]


def test_a_callback_that_the_browser_leaves_out_or_changes_is_refused(handed_out: Any) -> None:
    put = handed_out["put"]
    for name in ["x-oss-callback", "x-oss-callback-var", "Content-Type"]:
        others = {key: value for key, value in put["headers"].items() if key != name}
        status, answer = sent("PUT", put["url"], others, DATA)
        assert (status, b"SignatureDoesNotMatch" in answer) == (403, True), name
    form = handed_out["form"]
    status, answer = posted(form, callback="e30=")
    assert (status, b"Policy Condition failed" in answer) == (403, True), answer
    fields = {name: value for name, value in form["fields"].items() if name != "callback"}
    assert posted({"url": form["url"], "fields": fields})[0] == 403


def test_a_variable_that_the_browser_changes_in_a_form_breaks_the_seal(handed_out: Any, bed: Bed) -> None:
    status, answer = posted(handed_out["form"], **{"x:user": "mallory"})
    assert status == 200
    with pytest.raises(VerificationError) as caught:
        as_received(answer).verified(bed.verifier(seal_secret=SECRET))
    assert caught.value.reason == "seal_wrong"


def test_a_callback_in_the_query_needs_nothing_from_the_sender(bed: Bed) -> None:
    at = bed.addresses
    signer = Signer(at["OSS_ACCESS_KEY_ID"], at["OSS_ACCESS_KEY_SECRET"], region=at["OSS_REGION"])
    callback = bed.callback("/echo", vars={"user": "alice"}, seal=(SECRET, 60)).sealed_for(BUCKET, "query")
    query = {"callback": callback.encoded, "callback-var": callback.encoded_vars}
    request = signer.presign(
        "PUT", endpoint=at["OSS_ENDPOINT"], bucket=BUCKET, key="query", query=query, expires_in=60
    )
    assert request.headers == {}
    status, answer = sent("PUT", request.url, {}, DATA)
    assert status == 200, answer
    event = as_received(answer).verified(bed.verifier(seal_secret=SECRET))
    assert event.variable("user") == "alice"


def test_status_203_tells_the_browser_that_the_object_is_stored_and_the_callback_failed(
    testbed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAL_SECRET", SECRET)
    out, _ = run(testbed, "direct_upload.py", callback="/status/500")
    given = json.loads(out)
    put = given["put"]
    for status, answer in [sent("PUT", put["url"], put["headers"], DATA), posted(given["form"])]:
        assert (status, b"<Code>CallbackFailed</Code>" in answer) == (203, True), answer
