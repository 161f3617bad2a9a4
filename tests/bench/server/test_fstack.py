# SPDX-License-Identifier: GPL-2.0-only
"""With a stand-in: the system's redis, started the way that F-Stack's is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.bench.samples import ICOUNT
from ubypass.bench.server import fstack, measure, virtual
from ubypass.bench.server.measure import Plan, Setting
from ubypass.bench.server.redis import RedisCase
from ubypass.errors import UbError

_SETTING = Setting(ICOUNT, 200.0, "ub bench server redis")
_SERVER = """#!/bin/sh
# As F-Stack's: its own options first, the kernel's stack does the rest.
[ "$1" = --conf ] && [ -f "$2" ] && [ "$3 $4" = "--proc-type=primary --proc-id=0" ] ||
    { echo "wrong options: $*"; exit 3; }
shift 4
! grep -q debug-command "$1" || { echo "unknown to redis 6"; exit 3; }
exec redis-server "$@"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    server = tmp_path / "app" / "redis-6.2.6" / "src" / "redis-server"
    server.parent.mkdir(parents=True)
    server.write_text(_SERVER)
    server.chmod(0o755)
    (tmp_path / "own.ini").write_text(
        "[dpdk]\nlcore_mask=1\n#pci=%x\n[port0]\naddr=127.0.0.1\n"
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    return tmp_path


def test_found_where_it_is_said_to_be(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = root / "own.ini"
    found = fstack.find(root, own)
    assert (found.address, found.version) == ("127.0.0.1", "redis 6.2.6")
    assert found.server.parts[-3:] == ("redis-6.2.6", "src", "redis-server")
    monkeypatch.setenv("FF_PATH", str(root))
    assert fstack.find(config=own) == found


def test_without_a_configuration_on_a_virtual_device(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(virtual, "must_be_possible", lambda: asked.append(True))
    found = fstack.find(root)
    assert (found.config, found.address, asked) == (None, virtual.ADDRESS, [True])


def test_what_is_missing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = root / "own.ini"
    with pytest.raises(UbError, match=r"/nowhere/app/redis-.* is missing"):
        fstack.find(Path("/nowhere"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    with pytest.raises(UbError, match="polls, and there is only one processor"):
        fstack.find(root)
    for text in ("[dpdk]\n", "nonsense\n"):
        own.write_text(text)
        with pytest.raises(UbError, match=r"has no addr in \[port0\]"):
            fstack.find(root, own)
    own.unlink()
    with pytest.raises(UbError, match=r"own\.ini"):
        fstack.find(root, own)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis")
def test_it_is_measured_and_checked(root: Path) -> None:
    installed = fstack.find(root, root / "own.ini")
    found = fstack.measure(installed, RedisCase("GET", 64), 300, Plan(runs=2), _SETTING)
    assert (found.not_run, found.note, found.version) == ("", "", "redis 6.2.6")
    assert len(found.runs) == 2
    assert found.runs[0].requests == 300
    assert (found.checked, found.wrong) == (427, 0)
    assert found.cost is not None
    assert found.cost > 0
    assert found.rate is not None
    assert found.rate > 0


def test_why_it_is_not_measured(root: Path) -> None:
    case = RedisCase("GET", 64)
    found = fstack.measure("no F-Stack: x is missing", case, 9, Plan(), _SETTING)
    assert (found.not_run, found.runs) == ("no F-Stack: x is missing", ())
    (root / "app/redis-6.2.6/src/redis-server").write_text("#!/bin/sh\necho no pages\n")
    installed = fstack.find(root, root / "own.ini")
    found = fstack.measure(installed, case, 9, Plan(), _SETTING)
    assert found.not_run == "redis-server does not start: no pages"
    (root / "app/redis-6.2.6/src/redis-server").write_text(
        "#!/bin/sh\nfor i in 1 2 3 4 5; do echo line $i; done; exit 1\n"
    )
    found = fstack.measure(installed, case, 9, Plan(), _SETTING)
    assert found.not_run == "redis-server does not start: line 3 line 4 line 5"


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis")
def test_on_a_virtual_device_the_kernel_thread_counts_too(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the loopback for the device, and another process for the thread."""
    looks = iter([False, True])
    monkeypatch.setattr(virtual, "must_be_possible", lambda: None)
    monkeypatch.setattr(virtual, "ADDRESS", "127.0.0.1")
    monkeypatch.setattr(virtual.Tap, "reachable", lambda tap: next(looks, True))
    counted: list[set[int]] = []
    monkeypatch.setattr(fstack, "vhost_threads", lambda pid: (os.getpid(),))
    count = measure.cpu_ns

    def cpu_ns(pids: Iterable[int]) -> int:
        counted.append(set(pids))
        return count(pids)

    monkeypatch.setattr(measure, "cpu_ns", cpu_ns)
    case = RedisCase("GET", 64)
    found = fstack.measure(fstack.find(root), case, 300, Plan(runs=1), _SETTING)
    assert (found.not_run, found.note) == ("", virtual.NOTE)
    assert next(looks, None) is None  # it was waited for
    assert len(counted) == 2
    assert all(len(pids) == 2 and os.getpid() in pids for pids in counted)
