"""The adapters, with the real frameworks behind real servers: from the uploader over the emulator to the
handler, and its answer back to the uploader; and what must not reach the handler."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import http.server
import importlib.util
import io
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from conftest import BUCKET, Bed, Request
from oss_callback import (
    CallbackEvent,
    CallbackFailedError,
    CallbackVerifier,
    NetworkError,
    Reply,
    TimeoutError,
    VerificationError,
    asgi,
    failure,
    refusal,
    wsgi,
)
from servers import EXAMPLES, gunicorn, uvicorn, waitress, wsgiref

SECRET = "a secret of more than sixteen bytes"
PATH = "/oss/uploaded"
TARGET = PATH + "?a=%2F&b"
KEY = "dir/ü +1.txt"


def loaded(name: str) -> ModuleType:
    """An example, imported anew."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def environment(bed: Bed) -> Iterator[None]:
    names = {"SEAL_SECRET": SECRET, "CALLBACK_KEY": bed.public_key}
    os.environ.update(names)
    yield
    for name in names:
        del os.environ[name]


def plain(event: CallbackEvent) -> dict[str, object]:
    return {"Status": "OK", "key": event.key, "order": event.variable("order")}


@pytest.fixture(scope="module")
def django_app(environment: None) -> ModuleType:
    from django.conf import settings
    from django.urls import path
    from oss_callback.django import callback_view

    module = loaded("django_app")
    # OSS has no token: with this middleware, views that are not exempt answer 403.
    settings.MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]

    async def awaited(event: CallbackEvent, kind: str) -> dict[str, object]:
        return plain(event) | {"kind": kind}

    verifier = CallbackVerifier(seal_secret=SECRET, trusted_keys=os.environ["CALLBACK_KEY"])
    module.urlpatterns.append(path("async/<str:kind>", callback_view(verifier)(awaited)))
    return module


def serve_fastapi(request: pytest.FixtureRequest) -> Any:
    return uvicorn(loaded("fastapi_app").app)


def serve_starlette(request: pytest.FixtureRequest) -> Any:
    return uvicorn(loaded("starlette_app").app)


def serve_flask(request: pytest.FixtureRequest) -> Any:
    return waitress(loaded("flask_app").app)


def serve_gunicorn(request: pytest.FixtureRequest) -> Any:
    if sys.platform == "win32":
        pytest.skip("gunicorn needs fork")
    return gunicorn("flask_app:app")


def serve_django(request: pytest.FixtureRequest) -> Any:
    return waitress(request.getfixturevalue("django_app").application)


def serve_django_asgi(request: pytest.FixtureRequest) -> Any:
    request.getfixturevalue("django_app")
    from django.core.asgi import get_asgi_application

    return uvicorn(get_asgi_application())


def verifier() -> CallbackVerifier:
    return CallbackVerifier(bucket=BUCKET, seal_secret=SECRET, trusted_keys=os.environ["CALLBACK_KEY"])


def serve_asgi(request: pytest.FixtureRequest) -> Any:
    return uvicorn(asgi.CallbackApp(verifier(), plain))


def serve_wsgi(request: pytest.FixtureRequest) -> Any:
    return wsgiref(wsgi.CallbackApp(verifier(), plain))


SERVERS: list[Callable[[pytest.FixtureRequest], Any]] = [
    serve_fastapi,
    serve_starlette,
    serve_flask,
    serve_gunicorn,
    serve_django,
    serve_django_asgi,
    serve_asgi,
    serve_wsgi,
]


@pytest.fixture(scope="module", params=SERVERS, ids=lambda serve: serve.__name__.removeprefix("serve_"))
def port(request: pytest.FixtureRequest, environment: None) -> Iterator[int]:
    with request.param(request) as number:
        yield number


