"""Receiving callbacks with Flask.

    from flask import Flask
    from oss_callback import CallbackEvent, CallbackVerifier
    from oss_callback.flask import callback_view

    app = Flask(__name__)

    @app.post("/oss/uploaded")
    @callback_view(CallbackVerifier(bucket="examplebucket"))
    def uploaded(event: CallbackEvent):
        return {"Status": "OK", "key": event.key}

WSGI has no way to bound the time in which a body arrives: see `oss_callback.wsgi`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, request
from werkzeug.exceptions import ClientDisconnected

from . import _serving, wsgi

if TYPE_CHECKING:
    from ._native.receive import CallbackEvent
    from ._verifier import CallbackVerifier

__all__ = ["callback_view", "verify_request"]


def callback_view(
    verifier: CallbackVerifier,
) -> Callable[[_serving.Handler], Callable[..., Response]]:
    """Makes a view of a function that takes a CallbackEvent and returns the answer: what `json.dumps` takes,
    or a Reply. Parameters of the rule are handed over by name. It may be `async`, as Flask's views may.

    The function is called for what has verified only. What has not is logged with its reason (logger
    `oss_callback`) and answered by `refusal()`, and so is a VerificationError of the function's own, such
    as by `Client.confirm`. The other errors of this library are logged, too, and answered by `failure()`; all
    else that the function raises is Flask's. Of a body no more than the verifier's `max_body` is read.
    """

    def decorate(handler: _serving.Handler) -> Callable[..., Response]:
        def view(**arguments: Any) -> Response:
            try:
                event = verify_request(verifier)
            except _serving.OssCallbackError as error:
                reply = _serving.not_verified(error)
            else:
                reply = _serving.call(current_app.ensure_sync(handler), event, arguments)
            return Response(reply.body, reply.status, reply.headers)

        return _serving.named_as(handler, view)

    return decorate


def verify_request(verifier: CallbackVerifier) -> CallbackEvent:
    """Reads the current request, in bounds, and verifies it.

    Raises VerificationError, and NetworkError for a body that does not arrive whole: both are to be answered
    by `refusal()`.
    """
    environ = request.environ
    return verifier.verify(request.method, wsgi.target(environ), wsgi.headers(environ), _body(verifier))


def _body(verifier: CallbackVerifier) -> bytes:
    # Flask's stream knows how much of the body is read already.
    try:
        body = wsgi.read(request.stream.read, verifier.max_body + 1)
    except ClientDisconnected as cause:
        raise _serving.broken_off() from cause
    # If somebody was here before, Flask has kept it.
    return body or request.get_data()
