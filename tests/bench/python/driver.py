"""The driver for Python: `driver.py WHO WORKLOAD name=value...` prints one line of JSON.

WHO is ours (`python`, `python-aio`) or a peer. What is measured leaves out start-up, the making of clients
and a warm-up; CPU time is that of all threads. Each WHO imports only what it needs.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Awaitable, Callable

KEY_ID, SECRET = "LTAI5tExampleKeyId0001", "ExampleSecretKey/for+tests=0001"
BUCKET, REGION = "examplebucket", "cn-hangzhou"
CALLBACK_URL = "http://app.example.com/oss/cb"
CALLBACK_BODY = "bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&u=${x:uid}"

who, workload = sys.argv[1:3]
given = dict(argument.split("=", 1) for argument in sys.argv[3:])
endpoint = given.get("endpoint", "")
ways = int(given.get("ways", 1))
size = int(given.get("size", 4096))
part = int(given.get("part", 8 << 20))
once = given.get("once") == "1"
operations = int(given.get("n", 0))
seconds = float(given.get("seconds", 1))
warm_seconds = float(given.get("warm_seconds", 0))
data = bytes(size)

if "ca" in given:
    os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = given["ca"]


def measured() -> Callable[[int, int], None]:
    """Starts to measure; the function that it returns ends it and prints."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()

    def end(ops: int, moved: int) -> None:
        elapsed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        result = {"ops": ops, "bytes": moved, "seconds": elapsed, "cpu": cpu}
        print(json.dumps(result | {"idle_kib": before.ru_maxrss, "peak_kib": after.ru_maxrss}), flush=True)

    return end


def until(share: int, step: Callable[[int], object]) -> int:
    """Steps `operations / share` times, or for some seconds."""
    done = 0
    if operations:
        for done in range(1, operations // share + 1):
            step(done)
        return done
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        done += 1
        step(done)
    return done


def warm(times: int, step: Callable[[int], object]) -> None:
    """What goes before: `warm_seconds` of it, or so many times."""
    deadline, done = time.perf_counter() + warm_seconds, 0
    while time.perf_counter() < deadline if warm_seconds else done < times:
        done += 1
        step(done)


def puts(put: Callable[[str], object]) -> None:
    """On this thread, or on as many as asked for."""
    if ways == 1:
        warm(20, lambda i: put(f"warm/{i}"))
        end = measured()
        done = until(1, lambda i: put(f"k/{i}"))
        return end(done, done * size)
    counts = [0] * ways
    ready, go = threading.Barrier(ways + 1), threading.Barrier(ways + 1)

    def work(worker: int) -> None:
        warm(4, lambda i: put(f"warm/{worker}-{i}"))
        ready.wait()
        go.wait()
        counts[worker] = until(ways, lambda i: put(f"k/{worker}-{i}"))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(ways)]
    for thread in threads:
        thread.start()
    ready.wait()
    end = measured()
    go.wait()
    for thread in threads:
        thread.join()
    end(sum(counts), sum(counts) * size)


