# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.bench.packets.wires import needs_wires
from ubypass.bench.packets import network as subject
from ubypass.bench.packets.network import network
from ubypass.errors import UbError

_NAMES = Path("/run/netns")


def _ours() -> list[str]:
    if not _NAMES.is_dir():
        return []
    return [p.name for p in _NAMES.iterdir() if p.name.startswith(f"ub-{os.getpid()}")]


def _out(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


@needs_wires
def test_a_wire_with_nothing_else_on_it() -> None:
    before = os.readlink("/proc/thread-self/ns/net")
    with network() as wire:
        assert len(_ours()) == 2
        neighbours = _out(wire.sending(["ip", "neigh"]))
        assert f"{wire.address} dev {wire.device}" in neighbours
        assert "PERMANENT" in neighbours
        assert "inet6" not in _out(wire.receiving(["ip", "addr"]))
        with wire.entered() as index:
            assert index == socket.if_nametoindex(wire.device)
            assert os.readlink("/proc/thread-self/ns/net") != before
        assert os.readlink("/proc/thread-self/ns/net") == before
    assert _ours() == []


@needs_wires
def test_nothing_is_left_behind_by_what_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_HARDWARE", ("nonsense", "nonsense"))
    with (
        pytest.raises(UbError, match="cannot create a veth pair: ") as caught,
        network(),
    ):
        pass
    assert "CONFIG_VETH" in caught.value.hint
    assert _ours() == []


def test_without_ip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(UbError, match="ip is not installed") as caught, network():
        pass
    assert caught.value.hint == "apt install iproute2"
