"""Receiving callbacks in any WSGI server or framework, without a framework's own types.

    from oss_callback import CallbackVerifier
    from oss_callback.wsgi import CallbackApp

    def uploaded(event):
        return {"Status": "OK", "key": event.key}

    application = CallbackApp(CallbackVerifier(bucket="examplebucket"), uploaded)

Flask and Django: see `oss_callback.flask` and `oss_callback.django`.

WSGI has no way to bound the time in which a body arrives. Use a server that takes the whole body in before
it calls the application, such as waitress, or one behind a proxy that does, such as nginx.

mod_wsgi runs applications in subinterpreters, into which this package cannot be imported, unless its
configuration says `WSGIApplicationGroup %{GLOBAL}`; uWSGI those behind the first, unless it says
`single-interpreter = true`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from . import _serving

if TYPE_CHECKING:
    from ._native.receive import CallbackEvent
    from ._verifier import CallbackVerifier

__all__ = ["CallbackApp", "headers", "read_body", "target", "verify_request"]

PIECE = 64 * 1024

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class CallbackApp:
    """A WSGI application that answers callbacks, for any path.

    `handler` is a function that takes a CallbackEvent and returns the answer: what `json.dumps` takes, or a
    Reply. It is called for what has verified only. What has not is logged with its reason (logger
    `oss_callback`) and answered by `refusal()`, and so is a VerificationError of the handler's own, such as
    by `Client.confirm`. The other errors of this library are logged, too, and answered by `failure()`. All
    else that the handler raises is the server's to report.

    Of a body no more than the verifier's `max_body` is read.
    """

    def __init__(self, verifier: CallbackVerifier, handler: _serving.SyncHandler) -> None:
        if _serving.is_async(handler):
            raise _serving.argument_error("handler", "must not be async: WSGI has no event loop")
        self.verifier = verifier
        self.handler = handler

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            event = verify_request(self.verifier, environ)
        except _serving.OssCallbackError as error:
            reply = _serving.not_verified(error)
        else:
            reply = _serving.call(self.handler, event, {})
        start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", list(reply.headers.items()))
        return [reply.body]


def verify_request(verifier: CallbackVerifier, environ: Environ) -> CallbackEvent:
    """Reads a request, in bounds, and verifies it.

    Raises VerificationError, and NetworkError for a body that does not arrive whole: both are to be answered
    by `refusal()`.
    """
    body = read_body(environ, verifier.max_body)
    return verifier.verify(environ["REQUEST_METHOD"], target(environ), headers(environ), body)


def target(environ: Environ) -> bytes:
    """The raw request target, path and query, of a WSGI environment.

    gunicorn and Werkzeug tell it as `RAW_URI`, uWSGI, waitress and mod_wsgi as `REQUEST_URI`. Elsewhere it
    is built from the decoded path, which gives the same signature, for OSS signs the path decoded; unless
    the server tidies paths up, by making `//` a `/`, or the like.
    """
    raw: str | None = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw:
        return raw.encode("latin-1", "replace")
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    # PEP 3333: text is bytes, decoded as Latin-1.
    built = quote(path.encode("latin-1", "replace")) or "/"
    query = environ.get("QUERY_STRING")
    return (f"{built}?{query}" if query else built).encode("latin-1", "replace")


def headers(environ: Environ) -> list[tuple[str, str]]:
    """The request's headers of a WSGI environment."""
    found = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    # Two have names of their own. Behind nginx's `uwsgi_pass` they stand under both, though sent once.
    found |= {name: environ[name] for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)}
    return [(name.replace("_", "-"), value) for name, value in found.items()]


def read_body(environ: Environ, limit: int) -> bytes:
    """The request's body, or its first bytes up to one more than the limit.

    Raises NetworkError for a body that does not arrive whole.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    stream = environ["wsgi.input"]
    if length.isascii() and length.isdecimal():
        wanted = min(int(length), limit + 1)
        body = read(stream.read, wanted)
        if len(body) < wanted:
            raise _serving.broken_off()
        return body
    # Without a length it is in chunks, whose end not every server shows.
    return read(stream.read, limit + 1) if environ.get("wsgi.input_terminated") else b""


def read(source: Callable[[int], bytes], most: int) -> bytes:
    """Reads to the end, but no more than so many bytes."""
    body = bytearray()
    try:
        # Not all at once: there are streams that make room for what they are asked for.
        while len(body) < most and (chunk := source(min(most - len(body), PIECE))):
            body += chunk
    except OSError as cause:
        raise _serving.broken_off() from cause
    return bytes(body)