async def aio_puts(put: Callable[[str], Awaitable[object]]) -> None:
    async def work(worker: int, limit: int, deadline: float) -> int:
        done = 0
        while done < limit if limit else time.perf_counter() < deadline:
            await put(f"k/{worker}-{done}")
            done += 1
        return done

    async def all_of(limit: int, length: float) -> int:
        deadline = time.perf_counter() + length
        return sum(await asyncio.gather(*[work(worker, limit, deadline) for worker in range(ways)]))

    if not once:
        await all_of(0 if warm_seconds else 4, warm_seconds)
    end = measured()
    done = await all_of(1 if once else operations // ways, seconds)
    end(done, done * size)


def repeated(step: Callable[[], object], moved: int = 0) -> None:
    for _ in range(20):
        step()
    end = measured()
    done = until(1, lambda _: step())
    end(done, done * moved)


def file_upload(upload: Callable[[str], object], warm: Callable[[], object]) -> None:
    warm()
    path = given["file"]
    end = measured()
    upload(path)
    end(1, os.path.getsize(path))


def unknown() -> None:
    raise SystemExit(f"{who} has no workload {workload}")


def headers() -> dict[str, str]:
    import base64

    callback = {
        "callbackUrl": CALLBACK_URL,
        "callbackBody": CALLBACK_BODY,
        "callbackBodyType": "application/x-www-form-urlencoded",
    }

    def encode(value: object) -> str:
        return base64.b64encode(json.dumps(value).encode()).decode()

    return {"x-oss-callback": encode(callback), "x-oss-callback-var": encode({"x:uid": "12345"})}


def ours() -> None:
    from oss_callback import Callback, Client, Signer, aio

    def callback() -> Callback:
        return Callback(CALLBACK_URL, body=CALLBACK_BODY, vars={"uid": "12345"})

    made = callback()
    if workload in ("sign-v4", "sign-v1", "presign"):
        signer = Signer(KEY_ID, SECRET, region=REGION, version="v1" if workload == "sign-v1" else "v4")
        send = {"content-type": "text/plain", "x-oss-callback": made.encoded}
        key = "exampledir/exampleobject.txt"
        if workload == "presign":
            at = "https://oss-cn-hangzhou.aliyuncs.com"
            return repeated(
                lambda: signer.presign("PUT", endpoint=at, bucket=BUCKET, key=key, expires_in=3600)
            )
        return repeated(lambda: signer.sign("PUT", bucket=BUCKET, key=key, headers=send))
    if workload == "encode":
        return repeated(callback)
    options = {"endpoint": endpoint, "region": REGION, "proxy": "none"}
    options |= {"access_key_id": KEY_ID, "access_key_secret": SECRET}
    if "ca" in given:
        with open(given["ca"]) as file:
            options["ca_certificates"] = file.read()
    if who == "python-aio":

        async def run() -> None:
            async with aio.Client(**options) as client:
                await aio_puts(lambda key: client.put_object_with_callback(BUCKET, key, data, made))

        return asyncio.run(run())
    client = Client(**options)
    if workload == "put":
        return puts(lambda key: client.put_object_with_callback(BUCKET, key, data, made))
    from pathlib import Path

    def stream(path: str) -> None:
        with open(path, "rb", buffering=0) as file:
            client.put_object_with_callback(BUCKET, "k", iter(lambda: file.read(256 << 10), b""), made)

    parts = {"threshold": 0, "part_size": part, "parallel": ways}
    uploads = {
        "put-file": lambda path: client.put_object_with_callback(BUCKET, "k", Path(path), made),
        "multipart": lambda path: client.upload_file_with_callback(BUCKET, "k", Path(path), made, **parts),
        "stream": stream,
    }
    file_upload(uploads[workload], lambda: client.put_object_with_callback(BUCKET, "warm", b"x", made))


def oss2() -> None:
    import oss2

    oss2.defaults.connection_pool_size = 64
    v1 = workload == "sign-v1"
    auth = oss2.Auth(KEY_ID, SECRET) if v1 else oss2.AuthV4(KEY_ID, SECRET)
    at = endpoint or "http://oss-cn-hangzhou.aliyuncs.com"
    checks = who == "oss2"
    bucket = oss2.Bucket(auth, at, BUCKET, is_cname=bool(endpoint), region=REGION, enable_crc=checks)
    send = headers()
    if workload in ("sign-v4", "sign-v1"):

        def sign() -> None:
            request = oss2.http.Request("PUT", at + "/k", headers=dict(send), region=REGION, product="oss")
            auth._sign_request(request, BUCKET, "exampledir/exampleobject.txt")

        return repeated(sign)
    if workload == "presign":
        return repeated(lambda: bucket.sign_url("PUT", "exampledir/exampleobject.txt", 3600, headers={}))
    if workload == "crc64":
        crc = oss2.utils.Crc64()
        return repeated(lambda: crc.update(data), size)
    if workload == "combine":
        crc = oss2.utils.Crc64()
        return repeated(lambda: crc.combine(0x123456789ABCDEF0, 42, 8 << 20))

    def put(key: str) -> None:
        # Not read, the answer would keep its connection from being used again.
        bucket.put_object(key, data, headers=dict(send)).resp.read()

    if workload == "put":
        return puts(put)
    if workload == "put-file":
        return file_upload(lambda path: bucket.put_object_from_file("k", path, headers=dict(send)), lambda: put("w"))
    if workload == "stream":

        def stream(path: str) -> None:
            with open(path, "rb", buffering=0) as file:
                bucket.put_object("k", iter(lambda: file.read(256 << 10), b""), headers=dict(send))

        return file_upload(stream, lambda: put("w"))
    if workload == "multipart":
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            store = oss2.ResumableStore(root=folder)
            options = {"multipart_threshold": 1, "part_size": part, "num_threads": ways, "headers": dict(send)}
            return file_upload(
                lambda path: oss2.resumable_upload(bucket, "k", path, store=store, **options),
                lambda: put("w"),
            )
    unknown()


def oss_v2() -> None:
    import alibabacloud_oss_v2 as oss

    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(KEY_ID, SECRET)
    config.region, config.use_path_style = REGION, bool(endpoint)
    config.endpoint = endpoint or "https://oss-cn-hangzhou.aliyuncs.com"
    config.disable_upload_crc64_check = who == "oss_v2-no-crc"
    config.max_connections = 64
    client, send = oss.Client(config), headers()
    key = "exampledir/exampleobject.txt"
    callback = {"callback": send["x-oss-callback"], "callback_var": send["x-oss-callback-var"]}
    if workload == "sign-v4":
        from alibabacloud_oss_v2.signer.v4 import SignerV4
        from alibabacloud_oss_v2.types import HttpRequest, SigningContext

        signer, credentials = SignerV4(), oss.credentials.StaticCredentialsProvider(KEY_ID, SECRET)

        def sign() -> None:
            request = HttpRequest("PUT", f"{config.endpoint}/{key}", headers=dict(send))
            context = SigningContext("oss", REGION, BUCKET, key, request, credentials.get_credentials())
            signer.sign(context)

        return repeated(sign)
    if workload == "presign":
        return repeated(lambda: client.presign(oss.PutObjectRequest(bucket=BUCKET, key=key)))

    def put(key: str) -> None:
        client.put_object(oss.PutObjectRequest(bucket=BUCKET, key=key, body=data, **callback))

    if workload == "put":
        return puts(put)
    request = oss.PutObjectRequest(bucket=BUCKET, key="k", **callback)
    if workload == "put-file":
        return file_upload(lambda path: client.put_object_from_file(request, path), lambda: put("w"))
    if workload == "multipart":
        uploader = client.uploader(part_size=part, parallel_num=ways)
        return file_upload(lambda path: uploader.upload_file(request, path), lambda: put("w"))
    unknown()


def opendal() -> None:
    import opendal

    options = {"bucket": BUCKET, "endpoint": endpoint, "addressing_style": "path", "region": REGION}
    options |= {"access_key_id": KEY_ID, "access_key_secret": SECRET}
    if who == "opendal-aio":
        aio = opendal.AsyncOperator("oss", **options)
        return asyncio.run(aio_puts(lambda key: aio.write(key, data)))
    operator = opendal.Operator("oss", **options)
    if workload == "put":
        return puts(lambda key: operator.write(key, data))

    def whole(path: str) -> None:
        with open(path, "rb") as file:
            operator.write("k", file.read())

    def parts(path: str) -> None:
        with operator.open("k", "wb", chunk=part, concurrent=ways) as to, open(path, "rb") as file:
            while piece := file.read(part):
                to.write(piece)

    if workload in ("put-file", "multipart"):
        upload = whole if workload == "put-file" else parts
        return file_upload(upload, lambda: operator.write("w", b"x"))
    unknown()


def obstore() -> None:
    import pathlib

    import obstore
    from obstore.store import S3Store

    store = S3Store(
        BUCKET,
        endpoint=endpoint,
        access_key_id=KEY_ID,
        secret_access_key=SECRET,
        region="us-east-1",
        virtual_hosted_style_request=False,
        unsigned_payload=True,
        client_options={
            "allow_http": True,
            "allow_invalid_certificates": "ca" in given,
            "default_headers": {} if workload == "multipart" else headers(),
        },
    )
    if who == "obstore-aio":
        return asyncio.run(aio_puts(lambda key: obstore.put_async(store, key, data)))
    if workload == "put":
        return puts(lambda key: obstore.put(store, key, data))
    options = {"use_multipart": workload == "multipart", "chunk_size": part, "max_concurrency": ways}
    if workload in ("put-file", "multipart"):
        return file_upload(
            lambda path: obstore.put(store, "k", pathlib.Path(path), **options),
            lambda: obstore.put(store, "w", b"x"),
        )
    unknown()


drivers = {"python": ours, "python-aio": ours, "oss2": oss2, "oss2-no-crc": oss2, "oss_v2": oss_v2}
drivers |= {"oss_v2-no-crc": oss_v2, "opendal": opendal, "opendal-aio": opendal}
drivers |= {"obstore": obstore, "obstore-aio": obstore}
if workload == "import":
    # The interpreter's own start is the bare case; what it has to tell is its memory.
    if who == "python":
        import oss_callback
    elif who == "oss2":
        import oss2
    elif who == "oss_v2":
        import alibabacloud_oss_v2
    elif who == "opendal":
        import opendal
    elif who == "obstore":
        import obstore
else:
    drivers[who]()
# Some peers keep threads; they have had their turn.
sys.stdout.flush()
os._exit(0)
