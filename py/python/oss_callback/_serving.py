"""What the adapters for web frameworks share: who is answered what, and what is told the log.

Reading is bounded here, by what the verifier says, and judging is the verifier's: whatever is longer than
`max_body` is handed over a byte too long, and refused there.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from ._errors import ArgumentTypeError, NetworkError, OssCallbackError, TimeoutError, VerificationError
from ._native.receive import CallbackEvent, Reply, failure, refusal, reply

if TYPE_CHECKING:
    from ._verifier import CallbackVerifier

__all__ = [
    "Handler",
    "SyncHandler",
    "OssCallbackError",
    "argument_error",
    "as_reply",
    "broken_off",
    "call",
    "call_async",
    "is_async",
    "logger",
    "named_as",
    "not_verified",
    "read_async",
]

SyncHandler = Callable[..., Any]
Handler = Callable[..., "Any | Coroutine[Any, Any, Any]"]

logger = logging.getLogger("oss_callback")

_F = TypeVar("_F", bound=Callable[..., Any])


def not_verified(error: OssCallbackError) -> Reply:
    """For a request that could not be read or verified. Whatever a stranger can bring about is refused; the
    rest is for the application's owner to mend."""
    strangers = (VerificationError, NetworkError, TimeoutError)
    return refused(error) if isinstance(error, strangers) else failed(error)


def refused(error: OssCallbackError) -> Reply:
    """Tells the log why, and the sender nothing."""
    logger.warning("a callback is refused (%s): %s", error.reason or error.kind, error)
    return refusal()


def failed(error: OssCallbackError) -> Reply:
    """The same for what did verify, but could not be answered."""
    logger.error("a callback could not be answered (%s): %s", error.kind, error, exc_info=error)
    return failure()


def as_reply(answer: Any) -> Reply:
    """A handler's answer, checked."""
    return answer if isinstance(answer, Reply) else reply(answer)


def call(handler: SyncHandler, event: CallbackEvent, arguments: dict[str, Any]) -> Reply:
    """Has the handler answer. What OSS does not confirm is refused as what does not verify, and other errors
    of this library's are answered, too. The application's own are the framework's, which may know them.
    """
    try:
        return as_reply(handler(event, **arguments))
    except VerificationError as error:
        return refused(error)
    except OssCallbackError as error:
        return failed(error)


async def call_async(handler: Handler, event: CallbackEvent, arguments: dict[str, Any]) -> Reply:
    """The same for a handler of either kind: one that may block runs in a thread."""
    try:
        if is_async(handler):
            answer = await handler(event, **arguments)
        else:
            answer = await asyncio.to_thread(handler, event, **arguments)
            # Such as a lambda's around a coroutine function.
            if inspect.isawaitable(answer):
                answer = await answer
        return as_reply(answer)
    except VerificationError as error:
        return refused(error)
    except OssCallbackError as error:
        return failed(error)


async def read_async(chunks: AsyncIterable[bytes], verifier: CallbackVerifier) -> bytes:
    """A body, or its first bytes up to one more than the verifier's limit."""
    timeout = verifier.body_timeout
    try:
        return await asyncio.wait_for(_read(chunks, verifier.max_body), timeout)
    except asyncio.TimeoutError:
        raise TimeoutError(f"the body of the callback did not arrive within {timeout:g} s") from None


async def _read(chunks: AsyncIterable[bytes], limit: int) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            break
    return bytes(body[: limit + 1])


def broken_off() -> NetworkError:
    """The sender went away."""
    return NetworkError("the body of the callback did not arrive whole")


def argument_error(field: str, message: str) -> ArgumentTypeError:
    """An argument that cannot be meant."""
    error = ArgumentTypeError(f"{field}: {message}")
    error.field, error.message = field, message
    return error


def is_async(handler: Callable[..., Any]) -> bool:
    """Whether it is a coroutine function."""
    return inspect.iscoroutinefunction(handler)


def named_as(handler: Callable[..., Any], view: _F) -> _F:
    """Names a view after its handler, for routes and tracebacks. Its signature stays its own: frameworks
    look at it, and the handler's is another.
    """
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
        value = getattr(handler, attribute, None)
        if value is not None:
            setattr(view, attribute, value)
    return view
