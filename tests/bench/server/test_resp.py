# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ubypass.bench.server.resp import Client
from ubypass.errors import UbError


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[Client, list[bytes]]]:
    """A client of a server that says ``answer`` and hangs up; what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(answer)
                peer.shutdown(socket.SHUT_WR)
                while data := peer.recv(4096):
                    asked.append(data)

        thread = threading.Thread(target=serve)
        thread.start()
        with Client(listener.getsockname()[1]) as client:
            yield client, asked
        thread.join()


def test_commands_on_the_wire() -> None:
    with answering(b"") as (client, asked):
        client.send(("SET", "k", b"\r\n\0"), ("GET", "k"))
    sent = (
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\r\n\0\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    )
    assert b"".join(asked) == sent


def test_all_kinds_of_replies() -> None:
    text = b"+OK\r\n-ERR no\r\n:12\r\n$4\r\na\r\nb\r\n$-1\r\n*2\r\n:1\r\n$0\r\n\r\n"
    with answering(text) as (client, _):
        replies = [client.receive() for _ in range(6)]
    assert replies == [b"OK", b"-ERR no", 12, b"a\r\nb", None, [1, b""]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "closed"),
        (b"+O", "closed"),
        (b"$9\r\nabc", "closed"),
        (b"x\r\n", "invalid reply"),
    ],
)
def test_what_is_no_reply(text: bytes, why: str) -> None:
    with answering(text) as (client, _), pytest.raises(UbError, match=why):
        client.receive()
