"""A credentials function of the user's own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pathlib
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import BUCKET, Bed, Face, until
from oss_callback import ArgumentTypeError, Client, Credentials, CredentialsError, InvalidArgumentError, aio
from test_scenarios import wait_for


def client(face: Face, provider: Any, **options: Any) -> Any:
    given = face.bed.options(credentials_provider=provider, **options)
    del given["access_key_id"], given["access_key_secret"]
    return aio.Client(**given) if face.name == "asyncio" else Client(**given)


class Vault:
    """A function that counts how often it is asked, and may fail."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.asked = 0
        self.lifetime: timedelta | float | None = None
        self.failure: BaseException | None = None
        self.threads: set[int] = set()

    def __call__(self) -> Credentials:
        self.asked += 1
        self.threads.add(threading.get_ident())
        if self.failure is not None:
            raise self.failure
        names = ["STS_ACCESS_KEY_ID", "STS_ACCESS_KEY_SECRET", "STS_TOKEN"]
        if self.lifetime is None:
            return Credentials(*(self.bed.addresses[name] for name in names))
        expires_at: Any = datetime.now(timezone.utc) + timedelta(seconds=0.4)
        return Credentials(
            *(self.bed.addresses[name] for name in names),
            expires_at=expires_at.timestamp() if self.lifetime == 0 else expires_at,
        )


def functions(face: Face, vault: Vault) -> list[Any]:
    async def awaited() -> Credentials:
        await asyncio.sleep(0.01)
        return vault()

    class Awaited:
        async def __call__(self) -> Credentials:
            return vault()

    return [vault, awaited, Awaited()] if face.name == "asyncio" else [vault]


def test_credentials_function_is_asked(face: Face) -> None:
    for is_datetime in [False, True]:
        vault = Vault(face.bed)
        for function in functions(face, vault):
            vault.asked = 0
            vault.lifetime = None
            fresh = client(face, function)
            assert vault.asked == 0
            for _ in range(3):
                assert face.put(BUCKET, "provided", b"data", face.bed.callback(), client=fresh).etag
            assert vault.asked == 1
            vault.lifetime = timedelta() if is_datetime else 0
            short = client(face, function)
            vault.asked = 0
            for count in [1, 2]:
                face.upload(BUCKET, "provided", b"data", face.bed.callback(), client=short)
                assert vault.asked >= count
                time.sleep(0.5)

    class Sealed(Exception):
        pass

    vault = Vault(face.bed)
    for function in functions(face, vault):
        vault.failure = Sealed("the vault is sealed")
        sealed = client(face, function)
        for call in [face.put, face.upload]:
            with pytest.raises(CredentialsError, match="the vault is sealed") as failure:
                call(BUCKET, "provided", b"data", face.bed.callback(), client=sealed)
            assert failure.value.kind == "credentials"
            assert failure.value.__cause__ is vault.failure
        # It is left alone for a second, and asked again after it.
        vault.failure = None
        time.sleep(1.1)
        assert face.put(BUCKET, "provided", b"data", face.bed.callback(), client=sealed).etag


def test_a_function_that_returns_something_else_is_told_so(face: Face) -> None:
    for returned in [("id", "secret"), None]:
        mistaken = client(face, lambda returned=returned: returned)
        with pytest.raises(CredentialsError, match=r"must be oss_callback\.Credentials") as failure:
            face.put(BUCKET, "k", b"data", face.bed.callback(), client=mistaken)
        assert isinstance(failure.value.__cause__, TypeError)
    with pytest.raises(ArgumentTypeError, match="credentials_provider: must be callable"):
        client(face, ("id", "secret"))
    with pytest.raises(InvalidArgumentError) as refusal:
        face.client(credentials_provider=Vault(face.bed))
    assert refusal.value.field == "credentials_provider"


