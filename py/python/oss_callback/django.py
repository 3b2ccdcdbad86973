"""Receiving callbacks with Django, under WSGI and ASGI.

    from django.urls import path
    from oss_callback import CallbackEvent, CallbackVerifier
    from oss_callback.django import callback_view

    @callback_view(CallbackVerifier(bucket="examplebucket"))
    def uploaded(event: CallbackEvent):
        return {"Status": "OK", "key": event.key}

    urlpatterns = [path("oss/uploaded", uploaded)]

Django takes a body in before it calls a view, under ASGI, or leaves that to the server: see
`oss_callback.wsgi`. To bound the time is theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.http.request import UnreadablePostError  # type: ignore[import-untyped]
from django.views.decorators.csrf import csrf_exempt  # type: ignore[import-untyped]

from . import _serving, asgi, wsgi

if TYPE_CHECKING:
    from ._native.receive import CallbackEvent, Reply
    from ._verifier import CallbackVerifier

__all__ = ["callback_view", "verify_request"]


def callback_view(
    verifier: CallbackVerifier,
) -> Callable[[_serving.Handler], Callable[..., Any]]:
    """Makes a view of a function that takes a CallbackEvent and returns the answer: what `json.dumps` takes,
    or a Reply. Parameters of the path are handed over by name. The view of an `async` function is `async`.
    It is exempt from CSRF tokens, which OSS has not.

    The function is called for what has verified only. What has not is logged with its reason (logger
    `oss_callback`) and answered by `refusal()`, and so is a VerificationError of the function's own, such
    as by `Client.confirm`. The other errors of this library are logged, too, and answered by `failure()`; all
    else that the function raises is Django's. Of a body no more than the verifier's `max_body` is read.
    """

    def decorate(handler: _serving.Handler) -> Callable[..., Any]:
        def view(request: HttpRequest, **arguments: Any) -> HttpResponse:
            try:
                event = verify_request(verifier, request)
            except _serving.OssCallbackError as error:
                return _response(_serving.not_verified(error))
            return _response(_serving.call(handler, event, arguments))

        async def async_view(request: HttpRequest, **arguments: Any) -> HttpResponse:
            try:
                event = await asyncio.to_thread(verify_request, verifier, request)
            except _serving.OssCallbackError as error:
                return _response(_serving.not_verified(error))
            return _response(await _serving.call_async(handler, event, arguments))

        named = _serving.named_as(handler, async_view if _serving.is_async(handler) else view)
        exempt: Callable[..., Any] = csrf_exempt(named)
        return exempt

    return decorate


def verify_request(verifier: CallbackVerifier, request: HttpRequest) -> CallbackEvent:
    """Reads a request, in bounds, and verifies it.

    Raises VerificationError, and NetworkError for a body that does not arrive whole: both are to be answered
    by `refusal()`.
    """
    scope = getattr(request, "scope", None)
    target = wsgi.target(request.META) if scope is None else asgi.target(scope)
    try:
        body = wsgi.read(request.read, verifier.max_body + 1)
    except UnreadablePostError as cause:
        raise _serving.broken_off() from cause
    return verifier.verify(request.method, target, wsgi.headers(request.META), body)


def _response(reply: Reply) -> HttpResponse:
    return HttpResponse(reply.body, status=reply.status, headers=reply.headers)
