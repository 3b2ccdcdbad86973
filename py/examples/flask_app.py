# Answers callbacks. Start it with `waitress-serve flask_app:app`.
import os

from flask import Flask
from oss_callback import CallbackEvent, CallbackVerifier
from oss_callback.flask import callback_view

# The key is an emulator's; without one, OSS's own is trusted.
secret, key = os.environ["SEAL_SECRET"], os.environ.get("CALLBACK_KEY")
verifier = CallbackVerifier(bucket="examplebucket", seal_secret=secret, trusted_keys=key)
app = Flask(__name__)


@app.post("/oss/uploaded")
@callback_view(verifier)
def uploaded(event: CallbackEvent) -> dict[str, object]:
    # The answer goes to the uploader.
    return {"Status": "OK", "key": event.key, "order": event.variable("order")}
