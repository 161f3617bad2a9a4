# SPDX-License-Identifier: GPL-2.0-only
"""A server and its clients in one event loop."""

import asyncio

CLIENTS = 3
LINES = 60


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def ask(port: int, number: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    right = 0
    for turn in range(LINES):
        writer.write(f"line {number} {turn}\n".encode())
        right += await reader.readline() == f"LINE {number} {turn}\n".encode()
    writer.close()
    await writer.wait_closed()
    return right


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(await asyncio.gather(*(ask(port, number) for number in range(CLIENTS))))
    server.close()


asyncio.run(main())
