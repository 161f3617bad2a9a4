# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ubypass.bench.chains.lighttpd import lighttpd_server
from ubypass.bench.server.cpu import cpu_ns
from ubypass.errors import UbError


def test_a_load_natively() -> None:
    with lighttpd_server(4, 0.3) as server:
        (pid,) = server.serving()
        assert Path(f"/proc/{pid}/comm").read_text() == "lighttpd\n"
        before = cpu_ns((pid,))
        load = server.load()
        assert cpu_ns((pid,)) > before
        assert load.requests > 0
        assert load.checked.checked >= load.requests
        assert load.checked.wrong == 0
        with server.background():
            pass
    assert not Path(f"/proc/{pid}").exists()


def test_without_lighttpd(monkeypatch: pytest.MonkeyPatch) -> None:
    def which(program: str, path: str | None = None) -> str | None:
        return None if program == "lighttpd" else found(program, path=path)

    found = shutil.which
    monkeypatch.setattr(shutil, "which", which)
    with (
        pytest.raises(UbError, match="lighttpd is not installed") as caught,
        lighttpd_server(4, 0.3),
    ):
        pass
    assert caught.value.hint == "apt install lighttpd"
