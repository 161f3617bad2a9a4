# SPDX-License-Identifier: GPL-2.0-only
"""Words for processes, on real ones and on played facts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.played import program, running
from ubypass.cli import named
from ubypass.cli.named import one_process, processes
from ubypass.errors import UbError
from ubypass.service.rules import Facts

_UNITS = ("system.slice", "web.slice", "nginx.service")
_FACTS = [
    Facts(10, 1, "/usr/sbin/nginx", 0, "/system.slice/nginx.service", _UNITS),
    Facts(11, 1, "/usr/sbin/nginx", 33, "/system.slice/nginx.service/w", _UNITS),
    Facts(12, 1, "/usr/bin/redis-server", 9, "/system.slice2/x", ()),
]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "_all", lambda: iter(_FACTS))
    monkeypatch.setattr(named, "_command", lambda pid: "redis-server-a" * (pid == 12))


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize(
    ("word", "pids"),
    [
        ("812", [812]),
        ("nginx", [10, 11]),
        ("name:nginx", [10, 11]),
        ("redis-server", [12]),
        # By the command's name as well.
        ("redis-server-a", [12]),
        ("nginx.service", [10, 11]),
        ("unit:nginx", [10, 11]),
        ("web.slice", [10, 11]),
        ("unit:web.slice", [10, 11]),
        ("/usr/sbin/nginx", [10, 11]),
        ("exe:/usr/bin/redis-server", [12]),
        ("cgroup:/system.slice", [10, 11]),
        ("cgroup:system.slice/nginx.service/w/", [11]),
        ("/sys/fs/cgroup/system.slice2", [12]),
        ("cgroup:/", [10, 11, 12]),
    ],
)
def test_what_words_mean(word: str, pids: list[int]) -> None:
    assert processes(word) == pids


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("apache2", "no process has the name 'apache2'"),
        ("unit:apache2", "no process is in the unit apache2.service"),
        ("web", "no process has the name 'web'"),
        ("/usr/sbin/apache2", "no process runs /usr/sbin/apache2"),
        ("cgroup:/system", "no process is in the control group /system"),
        ("odd:nginx", "no process has the name 'odd:nginx'"),
    ],
)
def test_nothing_is_meant(word: str, said: str) -> None:
    with pytest.raises(UbError) as caught:
        processes(word)
    assert (caught.value.message, caught.value.exit_code) == (said, 1)


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize("word", ["", "unit:", "cgroup:", "name:"])
def test_words_without_sense(word: str) -> None:
    with pytest.raises(UbError, match="names no process") as caught:
        processes(word)
    assert caught.value.exit_code == 2


@pytest.mark.usefixtures("played")
def test_only_one_is_wanted() -> None:
    assert one_process("redis-server") == 12
    with pytest.raises(UbError) as caught:
        one_process("nginx")
    assert caught.value.message == "'nginx' matches 2 processes: 10 (?), 11 (?)"
    assert caught.value.hint == "give the PID of one of them"


def test_names_and_numbers_of_all_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [Facts(n, 1, "/usr/sbin/nginx", 0, "/x", ()) for n in range(20, 31)]
    monkeypatch.setattr(named, "_all", lambda: iter(many))
    monkeypatch.setattr(named, "_command", lambda pid: "nginx")
    with pytest.raises(UbError) as caught:
        one_process("/usr/sbin/nginx", "--json prints one process")
    assert caught.value.message == (
        "'/usr/sbin/nginx' matches 11 processes: "
        + ", ".join(f"{n} (nginx)" for n in range(20, 28))
        + " and 3 more"
    )
    assert caught.value.hint == "--json prints one process: give the PID of one of them"


@pytest.fixture
def sleepers(tmp_path: Path) -> Iterator[list[int]]:
    path = program(tmp_path, "ub-test-program-of-a-long-name")
    with running(path, 2) as children:
        pids = sorted(child.pid for child in children)
        while any(os.readlink(f"/proc/{pid}/exe") != str(path) for pid in pids):
            time.sleep(0.01)
        yield pids


def test_real_processes(sleepers: list[int], tmp_path: Path) -> None:
    path = tmp_path / "ub-test-program-of-a-long-name"
    (tmp_path / "link").symlink_to(path)
    assert processes(path.name) == sleepers
    assert processes(str(path)) == sleepers
    assert processes(str(tmp_path / "link")) == sleepers
    assert os.getpid() not in processes("cgroup:/")
