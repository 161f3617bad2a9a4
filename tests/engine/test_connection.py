# SPDX-License-Identifier: GPL-2.0-only
"""A client that stays: told by and by, never waited for, and its end is noticed."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.fakes import FakeDevice
from tests.open_files import open_files
from ubypass.engine import control as control_module
from ubypass.engine.built import Built, NothingToBuild
from ubypass.engine.connection import REQUEST_MOST, Connection, peer_of
from ubypass.engine.control import Control, socket_path
from ubypass.engine.engine import Engine
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Profile
from ubypass.errors import UbError


def _build(profile: Profile, memory: MemoryLike) -> Built:
    raise NothingToBuild


class Server:
    """A control socket with a request that stays, and who has asked it."""

    def __init__(self, directory: Path) -> None:
        self.clients: list[Connection] = []
        self.ended: list[int] = []
        self.device = FakeDevice()
        self.engine = Engine(self.device, build=_build)
        self.control = Control(
            self.engine,
            {"large": lambda question: {"x": "y" * 3_000_000}},
            directory,
            {"stay": self._stay, "refuse": self._refuse},
        )
        self._path = socket_path(os.getpid(), directory)

    def _stay(self, question: Mapping[str, Any], client: Connection) -> None:
        number = len(self.clients)
        self.clients.append(client)

        def ended() -> None:
            self.ended.append(number)
            client.send({"last": number})
            client.finish()

        client.keep(ended)
        client.send({"first": number})

    def _refuse(self, question: Mapping[str, Any], client: Connection) -> None:
        client.keep(lambda: self.ended.append(-1))
        raise UbError("no", "ask another")

    def connect(self, request: str = "") -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(60)
        client.connect(str(self._path))
        if request:
            client.sendall(json.dumps({"ask": request}).encode() + b"\n")
        self.steps()
        return client

    def steps(self) -> None:
        for _ in range(6):
            self.engine.step(0)

    def close(self) -> None:
        self.control.close()
        self.engine.close()
        self.device.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "run")
    yield server
    server.close()


def _line(client: socket.socket) -> Any:
    return json.loads(client.makefile("rb").readline())


def _is_closed(client: socket.socket) -> bool:
    """Whether it was closed without an answer."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def _rest(client: socket.socket) -> list[Any]:
    return [json.loads(line) for line in client.makefile("rb").read().splitlines()]


def test_messages_come_until_the_client_closes_its_end(server: Server) -> None:
    with server.connect("stay") as client:
        assert server.clients[0].peer == os.getpid()
        server.clients[0].send({"more": 1})
        server.steps()
        assert server.ended == []
        client.shutdown(socket.SHUT_WR)
        server.steps()
        assert _rest(client) == [{"first": 0}, {"more": 1}, {"last": 0}]
    assert server.ended == [0]
    server.clients[0].send({"nobody": "there"})
    server.clients[0].drop()
    assert server.ended == [0]


def test_a_client_that_dies_is_noticed(server: Server) -> None:
    server.connect("stay").close()
    server.steps()
    assert server.ended == [0]


def test_one_that_keeps_after_the_client_has_gone(server: Server) -> None:
    with server.connect("stay"):
        connection = server.clients[0]
        connection.finish()
        ended: list[int] = []
        connection.keep(lambda: ended.append(1))
        assert ended == [1]


def test_an_error_ends_it(server: Server) -> None:
    with server.connect("refuse") as client:
        assert _rest(client) == [{"error": "no", "hint": "ask another"}]
    server.steps()
    assert server.ended == []


def test_the_end_of_the_server_is_told(server: Server, tmp_path: Path) -> None:
    with server.connect("stay") as client:
        server.control.close()
        assert _rest(client) == [{"first": 0}, {"last": 0}]
        server.control = Control(server.engine, {}, tmp_path / "run")
    assert server.ended == [0]


def test_what_follows_the_request_is_ignored(server: Server) -> None:
    with server.connect("stay") as client:
        for _ in range(4):
            client.sendall(b"x" * REQUEST_MOST + b"\n")
            server.steps()
        assert len(server.clients) == 1
        assert server.ended == []


def test_a_client_that_reads_nothing_is_dropped(server: Server) -> None:
    with server.connect("stay"):
        began = time.thread_time()
        for _ in range(100):
            server.clients[0].send({"x": "y" * 100_000})
        # It costs the copies, and no wait.
        assert time.thread_time() - began < 10
        assert server.ended == [0]


def test_a_slow_reader_gets_all_of_a_large_answer(server: Server) -> None:
    with server.connect("large") as client, server.connect("stay") as other:
        # The first has not read anything; the second is served all the same.
        assert _line(other) == {"first": 0}
        client.setblocking(False)
        received = bytearray()
        while True:
            server.engine.step(0)
            try:
                part = client.recv(1 << 16)
            except BlockingIOError:
                continue
            if not part:
                break
            received += part
        assert len(json.loads(received)["x"]) == 3_000_000


def test_half_closed_clients_cost_no_time(server: Server) -> None:
    """Their end stays readable: a loop that looked at it again would never wait."""
    with server.connect("large") as client:
        client.shutdown(socket.SHUT_WR)
        server.steps()
        began = time.process_time()
        server.engine.step(0.5)
        assert time.process_time() - began < 0.4
        assert len(server.control._clients) == 1


def test_the_kernel_tells_who_asks(server: Server) -> None:
    with server.connect() as client:
        assert peer_of(client) == (os.getpid(), os.geteuid())


def test_other_users_are_not_served(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "peer_of", lambda client: (1, 4711))
    with server.connect("stay") as client:
        assert _is_closed(client)
    assert server.clients == []


def test_clients_without_a_request_make_room(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "_CLIENTS_MOST", 3)
    stays = server.connect("stay")
    silent = [server.connect() for _ in range(5)]
    assert len(server.control._clients) == 3
    with server.connect("stay") as client:
        assert _line(client) == {"first": 1}
        third = server.connect("stay")
        # Three that stay: no more than that.
        with server.connect("stay") as fourth:
            assert _is_closed(fourth)
        assert server.ended == []
        third.close()
        stays.close()
    for each in silent:
        each.close()


def test_without_descriptors_clients_are_turned_away(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_files()
    accept = server.control._server.accept
    attempts: list[int] = []

    class Short:
        """A socket whose first accept finds no free descriptor."""

        def accept(self) -> Any:
            attempts.append(1)
            if len(attempts) == 1:
                raise OSError(24, "Too many open files")
            return accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    real = server.control._server
    monkeypatch.setattr(server.control, "_server", Short())
    with server.connect("stay") as client:
        assert _is_closed(client)
    with server.connect("stay") as client:
        assert _line(client) == {"first": 0}
    server.steps()
    assert not open_files() - before
