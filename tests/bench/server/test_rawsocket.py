# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os

import pytest

from ubypass.bench.server import rawsocket
from ubypass.bench.server.measure import Checked
from ubypass.bench.server.rawsocket import RawCase
from ubypass.errors import UbError


def test_all_that_is_asked_for() -> None:
    assert str(RawCase(64)) == "64 bytes"
    assert str(RawCase(1024, sum=True)) == "1024 bytes, sum"
    assert rawsocket.select((64,)) == (RawCase(64), RawCase(64, sum=True))
    with pytest.raises(UbError, match="no such case"):
        rawsocket.select((65,))


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need root")
@pytest.mark.parametrize("case", [RawCase(64), RawCase(1024, sum=True)])
def test_a_load_and_checks_natively(case: RawCase) -> None:
    with rawsocket.raw_receiver(case, 2000) as server:
        with server.background():
            pass
        load = server.load()
        assert load.requests == 2000
        assert load.elapsed_ns > 0
        assert load.checked == Checked(2000, 0)
        assert server.check() == Checked(500, 0)
        pid = server.main
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
