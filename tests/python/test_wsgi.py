"""What the adapters for WSGI make of the environments that servers hand over, without a server."""

from __future__ import annotations

import io
import os
import sys
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from conftest import Bed, Request
from oss_callback import CallbackVerifier, wsgi
from test_frameworks import PATH, captured, flask_app


def from_environ(request: Request, **more: Any) -> dict[str, Any]:
    """What a server tells an application of a request, and more."""
    path, _, query = request.target.partition("?")
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    for name, value in request.headers:
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        environ[name] = environ.pop(f"HTTP_{name}")
    return environ | {
        "REQUEST_METHOD": request.method,
        "REQUEST_URI": request.target,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(request.body),
        **more,
    }


def django_view_app(verifier: CallbackVerifier, handler: Any) -> Any:
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIRequest
    from oss_callback.django import callback_view

    if not settings.configured:
        settings.configure()
    view = callback_view(verifier)(handler)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        answer = view(WSGIRequest(environ))
        start_response(f"{answer.status_code} {answer.reason_phrase}", list(answer.items()))
        return [answer.content]

    return application


WSGI_APPS = pytest.mark.parametrize("make", [wsgi.CallbackApp, flask_app, django_view_app])


def answered(app: Any, environ: dict[str, Any]) -> str:
    told: list[str] = []
    b"".join(app(environ, lambda status, headers, *_: told.append(status)))
    return told[0]


@WSGI_APPS
def test_what_a_wsgi_server_tells_in_two_ways_is_one_header(make: Any, bed: Bed) -> None:
    genuine = captured(bed, PATH)
    plain = from_environ(genuine)
    # As nginx's `uwsgi_params` and `uwsgi_pass_request_headers` together have uWSGI tell them.
    again = {f"HTTP_{name}": plain[name] for name in ("CONTENT_TYPE", "CONTENT_LENGTH")}
    app = make(bed.verifier(), lambda event: {"key": event.key})
    for environ in (plain, from_environ(genuine, **again)):
        assert answered(app, environ) == "200 OK"


def test_wsgi_headers_are_told_once_under_whichever_name_there_is() -> None:
    for environ, expected in [
        (
            {"CONTENT_TYPE": "a/b", "HTTP_CONTENT_TYPE": "c/d", "HTTP_X_A": "1"},
            {"CONTENT-TYPE": "a/b", "X-A": "1"},
        ),
        ({"CONTENT_TYPE": "", "HTTP_CONTENT_TYPE": "c/d"}, {"CONTENT-TYPE": "c/d"}),
        ({"HTTP_CONTENT_LENGTH": "3", "CONTENT_MD5": "not a header"}, {"CONTENT-LENGTH": "3"}),
        ({"CONTENT_TYPE": "", "CONTENT_LENGTH": ""}, {}),
    ]:
        assert sorted(wsgi.headers(environ)) == sorted(expected.items())


@WSGI_APPS
def test_the_largest_max_body_asks_for_no_more_than_there_is(make: Any, bed: Bed) -> None:
    class Stream(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert 0 < size <= 64 * 1024
            return super().read(size)

    genuine = captured(bed, PATH)
    app = make(bed.verifier(max_body=sys.maxsize), lambda event: {"key": event.key})
    # Of a body in chunks, nothing says how long it is.
    in_chunks = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    for more in ({}, in_chunks) if make is not django_view_app else ({},):
        environ = from_environ(genuine, **more, **{"wsgi.input": Stream(genuine.body)})
        assert answered(app, environ) == "200 OK"
    large = os.urandom(200_000)
    assert wsgi.read(Stream(large).read, sys.maxsize + 1) == large
    assert wsgi.read(Stream(large).read, 100_000) == large[:100_000]
