# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import re
from dataclasses import replace

import pytest

from ubypass.bench.server import artifact, nginx
from ubypass.bench.server.measure import Checked
from ubypass.bench.server.nginx import NginxCase
from ubypass.bench.server.process import free_port
from ubypass.errors import UbError


def test_all_that_is_asked_for() -> None:
    assert len(nginx.CASES) == 20
    assert str(NginxCase(4)) == "4 KiB"
    assert str(NginxCase(256, True, 2)) == "256 KiB, log, 2 workers"
    assert nginx.select((), (), ()) == nginx.CASES
    assert nginx.select((4,), (False,), (1,)) == (NginxCase(4),)
    with pytest.raises(UbError, match="no such case"):
        nginx.select((5,), (), ())


def test_the_cases_of_the_paper() -> None:
    cases = nginx.select((), (), (), as_paper=True)
    assert [case.kib for case in cases] == [1, 4, 16, 64, 256]
    assert {(case.log, case.workers, case.clients) for case in cases} == {
        (False, 1, 64)
    }
    logged = nginx.select((4,), (True,), (1,), as_paper=True)
    assert list(map(str, (cases[1], *logged))) == [
        "4 KiB, as paper",
        "4 KiB, as paper, log",
    ]
    with pytest.raises(UbError, match="--as-paper"):
        nginx.select((), (), (2,), as_paper=True)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A free port in place of the paper's, which may be taken here."""
    free = free_port()
    monkeypatch.setattr(artifact, "PORT", free)
    return free


def test_a_pinned_worker_on_the_port_of_the_paper(port: int) -> None:
    case = NginxCase(4, as_paper=True)
    with nginx.nginx_server(case, 0.3) as server:
        (worker,) = server.serving()
        assert os.sched_getaffinity(worker) == {artifact.pinned_to()}
        assert server.port == port
        load = server.load()
        assert load.requests > 0
        assert load.checked.wrong == 0
        assert server.check() == Checked(20, 0)
        assert not (server.home / "access").exists()
        with (
            pytest.raises(UbError, match=f"port {port} is taken"),
            nginx.nginx_server(case, 0.3),
        ):
            pass
    # The connections of the last one do not keep the port.
    with nginx.nginx_server(replace(case, log=True), 0.3) as server:
        assert server.load().requests > 0
        assert (server.home / "access").stat().st_size > 0


def test_a_load_and_checks_natively() -> None:
    with nginx.nginx_server(NginxCase(4, log=True, workers=2), 0.5) as server:
        assert len(server.serving()) == 2
        assert re.fullmatch(r"nginx \d+\.\d+\.\d+", server.version)
        load = server.load()
        assert len(server.serving()) == 2
        assert load.requests > 0
        assert load.elapsed_ns >= 400_000_000
        assert load.checked.checked >= load.requests
        assert load.checked.wrong == 0
        assert (server.home / "access").stat().st_size > 0
        assert server.check() == Checked(20, 0)
        # Every body is compared: one that has changed is seen.
        (server.home / "www" / "file").write_bytes(b"x" * 4096)
        assert server.check() == Checked(20, 19)
        directory = server.home
    assert not directory.exists()
