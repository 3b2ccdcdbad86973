"""What the asyncio client needs between its event loop and the library's threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
import inspect
import queue
import threading
import time
import weakref

from . import _native
from ._errors import CancelledError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Any, TypeVar

    from ._native import Call, CallbackReply, Credentials, Later, Mailbox, Progress

    _T = TypeVar("_T")
    _Settle = Callable[[Any, BaseException | None], object] | tuple[Mailbox, object]

__all__ = ["ask", "awaited_provider", "put", "upload"]

# Threads of the library's look this often, in seconds, whether the loop that they wait for is still there.
PATIENCE = 1.0


async def put(start: Callable[..., Call], data: Any) -> CallbackReply:
    """Makes a call of `start(data, settle)`. When the task is cancelled, it ends at once."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[CallbackReply] = loop.create_future()
    data, pump = bridged(data, loop)
    call = start(data, _settling(loop, answer))
    try:
        return await answer
    finally:
        if answer.cancelled() or not answer.done():
            call.cancel()
        if pump is not None:
            await pump.stop()
        # An exception holds this frame; the frame must not hold the exception.
        del answer


async def ask(start: Callable[..., None]) -> Any:
    """Makes a call of `start(settle)`, which can be left to itself."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()
    start(_settling(loop, answer))
    try:
        return await answer
    finally:
        del answer


async def upload(
    start: Callable[..., Call], source: Any, progress: Callable[[Progress], object] | None
) -> CallbackReply:
    """Makes a call of `start(source, progress, settle)`. When the task is cancelled, the upload first leaves
    things in order."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[CallbackReply] = loop.create_future()
    source, pump = bridged(source, loop)
    # What is no such function is refused as it is.
    fits = callable(progress) and not inspect.iscoroutinefunction(progress)
    watch = Watch(progress, loop) if progress is not None and fits else None
    tell = progress if watch is None else watch.tell
    call = start(source, tell, _settling(loop, answer))
    if watch is not None:
        watch.call = call
    try:
        try:
            await asyncio.wait([answer])
        except asyncio.CancelledError:
            call.cancel()
            await asyncio.wait([answer])
            raise
        if watch is not None and watch.raised is not None:
            # An upload that was complete by then, or failed by itself, has an outcome that must not be lost.
            ended = isinstance(answer.exception(), CancelledError)
            if ended or not isinstance(watch.raised, Exception):
                raise watch.raised
        return answer.result()
    finally:
        call.cancel()
        if pump is not None:
            await pump.stop()
        if answer.done() and not answer.cancelled():
            # Nobody may be told any more.
            answer.exception()
        del answer, call, watch, tell


# Where the outcomes of a loop's calls come in; None for a loop that cannot wait for descriptors.
_mailboxes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Mailbox | None] = weakref.WeakKeyDictionary()
_opening = threading.Lock()


def _settling(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any]) -> _Settle:
    """How the library's threads tell the loop what a call came to."""
    try:
        mailbox = _mailboxes[loop]
    except KeyError:
        mailbox = _open(loop)
    return functools.partial(_settle, loop, answer) if mailbox is None else (mailbox, answer)


def _open(loop: asyncio.AbstractEventLoop) -> Mailbox | None:
    mailbox: Mailbox | None
    try:
        mailbox = _native.Mailbox()
        for descriptor in mailbox.descriptors():
            # In a context of its own: that of the first call would live as long as the loop.
            contextvars.Context().run(loop.add_reader, descriptor, _collect, mailbox)
    except (NotImplementedError, OSError):
        mailbox = None
    with _opening:
        # What comes in after a loop was closed holds the loop by the call that it is for.
        for other in [other for other in _mailboxes if other.is_closed()]:
            del _mailboxes[other]
        _mailboxes[loop] = mailbox
    return mailbox


def _collect(mailbox: Mailbox) -> None:
    for answer, value, error in mailbox.collect():
        _resolve(answer, value, error)


def _settle(
    loop: asyncio.AbstractEventLoop,
    answer: asyncio.Future[_T],
    value: _T | None,
    error: BaseException | None,
) -> None:
    """Runs on a thread of the library's."""
    # Raised when the loop is closed: nobody waits any more.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_resolve, answer, value, error)


