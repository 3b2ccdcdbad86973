"""Receiving callbacks in any ASGI server or framework, without a framework's own types.

    from oss_callback import CallbackVerifier
    from oss_callback.asgi import CallbackApp

    async def uploaded(event):
        return {"Status": "OK", "key": event.key}

    app = CallbackApp(CallbackVerifier(bucket="examplebucket"), uploaded)

Starlette and FastAPI: see `oss_callback.starlette`. It needs asyncio.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from . import _serving

if TYPE_CHECKING:
    from ._native.receive import CallbackEvent, Reply
    from ._verifier import CallbackVerifier

__all__ = ["CallbackApp", "target", "verify_request"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class CallbackApp:
    """An ASGI application that answers callbacks: mount it, or give it a route, whose path may be any.

    `handler` is a function, `async` or not, that takes a CallbackEvent and returns the answer: what
    `json.dumps` takes, or a Reply. One that is not `async` runs in a thread. It is called for what has
    verified only. What has not is logged with its reason (logger `oss_callback`) and answered by
    `refusal()`, and so is a VerificationError of the handler's own, such as by `Client.confirm`. The other
    errors of this library are logged, too, and answered by `failure()`. All else that the handler raises is
    the server's to report.

    Of a body no more than the verifier's `max_body` is read, for no longer than its `body_timeout`.
    """

    def __init__(self, verifier: CallbackVerifier, handler: _serving.Handler) -> None:
        self.verifier = verifier
        self.handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"a callback comes by HTTP, not by {scope['type']}")
        await _send(await self._answer(scope, receive), send)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        try:
            event = await verify_request(self.verifier, scope, receive)
        except _serving.OssCallbackError as error:
            return _serving.not_verified(error)
        return await _serving.call_async(self.handler, event, {})


async def verify_request(verifier: CallbackVerifier, scope: Scope, receive: Receive) -> CallbackEvent:
    """Reads a request, in bounds, and verifies it in a thread, for keys may have to be fetched.

    Raises VerificationError, TimeoutError for a body that takes longer than the verifier's `body_timeout`,
    and NetworkError for one that does not arrive whole: all three are to be answered by `refusal()`.
    """
    body = await _serving.read_async(_chunks(receive), verifier)
    return await asyncio.to_thread(verifier.verify, scope["method"], target(scope), scope["headers"], body)


def target(scope: Scope) -> bytes:
    """The raw request target, path and query, of an ASGI scope.

    Where the server does not tell the raw path (`raw_path`), it is built from the decoded one, which gives
    the same signature, for OSS signs the path decoded.
    """
    path: bytes = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
    query: bytes = scope.get("query_string") or b""
    # A few servers leave the query at the raw path.
    path = path.split(b"?", 1)[0]
    return path + b"?" + query if query else path


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _serving.broken_off()
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _send(reply: Reply, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _live(receive: Receive, send: Send) -> None:
    """Nothing is to be started or stopped."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
