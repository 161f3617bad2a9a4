# SPDX-License-Identifier: GPL-2.0-only
"""Clients of the ranked servers, without the lab."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.guest import ranked


def test_a_client_starts_when_its_server_listens() -> None:
    """redis-benchmark without a server does not end, and never sends a request."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        timer = threading.Timer(0.3, server.listen)
        timer.start()
        ranked._wait_for(server.getsockname()[1])
        assert timer.finished.is_set()
        server.settimeout(5)
        server.accept()[0].close()


def test_a_server_that_never_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranked, "_LISTENS", 0.2)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            ranked._wait_for(server.getsockname()[1])
