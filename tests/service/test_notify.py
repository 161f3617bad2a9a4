# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ubypass.service.notify import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    name = f"@ub-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(name.replace("@", "\0", 1) if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify(READY="1", STATUS="two\nlines")
        assert server.recv(100) == b"READY=1\nSTATUS=two lines"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify(READY="1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    notify(READY="1")
