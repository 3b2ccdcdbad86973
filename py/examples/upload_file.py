"""Uploads a file of any size, shows how far it is, and goes on where it was when it is run again."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from oss_callback import Callback, CallbackReply, Client, Progress

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None


def upload(path: Path, show: Callable[[Progress], object]) -> CallbackReply:
    with Client() as client:
        return client.upload_file_with_callback(
            "examplebucket",
            path.name,
            path,
            Callback(os.environ["CALLBACK_URL"]),
            progress=show,
            checkpoint=path.with_name(path.name + ".checkpoint"),
        )


def show(progress: Progress) -> None:
    print(f"{progress.bytes_done} of {progress.bytes_total} bytes", file=sys.stderr)


path = Path(sys.argv[1])
if tqdm is None:
    reply = upload(path, show)
else:
    with tqdm(total=path.stat().st_size, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        reply = upload(path, lambda progress: bar.update(progress.bytes_done - bar.n))
print(reply.text)
