# Answers callbacks. Start it with `uvicorn starlette_app:app`.
import os

from oss_callback import CallbackEvent, CallbackVerifier
from oss_callback.starlette import callback_endpoint
from starlette.applications import Starlette
from starlette.routing import Route

# The key is an emulator's; without one, OSS's own is trusted.
secret, key = os.environ["SEAL_SECRET"], os.environ.get("CALLBACK_KEY")


@callback_endpoint(CallbackVerifier(bucket="examplebucket", seal_secret=secret, trusted_keys=key))
async def uploaded(event: CallbackEvent) -> dict[str, object]:
    # The answer goes to the uploader.
    return {"Status": "OK", "key": event.key, "order": event.variable("order")}


app = Starlette(routes=[Route("/oss/uploaded", uploaded, methods=["POST"])])
