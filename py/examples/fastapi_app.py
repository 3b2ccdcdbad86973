# Answers callbacks. Start it with `uvicorn fastapi_app:app`.
import os

from fastapi import FastAPI
from oss_callback import CallbackEvent, CallbackVerifier
from oss_callback.starlette import callback_endpoint

# The key is an emulator's; without one, OSS's own is trusted.
secret, key = os.environ["SEAL_SECRET"], os.environ.get("CALLBACK_KEY")
verifier = CallbackVerifier(bucket="examplebucket", seal_secret=secret, trusted_keys=key)
app = FastAPI()


@app.post("/oss/uploaded")
@callback_endpoint(verifier)
async def uploaded(event: CallbackEvent) -> dict[str, object]:
    # The answer goes to the uploader.
    return {"Status": "OK", "key": event.key, "order": event.variable("order")}
