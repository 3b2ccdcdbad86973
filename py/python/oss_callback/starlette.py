"""Receiving callbacks with Starlette and FastAPI.

    from fastapi import FastAPI
    from oss_callback import CallbackEvent, CallbackVerifier
    from oss_callback.starlette import callback_endpoint

    app = FastAPI()

    @app.post("/oss/uploaded")
    @callback_endpoint(CallbackVerifier(bucket="examplebucket"))
    async def uploaded(event: CallbackEvent):
        return {"Status": "OK", "key": event.key}

Endpoints that need the Request itself use `verify_request`, and `oss_callback.reply`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from . import _serving
from .asgi import target

if TYPE_CHECKING:
    from ._native.receive import CallbackEvent
    from ._verifier import CallbackVerifier

__all__ = ["callback_endpoint", "verify_request"]


def callback_endpoint(
    verifier: CallbackVerifier,
) -> Callable[[_serving.Handler], Callable[[Request], Awaitable[Response]]]:
    """Makes an endpoint of a function, `async` or not, that takes a CallbackEvent and returns the answer:
    what `json.dumps` takes, or a Reply. Parameters of the route's path are handed over by name.

    The function is called for what has verified only; if it is not `async`, in a thread. What has not
    verified is logged with its reason (logger `oss_callback`) and answered by `refusal()`, and so is a
    VerificationError of the function's own, such as by `Client.confirm`. The other errors of this library are
    logged, too, and answered by `failure()`; all else that the function raises is Starlette's.

    Of a body no more than the verifier's `max_body` is read, for no longer than its `body_timeout`.
    """

    def decorate(handler: _serving.Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                event = await verify_request(verifier, request)
            except _serving.OssCallbackError as error:
                reply = _serving.not_verified(error)
            else:
                reply = await _serving.call_async(handler, event, request.path_params)
            return Response(reply.body, reply.status, reply.headers)

        return _serving.named_as(handler, endpoint)

    return decorate


async def verify_request(verifier: CallbackVerifier, request: Request) -> CallbackEvent:
    """Reads a request, in bounds, and verifies it in a thread, for keys may have to be fetched.

    Raises VerificationError, TimeoutError for a body that takes longer than the verifier's `body_timeout`,
    and NetworkError for one that does not arrive whole: all three are to be answered by `refusal()`.
    """
    body = await _serving.read_async(_chunks(request), verifier)
    return await asyncio.to_thread(
        verifier.verify, request.method, target(request.scope), request.scope["headers"], body
    )


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise _serving.broken_off() from None
