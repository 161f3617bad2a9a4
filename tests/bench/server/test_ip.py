# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import shutil

import pytest

from ubypass.bench.server import process
from ubypass.bench.server.ip import ip
from ubypass.errors import UbError


@pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2")
def test_what_cannot_be_done() -> None:
    ip("link", "show", "dev", "lo", what="look at the loopback")
    with pytest.raises(UbError, match=r"cannot look at it: .*nosuch") as error:
        ip("link", "show", "dev", "nosuch", what="look at it", hint="buy one")
    assert error.value.hint == "buy one"


def test_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.shutil, "which", lambda *_, **__: None)
    with pytest.raises(UbError, match="ip is not installed") as error:
        ip("link", what="look")
    assert error.value.hint == "apt install iproute2"
