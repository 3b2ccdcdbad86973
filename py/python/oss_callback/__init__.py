"""Upload to Alibaba Cloud OSS with a callback: OSS stores the object, asks your application server, and
hands its answer back to the uploader.

    from oss_callback import Callback, Client

    callback = Callback("https://app.example.com/cb", vars={"order": "42"})
    with Client(region="cn-hangzhou") as client:
        reply = client.put_object_with_callback("examplebucket", "a.txt", b"Hello OSS", callback)
    print(reply.text)

`oss_callback.aio` has the same client for asyncio, and `Signer` signs what you send yourself.
"""

from __future__ import annotations

from . import _errors
from ._callback import Callback
from ._client import Client
from ._errors import *  # noqa: F403 - the list is generated
from ._native import CallbackReply, PresignedRequest, Signer, __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from . import aio as aio

__all__ = [
    "Callback",
    "CallbackReply",
    "Client",
    "PresignedRequest",
    "Signer",
    "__version__",
    *_errors.__all__,
]

for _name in _errors.__all__:
    # Tracebacks show the name under which users import it.
    getattr(_errors, _name).__module__ = __name__


def __getattr__(name: str) -> ModuleType:
    # Programs without asyncio do not pay for importing it.
    if name == "aio":
        from importlib import import_module

        return import_module(".aio", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
