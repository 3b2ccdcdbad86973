"""Uploads what is made while it is sent: here a table, row by row. Only a few pieces of it are in memory."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

from oss_callback import Callback, Client, aio

callback = Callback(os.environ["CALLBACK_URL"])


def rows() -> Iterator[bytes]:
    yield b"number,square\n"
    for number in range(100_000):
        yield f"{number},{number * number}\n".encode()


async def events() -> AsyncIterator[bytes]:
    for number in range(3):
        await asyncio.sleep(0.1)
        yield f'{{"event": {number}}}\n'.encode()


async def main() -> None:
    async with aio.Client() as client:
        reply = await client.put_object_with_callback("examplebucket", "events.json", events(), callback)
        print(reply.text)


with Client() as client:
    reply = client.put_object_with_callback("examplebucket", "squares.csv", rows(), callback)
    print(reply.text)
asyncio.run(main())