def _resolve(answer: asyncio.Future[_T], value: _T | None, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    elif value is not None:
        answer.set_result(value)


class Watch:
    """Calls a progress function on the event loop's thread. What it raises ends the upload."""

    def __init__(self, progress: Callable[[Progress], object], loop: asyncio.AbstractEventLoop) -> None:
        self.progress = progress
        self.loop = loop
        self.call: Call | None = None
        self.raised: BaseException | None = None

    def tell(self, progress: Progress) -> None:
        """Runs on a thread of the library's."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.told, progress)

    def told(self, progress: Progress) -> None:
        if self.raised is not None:
            return
        try:
            self.progress(progress)
        except BaseException as error:
            self.raised = error
            if self.call is not None:
                self.call.cancel()


def bridged(source: Any, loop: asyncio.AbstractEventLoop) -> tuple[Any, Pump | None]:
    """The source as threads can read it, and what waits for it on the loop, if that must be."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return source, None
    read = getattr(source, "read", None)
    if callable(read):
        if not inspect.iscoroutinefunction(read):
            return source, None
        pump = Pump(loop, read)
    elif hasattr(source, "__aiter__"):
        pump = Pump(loop, functools.partial(_step, source.__aiter__()))
    else:
        return source, None
    return pump, pump


async def _step(iterator: AsyncIterator[Any], _size: int) -> Any:
    async for chunk in iterator:
        # No bytes would be the end.
        if not isinstance(chunk, (bytes, bytearray, memoryview)) or len(chunk):
            return chunk
    return b""


class Pump:
    """Reads an asynchronous source, in one task of the event loop, for a thread that waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, step: Callable[[int], Awaitable[Any]]) -> None:
        self.loop = loop
        self.step = step
        self.context = contextvars.copy_context()
        self.asked: asyncio.Queue[int] = asyncio.Queue()
        self.given: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self.task: asyncio.Task[None] | None = None
        self.stopped = False

    def read(self, size: int) -> Any:
        """Runs on a thread of the library's."""
        self.loop.call_soon_threadsafe(self.ask, size, context=self.context)
        while True:
            try:
                chunk, error = self.given.get(timeout=PATIENCE)
            except queue.Empty:
                if self.loop.is_closed():
                    raise RuntimeError("the event loop was closed") from None
                continue
            if error is not None:
                raise error
            return chunk

    def ask(self, size: int) -> None:
        if self.stopped:
            return
        self.asked.put_nowait(size)
        if self.task is None:
            # One for all: a generator may not go on in another task than it began in.
            self.task = self.loop.create_task(self.run())

    async def run(self) -> None:
        try:
            while True:
                size = await self.asked.get()
                self.given.put((await self.step(size), None))
        except asyncio.CancelledError as cancelled:
            # If not by `stop`, then by the source itself, or by who cancels all tasks: who reads must know.
            self.given.put((b"", _was_cancelled(cancelled)))
            raise
        except BaseException as error:
            self.given.put((b"", error))

    async def stop(self) -> None:
        """Ends the reading, if it is still under way, and waits until it has ended."""
        self.stopped = True
        self.given.put((b"", InterruptedError("the call has ended")))
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])


def _was_cancelled(cause: asyncio.CancelledError) -> RuntimeError:
    """The call's own task was not: in it, a CancelledError would be taken for that."""
    error = RuntimeError("the source was cancelled")
    error.__cause__ = cause
    return error


def awaited_provider(function: Any) -> AsyncProvider | None:
    """What asks the function, if it is a coroutine function, or an object that is called like one."""
    is_awaited = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
    return AsyncProvider(function) if is_awaited else None


class AsyncProvider:
    """Calls a credentials function that is a coroutine on the event loop of the latest call. When that loop
    ends meanwhile, which says nothing of the function, it is another's turn: now, or with the next call.
    """

    def __init__(self, function: Callable[[], Awaitable[Credentials]]) -> None:
        self.function = function
        # Of the calls, in their order. No lock, which a fork could catch locked.
        self.loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, None] = weakref.WeakKeyDictionary()

    def called_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """To be told of each call before it is made."""
        self.loops.pop(loop, None)
        self.loops[loop] = None

    def latest(self) -> asyncio.AbstractEventLoop | None:
        """The latest loop that runs, or else one that may run again."""
        known = [loop for reference in self.loops.keyrefs() if (loop := reference()) is not None]
        known = [loop for loop in known if not loop.is_closed()]
        running = [loop for loop in known if loop.is_running()]
        return (running or known)[-1] if known else None

    def __call__(self) -> Credentials | Later:
        """Runs on a thread of the library's."""
        while (loop := self.latest()) is not None:
            future = self.asked(loop)
            if future is not None:
                return future.result()
        return _native.Later()

    def asked(self, loop: asyncio.AbstractEventLoop) -> concurrent.futures.Future[Credentials] | None:
        """What the function comes to there; None when the loop ends before it does."""
        awaited = self.awaited()
        try:
            future = asyncio.run_coroutine_threadsafe(awaited, loop)
        except RuntimeError:
            # It was closed in this instant.
            awaited.close()
            return None
        while not concurrent.futures.wait([future], PATIENCE).done:
            if loop.is_closed() or (not loop.is_running() and self.latest() is not loop):
                return None
        return None if future.cancelled() and self.has_ended(loop) else future

    def has_ended(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the function was cancelled with all that ran on the loop, as `asyncio.run` does at its end,
        or another loop can be asked. Else it is what the function came to."""
        self.loops.pop(loop, None)
        end = time.monotonic() + PATIENCE
        while not loop.is_closed() and self.latest() in (None, loop):
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    async def awaited(self) -> Credentials:
        return await self.function()