def put(bed: Bed, url: str, secret: str | None = SECRET) -> Any:
    callback = bed.callback_to(url, vars={"order": "42"})
    with bed.client() as client:
        sealed = callback.seal(secret, 60) if secret else callback
        return client.put_object_with_callback(BUCKET, KEY, b"123456789", sealed).json()


@pytest.fixture(scope="module")
def genuine(bed: Bed) -> Request:
    return captured(bed, TARGET)


def captured(bed: Bed, target: str) -> Request:
    """A sealed callback to that target, as OSS sent it."""
    seen: list[Request] = []

    class Recorder(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(Request(self.path, self.headers.items(), body))
            answer = b"{}"
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        put(bed, f"http://127.0.0.1:{server.server_port}{target}")
        thread.join(10)
    return seen[0]


def post(port: int, request: Request) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {name: value for name, value in request.headers if name.lower() != "connection"}
    headers["Content-Length"] = str(len(request.body))
    connection.putrequest("POST", request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    with contextlib.suppress(ConnectionError):
        connection.endheaders(request.body)
    answer = connection.getresponse()
    with contextlib.closing(connection):
        return answer.status, answer.read()


def test_a_sealed_upload_reaches_the_handler_and_its_answer_the_uploader(bed: Bed, port: int) -> None:
    expected = {"Status": "OK", "key": KEY, "order": "42"}
    assert put(bed, f"http://127.0.0.1:{port}{TARGET}") == expected
    # Without a query, and once more on a server that has answered already.
    assert put(bed, f"http://127.0.0.1:{port}{PATH}") == expected


def test_an_upload_whose_callback_is_refused_fails(bed: Bed, port: int) -> None:
    for secret in (None, "another secret of sixteen bytes"):
        with pytest.raises(CallbackFailedError) as failed:
            put(bed, f"http://127.0.0.1:{port}{TARGET}", secret)
        assert failed.value.callback_status == 403
        assert failed.value.stored


def test_what_does_not_verify_never_reaches_the_handler(
    port: int, genuine: Request, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    assert post(port, genuine)[0] == 200
    forged = [
        (name, "A" * 86 + "==") if name.lower() == "authorization" else (name, value)
        for name, value in genuine.headers
    ]
    bare = [pair for pair in genuine.headers if pair[0].lower() != "authorization"]
    logs = "gunicorn" not in request.node.name
    for wrong, reason in [
        (replace(genuine, headers=forged), "wrong_signature"),
        (replace(genuine, headers=bare), "missing_authorization"),
        (replace(genuine, body=genuine.body.replace(b"size=9", b"size=8")), "wrong_signature"),
        # A proxy that drops or rewrites the query.
        (replace(genuine, target=PATH), "wrong_signature"),
        (replace(genuine, target=PATH + "?b&a=%2F"), "wrong_signature"),
        (replace(genuine, body=b"a" * ((1 << 20) + 1)), "body_too_large"),
    ]:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "oss_callback"):
            status, answer = post(port, wrong)
        assert (status, answer) == (403, refusal().body), reason
        if logs:
            [record] = [record for record in caplog.records if record.name == "oss_callback"]
            assert f"({reason})" in record.getMessage()


def test_a_proxy_that_rewrites_the_path_is_named_and_one_that_strips_a_prefix_can_be_allowed_for(
    bed: Bed, environment: None, caplog: pytest.LogCaptureFixture
) -> None:
    signed = captured(bed, "/api" + TARGET)
    stripped = replace(signed, target=TARGET, headers=[*signed.headers, ("X-Forwarded-Prefix", "/api")])
    rewritten = replace(signed, target="/new", headers=[*signed.headers, ("X-Original-URI", "/api" + TARGET)])
    app = asgi.CallbackApp(verifier(), plain)
    with uvicorn(app) as port, caplog.at_level(logging.WARNING, "oss_callback"):
        assert post(port, stripped)[0] == 403
        assert post(port, rewritten)[0] == 403
    told = [record.getMessage() for record in caplog.records if record.name == "oss_callback"]
    assert "x-forwarded-prefix" in told[0]
    assert "x-original-uri" in told[1]
    with uvicorn(app, root_path="/api") as port:
        assert post(port, stripped)[0] == 200


@pytest.fixture
def small(bed: Bed, environment: None) -> CallbackVerifier:
    return bed.verifier(max_body=1000)


def starlette_app(verifier: CallbackVerifier, handler: Any) -> Any:
    from oss_callback.starlette import callback_endpoint
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route

    endpoint = callback_endpoint(verifier)(handler)
    route = Route("/{kind}/uploaded", endpoint, methods=["POST"])
    return Starlette(routes=[Mount("/api/v1", routes=[route]), route])


def asgi_app(verifier: CallbackVerifier, handler: Any) -> Any:
    return asgi.CallbackApp(verifier, lambda event: handler(event, "oss"))


def never(event: CallbackEvent, kind: str) -> Any:
    raise AssertionError("the handler was called")


@pytest.mark.parametrize("make", [starlette_app, asgi_app])
def test_slow_and_endless_bodies_are_refused_early(make: Any, bed: Bed) -> None:
    hasty = bed.verifier(max_body=1000, body_timeout=0.3)
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\n".encode()
    with uvicorn(make(hasty, never)) as port:
        for request in (
            b"Content-Length: 900\r\n\r\n" + b"a" * 10,
            b"Content-Length: 900000\r\n\r\n" + b"a" * 2000,
            b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"a" * 1024 + b"\r\n",
        ):
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(head + request)
                answer = connection.recv(4096)
                while refusal().body not in answer:
                    chunk = connection.recv(4096)
                    assert chunk, answer
                    answer += chunk
            assert answer.startswith(b"HTTP/1.1 403 ")
            # Sooner than by default.
            assert time.monotonic() - began < 4


def test_a_sender_who_goes_away_is_noted(small: CallbackVerifier, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING, "oss_callback"),
        uvicorn(starlette_app(small, never)) as port,
        socket.create_connection(("127.0.0.1", port)) as connection,
    ):
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\na".encode())
        connection.close()
        end = time.monotonic() + 10
        while not caplog.records and time.monotonic() < end:
            time.sleep(0.01)
    assert "did not arrive whole" in caplog.text


@pytest.mark.parametrize("make", [starlette_app, asgi_app])
def test_nested_routes_and_handlers_of_every_kind(make: Any, bed: Bed, small: CallbackVerifier) -> None:
    async def awaited(event: CallbackEvent, kind: str) -> Reply:
        return Reply(200, {"Content-Type": "application/json", "Content-Length": "9"}, b'"awaited"')

    def blocking(event: CallbackEvent, kind: str) -> list[str]:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return [kind]

    def doubts(event: CallbackEvent, kind: str) -> None:
        # As `client.confirm(event)` does.
        error = VerificationError("OSS holds another object")
        raise error

    for handler, expected in [(awaited, "awaited"), (blocking, ["oss"]), (doubts, None)]:
        app = make(small, handler)
        with uvicorn(app) as port:
            for path in (PATH, "/api/v1" + PATH):
                url = f"http://127.0.0.1:{port}{path}"
                if expected is None:
                    with pytest.raises(CallbackFailedError) as failed:
                        put(bed, url, None)
                    assert failed.value.callback_status == 403
                else:
                    assert put(bed, url, None) == expected


def flask_app(verifier: CallbackVerifier, handler: Any) -> Any:
    import flask
    from oss_callback.flask import callback_view

    app = flask.Flask(__name__)
    app.post(PATH)(callback_view(verifier)(handler))
    app.register_error_handler(LookupError, lambda error: (str(error), 599))
    return app


def starlette_app_that_knows_lookups(verifier: CallbackVerifier, handler: Any) -> Any:
    from starlette.responses import Response

    app = starlette_app(verifier, lambda event, kind: handler(event))
    app.add_exception_handler(LookupError, lambda request, error: Response(str(error), 599))
    return app


@pytest.mark.parametrize(
    ("make", "serve", "own"),
    [
        (wsgi.CallbackApp, waitress, 500),
        (flask_app, waitress, 599),
        (asgi.CallbackApp, uvicorn, 500),
        (starlette_app_that_knows_lookups, uvicorn, 599),
    ],
)
def test_errors_of_handlers_are_the_frameworks_and_ours_are_failures(
    make: Any, serve: Any, own: int, bed: Bed, small: CallbackVerifier, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(event: CallbackEvent) -> Any:
        raise LookupError("the table is gone")

    def answers_wrongly(event: CallbackEvent) -> Any:
        return "OK"

    def cannot_ask(event: CallbackEvent) -> Any:
        error = NetworkError("OSS cannot be reached")
        raise error

    genuine = captured(bed, PATH)
    for handler, status, message in [
        (breaks, own, None),
        (answers_wrongly, 500, "could not be answered (invalid_argument): answer: is not valid JSON"),
        (cannot_ask, 500, "could not be answered (network): OSS cannot be reached"),
        (lambda event: None, 200, None),
    ]:
        caplog.clear()
        with serve(make(small, handler)) as port:
            answered, answer = post(port, genuine)
        assert answered == status
        ours = [record for record in caplog.records if record.name == "oss_callback"]
        if message is None:
            assert not ours
        else:
            assert answer == failure().body
            assert [record.levelname for record in ours] == ["ERROR"]
            assert message in ours[0].getMessage()
            assert ours[0].exc_info
        if status == 200:
            assert answer == b"null"


def test_a_defect_of_the_application_is_no_refusal(
    bed: Bed, environment: None, caplog: pytest.LogCaptureFixture
) -> None:
    broken = bed.verifier(seal_secret=SECRET, first_use=lambda nonce, expires_at: None)
    with uvicorn(asgi.CallbackApp(broken, plain)) as port:
        assert post(port, captured(bed, PATH)) == (500, failure().body)
    assert "first_use: must be a function that returns bool" in caplog.text


def test_a_handler_that_is_async_needs_an_event_loop(small: CallbackVerifier) -> None:

    async def awaited(event: CallbackEvent) -> None:
        pass

    with pytest.raises(TypeError, match="handler: must not be async"):
        wsgi.CallbackApp(small, awaited)


def test_django_awaits_async_handlers(bed: Bed, django_app: ModuleType) -> None:
    from django.core.asgi import get_asgi_application

    assert django_app.uploaded.csrf_exempt
    expected = {"Status": "OK", "key": KEY, "order": "42", "kind": "photo"}
    for serve, app in ((uvicorn, get_asgi_application()), (waitress, django_app.application)):
        with serve(app) as port:
            assert put(bed, f"http://127.0.0.1:{port}/async/photo") == expected


def test_flask_keeps_what_a_hook_has_read_and_awaits_async_handlers(bed: Bed, environment: None) -> None:
    import flask
    from oss_callback.flask import callback_view

    app = flask.Flask(__name__)
    app.before_request(lambda: flask.request.get_data() and None)

    def blocking(event: CallbackEvent, kind: str) -> dict[str, object]:
        return plain(event) | {"kind": kind}

    async def awaited(event: CallbackEvent, kind: str) -> dict[str, object]:
        return blocking(event, kind)

    for handler in (blocking, awaited):
        app.post(f"/<kind>/{handler.__name__}")(callback_view(verifier())(handler))
    with waitress(app) as port:
        for handler in (blocking, awaited):
            assert put(bed, f"http://127.0.0.1:{port}/oss/{handler.__name__}")["kind"] == "oss"


def test_targets_are_raw_wherever_the_server_tells_them() -> None:
    for scope, expected in [
        ({"path": "/a b", "raw_path": b"/a%20b", "query_string": b"c=%2F"}, b"/a%20b?c=%2F"),
        ({"path": "/a", "raw_path": b"/a?c=d", "query_string": b"c=d"}, b"/a?c=d"),
        ({"path": "/ü+ b", "raw_path": None, "query_string": b""}, b"/%C3%BC%2B%20b"),
        ({"path": "/a"}, b"/a"),
    ]:
        assert asgi.target(scope) == expected
    for environ, expected in [
        ({"RAW_URI": "/a%20b?c", "PATH_INFO": "/x"}, b"/a%20b?c"),
        ({"REQUEST_URI": "/a%20b?c", "PATH_INFO": "/x"}, b"/a%20b?c"),
        ({"REQUEST_URI": "/\xc3\xbc", "PATH_INFO": "/x"}, "/ü".encode()),
        (
            {"SCRIPT_NAME": "/app", "PATH_INFO": "/\xc3\xbc b", "QUERY_STRING": "c=%2F"},
            b"/app/%C3%BC%20b?c=%2F",
        ),
        ({"PATH_INFO": "", "QUERY_STRING": ""}, b"/"),
    ]:
        assert wsgi.target(environ) == expected


def test_wsgi_bodies_are_read_to_their_length_and_no_further() -> None:
    def environ(data: bytes, length: str | None, **more: Any) -> dict[str, Any]:
        given = {} if length is None else {"CONTENT_LENGTH": length}
        return {"wsgi.input": io.BytesIO(data), **given, **more}

    assert wsgi.read_body(environ(b"12345", "3"), 10) == b"123"
    assert wsgi.read_body(environ(b"1" * 100, "100"), 10) == b"1" * 11
    assert wsgi.read_body(environ(b"12345", None), 10) == b""
    assert wsgi.read_body(environ(b"12345", ""), 10) == b""
    assert wsgi.read_body(environ(b"1" * 100, None, **{"wsgi.input_terminated": True}), 10) == b"1" * 11
    with pytest.raises(NetworkError):
        wsgi.read_body(environ(b"12", "3"), 10)


def test_bodies_that_break_off_are_refused(small: CallbackVerifier) -> None:
    answered: list[Any] = []
    short = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "3", "wsgi.input": io.BytesIO(b"12")}
    body = wsgi.CallbackApp(small, never)(short, lambda status, headers: answered.append(status))
    assert (answered, list(body)) == (["403 Forbidden"], [refusal().body])

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answered.append(message.get("status") or message.get("body"))

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(asgi.CallbackApp(small, never)(scope, gone, send))
    assert answered[1:] == [403, refusal().body]


def test_the_asgi_application_lives_without_a_framework(bed: Bed, small: CallbackVerifier) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def main() -> None:
        app = asgi.CallbackApp(small, never)
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> Any:
            return next(messages)

        await app({"type": "lifespan"}, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        with pytest.raises(ValueError, match="websocket"):
            await app({"type": "websocket"}, receive, send)

        async def silent() -> Any:
            await asyncio.sleep(60)

        scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        with pytest.raises(TimeoutError):
            await asgi.verify_request(bed.verifier(body_timeout=0.01), scope, silent)

        async def gone() -> Any:
            return {"type": "http.disconnect"}

        with pytest.raises(NetworkError):
            await asgi.verify_request(small, scope, gone)

    asyncio.run(main())


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*_app.py")))
def test_examples_are_short(name: str) -> None:
    lines = (EXAMPLES / name).read_text("utf-8").splitlines()
    assert len([line for line in lines if line]) < 20


def test_the_package_alone_needs_no_framework() -> None:
    code = """if 1:
        import sys
        class Nothing:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("flask", "werkzeug", "django", "starlette", "fastapi", "anyio"):
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Nothing())
        import oss_callback, oss_callback.asgi, oss_callback.wsgi
        try:
            import oss_callback.flask
        except ModuleNotFoundError:
            print("alone")
    """
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "alone\n"
