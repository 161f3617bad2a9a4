# SPDX-License-Identifier: GPL-2.0-only
"""The load, against a server made here that replies as memcached does, or badly."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ubypass.bench.workloads import build_workload

_VALUE = b"\0some\r\nbytes"
_REPLY = b"VALUE key 0 %d\r\n%b\r\nEND\r\n" % (len(_VALUE), _VALUE)


def _run(port: int, file: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [build_workload("getload"), str(port), "key", str(file), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "value"
    path.write_bytes(_VALUE)
    return path


@contextlib.contextmanager
def _server(reply: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The port of a server, and the requests that it got, one by one."""
    requests: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        with (
            contextlib.suppress(ConnectionError),
            sock,
            sock.makefile("rb") as stream,
        ):
            for line in stream:
                requests.append(line)
                sock.sendall(reply)
                if not reply:
                    return

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listening.accept()
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1], requests
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(("connections", "count"), [(1, 3), (4, 10), (4, 2)])
def test_asks_and_compares(file: Path, connections: int, count: int) -> None:
    with _server(_REPLY) as (port, requests):
        done = _run(port, file, str(connections), str(count))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["requests"] == count
    assert said["ns"] > 0
    assert requests == [b"get key\r\n"] * count


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"END\r\n", "a wrong reply: END"),
        (_REPLY.replace(b"some", b"else"), "a wrong reply: VALUE key"),
        (_REPLY + b"more", "a wrong reply: more"),
        (b"", "closed a connection"),
    ],
)
def test_bad_replies(file: Path, reply: bytes, said: str) -> None:
    with _server(reply) as (port, _):
        done = _run(port, file, "2", "50")
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("0", "1"), "0: want a number from 1 to 200"),
        (("1", "many"), "many: want a number"),
        ((), "usage: getload"),
    ],
)
def test_bad_arguments(file: Path, more: tuple[str, ...], said: str) -> None:
    done = _run(80, file, *more)
    assert done.returncode == 2
    assert said in done.stderr


def test_nobody_listens(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    done = _run(port, file, "1", "1")
    assert done.returncode == 1
    assert "connect: Connection refused" in done.stderr
