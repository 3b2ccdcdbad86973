# What an application server hands to a browser that uploads straight to OSS: a signed URL or a signed form.
import json
import os
import uuid
from datetime import datetime, timedelta, timezone

from oss_callback import Callback, Signer

BUCKET = "examplebucket"
HOLDS_FOR = timedelta(minutes=15)  # Within it an upload must begin,
LASTS_FOR = timedelta(hours=1)  # and then it may take so long.

signer = Signer(
    os.environ["OSS_ACCESS_KEY_ID"],
    os.environ["OSS_ACCESS_KEY_SECRET"],
    security_token=os.environ.get("OSS_SESSION_TOKEN"),
    region=os.environ["OSS_REGION"],
)
endpoint = os.environ.get("OSS_ENDPOINT")  # The region's, if there is none.


def callback_of(user: str, key: str) -> Callback:
    seal = (os.environ["SEAL_SECRET"], HOLDS_FOR + LASTS_FOR)
    return Callback(os.environ["CALLBACK_URL"], vars={"user": user}, seal=seal).sealed_for(BUCKET, key)


def signed_url(user: str, key: str, content_type: str) -> dict[str, object]:
    callback = callback_of(user, key)
    headers = {"Content-Type": content_type, "x-oss-callback": callback.encoded}
    if callback.encoded_vars:
        headers["x-oss-callback-var"] = callback.encoded_vars
    request = signer.presign(
        "PUT", endpoint=endpoint, bucket=BUCKET, key=key, headers=headers, expires_in=HOLDS_FOR
    )
    return {"method": request.method, "url": request.url, "headers": request.headers}


def signed_form(user: str, key: str) -> dict[str, object]:
    callback, now = callback_of(user, key), datetime.now(timezone.utc)
    conditions: list[object] = [
        {"bucket": BUCKET},
        {"key": key},
        {"callback": callback.encoded},  # Without it the browser could send another one, or none.
        ["content-length-range", 1, 100 << 20],
    ]
    conditions += [{name: value} for name, value in signer.policy_conditions(time=now).items()]
    policy = {"expiration": f"{now + HOLDS_FOR:%Y-%m-%dT%H:%M:%S}.000Z", "conditions": conditions}
    fields = {"key": key, "callback": callback.encoded} | callback.vars
    fields |= signer.sign_policy(json.dumps(policy), time=now)
    # A form goes to the bucket itself, whose address every URL of it begins with.
    bucket_url = signer.presign("POST", endpoint=endpoint, bucket=BUCKET, expires_in=HOLDS_FOR).url
    return {"url": bucket_url.partition("?")[0], "fields": fields}


# The key is the server's choice: whoever could name it could overwrite what others have uploaded.
key = f"uploads/{uuid.uuid4()}.jpg"
print(json.dumps({"put": signed_url("alice", key, "image/jpeg"), "form": signed_form("alice", key)}))
