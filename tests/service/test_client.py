# SPDX-License-Identifier: GPL-2.0-only
"""The commands' side of a request, against a played daemon that may die."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.open_files import open_files
from tests.service.played import House, program, running, serving
from ubypass.engine.summary import Summary
from ubypass.errors import UbError
from ubypass.process.status import ProcessId, identify
from ubypass.service import client as client_module
from ubypass.service.client import Client, connect


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def house() -> Iterator[House]:
    here = House("")
    yield here
    here.close()


def _connected(directory: Path) -> Client:
    client = connect(directory)
    assert client is not None
    return client


def _until(client: Client, state: str, seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for message in client.messages(0.1):
            if message["state"] == state:
                return message
    raise AssertionError(f"no message {state}")


def test_nobody_is_there(directory: Path) -> None:
    before = open_files()
    assert connect(directory) is None
    assert connect(directory / "missing") is None
    (directory / "service").symlink_to("4711.1.sock")
    assert connect(directory) is None
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(directory / "4711.1.sock"))
    assert connect(directory) is None
    directory.chmod(0o777)  # somebody else may listen there
    assert connect(directory) is None
    assert not open_files() - before


def test_a_process_is_boosted_until_the_end_of_the_request(
    tmp_path: Path, directory: Path, house: House
) -> None:
    one = program(tmp_path, "one")
    with serving(house, directory), running(one) as (child,):
        client = _connected(directory)
        client.begin([identify(child.pid)], children=False)
        assert _until(client, "attached")["attached"] == 1
        assert house.pids == [child.pid]
        final = client.end()
        assert [each["pid"] for each in final["processes"]] == [child.pid]
        assert final["engine_peak_bytes"] > 1 << 20
        assert client.is_over
        assert client.messages() == []
        assert house.pids == []
        # Without waiting for figures.
        client = _connected(directory)
        client.begin([identify(child.pid)], children=False)
        _until(client, "attached")
        client.close()
        _wait_until_empty(house)


def test_many_notes_do_not_cost_the_figures(
    tmp_path: Path, directory: Path, house: House
) -> None:
    """More than a connection keeps for a client that does not read."""
    one = program(tmp_path, "one")
    notes = tuple(f"{number} {'x' * 1000}" for number in range(100))
    with serving(house, directory), running(one) as (child,):
        client = _connected(directory)
        client.begin([identify(child.pid)], children=False)
        _until(client, "attached")
        (lease,) = house.supervisor._leases
        for number in range(1, 200):
            lease.add(Summary(number, "x", alive=False, notes=notes))
        final = client.end()
    assert final is not None
    assert len(final["processes"]) == 200
    assert final["processes"][-1]["pid"] == child.pid
    assert final["left_out"] == 0


def _wait_until_empty(house: House) -> None:
    end = time.monotonic() + 60
    while house.pids:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_refusal_is_an_error(directory: Path, house: House) -> None:
    with serving(house, directory):
        client = _connected(directory)
        client.begin([ProcessId(os.getpid(), 1, "x")], children=False)
        with pytest.raises(UbError, match="is ub itself"):
            _until(client, "attached")
        client.close()
        client.close()


def test_a_command_that_is_killed_lets_go(
    tmp_path: Path, directory: Path, house: House
) -> None:
    one = program(tmp_path, "one")
    with serving(house, directory), running(one) as (child,):
        before = open_files()
        for _ in range(20):
            client = _connected(directory)
            client.begin([identify(child.pid)], children=False)
            _until(client, "attached")
            client._socket.close()
            _wait_until_empty(house)
        end = time.monotonic() + 60
        while open_files() - before:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_the_end_of_the_service_is_noticed(
    tmp_path: Path, directory: Path, house: House
) -> None:
    one = program(tmp_path, "one")
    with serving(house, directory) as stop, running(one) as (child,):
        client = _connected(directory)
        client.begin([identify(child.pid)], children=False)
        _until(client, "attached")
        stop.set()
        end = time.monotonic() + 60
        while not client.is_over:
            client.messages(0.1)
            assert time.monotonic() < end
        # One that ends in order says what it has done.
        assert [each["pid"] for each in client.end()["processes"]] == [child.pid]


@contextlib.contextmanager
def _played(directory: Path, *lines: bytes, silent: bool = False) -> Iterator[None]:
    """A service that says these lines to whoever asks, and dies."""
    stop = threading.Event()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(directory / "service"))
        server.listen()

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1 << 16)
                for line in lines:
                    client.sendall(line)
                if silent:
                    stop.wait(60)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        stop.set()
        thread.join()


def test_a_service_that_dies(directory: Path) -> None:
    with _played(directory, b'{"state": "attached"}\n{"state"'):
        client = _connected(directory)
        client.begin([ProcessId(1, 1, "x")], children=True)
        _until(client, "attached")
        end = time.monotonic() + 60
        while not client.is_over:
            assert client.messages(0.1) == []
            assert time.monotonic() < end
        assert client.end() is None


def test_an_older_service(directory: Path) -> None:
    answer = json.dumps({"error": "unknown request"}).encode() + b"\n"
    with _played(directory, answer):
        client = _connected(directory)
        client.begin([ProcessId(1, 1, "x")], children=True)
        with pytest.raises(UbError, match="of another version"):
            _until(client, "attached")
        client.close()


@pytest.mark.parametrize("junk", [b"x\n", b"[1]\n", b"\xff\n", b"{}\n"])
def test_junk_is_no_state(directory: Path, junk: bytes) -> None:
    with _played(directory, junk):
        client = _connected(directory)
        client.begin([ProcessId(1, 1, "x")], children=True)
        found = [message for _ in range(20) for message in client.messages(0.05)]
        assert all("state" not in message for message in found)
        client.close()


def test_a_service_that_is_stopped_is_not_waited_for(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_END_SECONDS", 0.2)
    monkeypatch.setattr(client_module, "_CONNECT_SECONDS", 0.2)
    with _played(directory, silent=True):
        client = _connected(directory)
        client.begin([ProcessId(1, 1, "x")], children=True)
        assert client.messages(0.05) == []
        assert client.end() is None
    (directory / "service").unlink()
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(str(directory / "service"))
        full.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(directory / "service"))
            with pytest.raises(UbError, match="busy or stopped"):
                connect(directory)


def test_a_process_of_another_namespace_is_meant(directory: Path) -> None:
    """The request has its numbers in all namespaces, and its start."""
    received: list[Any] = []
    child = subprocess.Popen(["sleep", "60"])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(directory / "service"))
        server.listen()
        client = _connected(directory)
        process = identify(child.pid)
        client.begin([process], children=True, started_ns=5)
        peer, _ = server.accept()
        with peer:
            received.append(json.loads(peer.recv(1 << 16)))
        client.close()
    child.kill()
    child.wait()
    (request,) = received
    (found,) = request["processes"]
    assert found["start"] == process.start
    assert child.pid in found["numbers"].values()
    assert (request["children"], request["started_ns"]) == (True, 5)
