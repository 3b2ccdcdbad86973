import os

from oss_callback import Callback, Client

# Endpoint, region and credentials come from the environment unless they are given here.
with Client() as client:
    callback = Callback(os.environ["CALLBACK_URL"], vars={"order": "42"})
    reply = client.put_object_with_callback("examplebucket", "hello.txt", b"Hello OSS", callback)

print(reply.text)