def test_many_calls_ask_once(bed: Bed) -> None:
    class Slow(Vault):
        def __call__(self) -> Credentials:
            time.sleep(0.1)
            return super().__call__()

    vault = Slow(bed)
    with client(Face(bed, "threads"), vault) as shared, ThreadPoolExecutor(64) as pool:
        calls = [
            pool.submit(shared.put_object_with_callback, BUCKET, f"many/{n}", b"data", bed.callback())
            for n in range(64)
        ]
        assert all(call.result().etag for call in calls)
    assert vault.asked == 1


@pytest.mark.usefixtures("all_handles_come_back")
def test_a_client_whose_function_refers_to_its_owner_is_collected(face: Face) -> None:
    class Owner:
        def __init__(self, fails: bool) -> None:
            self.fails = fails
            self.vault = Vault(face.bed)
            self.client = client(face, self.awaited if face.name == "asyncio" else self.credentials)

        def credentials(self) -> Credentials:
            if self.fails:
                # Its traceback refers to the owner, too.
                raise LookupError
            return self.vault()

        async def awaited(self) -> Credentials:
            return self.credentials()

    owners = []
    for number in range(20):
        owner = Owner(fails=number % 2 == 1)
        with pytest.raises(CredentialsError) if owner.fails else contextlib.nullcontext():
            face.put(BUCKET, "owned", b"data", face.bed.callback(), client=owner.client)
        owners.append(weakref.ref(owner))
        del owner
    # Threads of the library's let go of theirs in an instant.
    until(lambda: not any(owner() for owner in owners))


def test_a_call_under_way_keeps_the_function_of_its_client(face: Face) -> None:
    vault = Vault(face.bed)
    native: list[Any] = []

    def slow() -> Credentials:
        closing = threading.Thread(target=native.pop().close)
        closing.start()
        closing.join()
        del closing
        gc.collect()
        return vault()

    # Nobody else holds the client, and it is closed while it waits for credentials.
    fresh = [client(face, slow)]
    native.append(fresh[0]._native)
    assert face.put(BUCKET, "kept", b"data", face.bed.callback(), client=fresh.pop()).etag
    assert vault.asked == 1


def test_a_coroutine_runs_on_the_loop_of_the_call(bed: Bed) -> None:
    loops = []

    async def function() -> Credentials:
        loops.append(asyncio.get_running_loop())
        return Vault(bed)()

    async def main(shared: Any) -> bool:
        await shared.put_object_with_callback(BUCKET, "k", b"data", bed.callback())
        return loops[-1] is asyncio.get_running_loop()

    shared = client(Face(bed, "asyncio"), function)
    assert asyncio.run(main(shared))
    # Held now: no loop is asked any more.
    asyncio.run(main(shared))
    assert len(loops) == 1
    another = client(Face(bed, "asyncio"), function)
    assert asyncio.run(main(another))


class Interrupted:
    """A coroutine function that the end of its event loop comes upon, the first time that it is called."""

    def __init__(self, bed: Bed) -> None:
        self.vault = Vault(bed)
        self.begun = threading.Event()

    async def __call__(self) -> Credentials:
        if not self.begun.is_set():
            self.begun.set()
            await asyncio.sleep(60)
        return self.vault()


def cancelled_by_the_end(call: Callable[[], Coroutine[Any, Any, Any]], begun: threading.Event) -> None:
    async def main() -> None:
        left = asyncio.create_task(call())
        await asyncio.to_thread(begun.wait, 10)
        assert not left.done()

    asyncio.run(main())


def left_by_a_closed_loop(call: Callable[[], Coroutine[Any, Any, Any]], begun: threading.Event) -> None:
    async def main() -> None:
        loop.left = loop.create_task(call())  # type: ignore[attr-defined]
        while not begun.is_set():
            await asyncio.sleep(0.01)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.left._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("end", [cancelled_by_the_end, left_by_a_closed_loop])
@pytest.mark.parametrize("pause", [0, 1.5], ids=["at once", "later"])
def test_the_end_of_a_loop_is_no_failure_of_the_function(bed: Bed, end: Any, pause: float) -> None:
    function = Interrupted(bed)
    shared = client(Face(bed, "asyncio"), function)

    def call() -> Any:
        return shared.put_object_with_callback(BUCKET, "interrupted", b"data", bed.callback())

    end(call, function.begun)
    time.sleep(pause)
    for _ in range(2):
        assert asyncio.run(call()).etag
    assert function.vault.asked == 1


