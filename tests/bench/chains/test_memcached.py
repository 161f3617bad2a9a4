# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ubypass.bench.chains import memcached
from ubypass.bench.chains.memcached import memcached_server
from ubypass.bench.server.cpu import busiest_thread, cpu_ns
from ubypass.errors import UbError


def test_a_load_natively() -> None:
    with memcached_server(64, 20_000) as server:
        (pid,) = server.serving()
        before = cpu_ns((pid,))
        load = server.load()
        assert cpu_ns((pid,)) > before
        assert load.requests == load.checked.checked == 20_000
        assert load.elapsed_ns > 0
        # The first thread only accepts connections.
        assert busiest_thread(pid) != pid
        with server.background():
            pass
    assert not Path(f"/proc/{pid}").exists()


def test_a_wrong_value_ends_the_load() -> None:
    with memcached_server(64, 500) as server:
        memcached._store(int(server._command[1]), b"x" * 64)
        with pytest.raises(UbError, match="a wrong reply: VALUE key 0 64"):
            server.load()


def test_a_value_that_is_too_large() -> None:
    with (
        pytest.raises(UbError, match="memcached does not store a value"),
        memcached_server(2 << 20, 1),
    ):
        pass


def test_without_memcached(monkeypatch: pytest.MonkeyPatch) -> None:
    def which(program: str, path: str | None = None) -> str | None:
        return None if program == "memcached" else found(program, path=path)

    found = shutil.which
    monkeypatch.setattr(shutil, "which", which)
    with (
        pytest.raises(UbError, match="memcached is not installed") as caught,
        memcached_server(64, 1),
    ):
        pass
    assert caught.value.hint == "apt install memcached"
