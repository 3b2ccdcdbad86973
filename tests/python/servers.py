"""Real servers for the applications of the tests, each on a port of its own for the length of a `with`."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from conftest import ROOT

EXAMPLES = ROOT / "py/examples"


def listening() -> socket.socket:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(32)
    return server


@contextlib.contextmanager
def uvicorn(app: Any, **options: Any) -> Iterator[int]:
    import uvicorn as server

    config = server.Config(app, log_config=None, http="h11", timeout_graceful_shutdown=1, **options)
    running = server.Server(config)
    with listening() as bound:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield bound.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join(10)


@contextlib.contextmanager
def waitress(app: Any) -> Iterator[int]:
    import waitress as server

    with listening() as bound:
        running = server.create_server(app, sockets=[bound], threads=2)
        thread = threading.Thread(target=running.run)
        thread.start()
        try:
            yield bound.getsockname()[1]
        finally:
            # On its own thread, which waits on what is closed. Pulled by a worker as well, it may be closed
            # before it is pulled here.
            with contextlib.suppress(OSError):
                running.trigger.pull_trigger(running.close)
            thread.join(10)
            running.task_dispatcher.shutdown()


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextlib.contextmanager
def wsgiref(app: Any) -> Iterator[int]:
    """A server that does not tell the raw target."""
    with WSGIServer(("127.0.0.1", 0), Quiet) as running:
        running.set_app(app)
        thread = threading.Thread(target=running.serve_forever, args=[0.05])
        thread.start()
        try:
            yield running.server_port
        finally:
            running.shutdown()
            thread.join(10)


@contextlib.contextmanager
def gunicorn(app: str) -> Iterator[int]:
    with listening() as bound:
        command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{bound.fileno()}", "--threads", "2"]
        command += ["--log-level", "error", "--chdir", str(EXAMPLES), app]
        with subprocess.Popen(command, pass_fds=[bound.fileno()]) as process:
            try:
                yield bound.getsockname()[1]
            finally:
                process.terminate()