def test_a_call_that_waits_for_what_another_loop_was_asked_outlives_that_loop(bed: Bed) -> None:
    function = Interrupted(bed)
    shared = client(Face(bed, "asyncio"), function)

    def call() -> Any:
        return shared.put_object_with_callback(BUCKET, "interrupted", b"data", bed.callback())

    with ThreadPoolExecutor(1) as pool:

        async def main() -> Any:
            left = asyncio.create_task(call())
            await asyncio.to_thread(function.begun.wait, 10)
            waiting = pool.submit(asyncio.run, call())
            await asyncio.sleep(0.2)
            assert not left.done()
            return waiting

        assert asyncio.run(main()).result(10).etag
    assert function.vault.asked == 1


def test_a_function_that_is_cancelled_by_its_own_doing_has_failed(bed: Bed) -> None:
    async def gives_up() -> Credentials:
        raise asyncio.CancelledError

    face = Face(bed, "asyncio")
    with pytest.raises(CredentialsError) as failure:
        face.put(BUCKET, "k", b"data", bed.callback(), client=client(face, gives_up))
    assert isinstance(failure.value.__cause__, CancelledError)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are looked up in /proc")
@pytest.mark.usefixtures("all_handles_come_back")
def test_a_client_that_no_loop_ever_calls_again_leaves_no_thread(bed: Bed) -> None:
    def threads() -> int:
        names = []
        for task in pathlib.Path("/proc/self/task").iterdir():
            # A thread may end meanwhile.
            with contextlib.suppress(OSError):
                names.append((task / "comm").read_text())
        return sum(name.startswith("oss-callback-cr") for name in names)

    function = Interrupted(bed)
    owner = [client(Face(bed, "asyncio"), function)]
    cancelled_by_the_end(
        lambda: owner[0].put_object_with_callback(BUCKET, "k", b"data", bed.callback()), function.begun
    )
    # Those of earlier tests may still be on their way out.
    until(lambda: threads() == 1)
    owner.clear()
    until(lambda: threads() == 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_the_child_of_a_fork_asks_for_itself(bed: Bed) -> None:
    vault = Vault(bed)
    vault.lifetime = 0
    with client(Face(bed, "threads"), vault) as shared:

        def put() -> bytes:
            return shared.put_object_with_callback(BUCKET, "fork", b"data", bed.callback()).body

        assert put()
        time.sleep(0.5)
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if put() and vault.asked > 1 else 1)
            finally:
                os._exit(2)
        assert wait_for(child, 60) == 0
        assert put()


def test_credentials_are_a_value_that_shows_no_secret() -> None:
    soon = datetime.now(timezone.utc)
    credentials = Credentials("id", "s3cret", "t0ken", soon)
    assert repr(credentials) == "<Credentials id access_key_secret=*** security_token=***>"
    assert repr(Credentials("id", "s3cret")) == "<Credentials id access_key_secret=***>"
    assert credentials.access_key_id == "id"
    assert credentials.expires_at == pytest.approx(soon.timestamp(), abs=1e-5)
    assert Credentials("id", "s3cret", expires_at=-1.5).expires_at == -1.5
    assert Credentials("id", "s3cret").expires_at is None
    with pytest.raises(AttributeError):
        credentials.access_key_id = "another"  # type: ignore[misc]
    for wrong, error in [
        (("", "s3cret"), CredentialsError),
        (("id", "s3\ncret"), CredentialsError),
        (("id", "s3cret", ""), CredentialsError),
        (("id", 5), TypeError),
        (("id", "s3cret", None, datetime(2030, 1, 1)), InvalidArgumentError),
    ]:
        with pytest.raises(error) as failure:
            Credentials(*wrong)
        assert "cret" not in str(failure.value).replace("access_key_secret", "")
