# SPDX-License-Identifier: GPL-2.0-only
"""A daemon that has worked for long has no more, and is no slower, than at first.

A process of its own, on a played module. CPU time is counted, not the time that passes,
so that a busy machine is no failure.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service.played import program, running
from tests.service.played_daemon import Daemon, played_daemon

_HANG = 300.0
_BATCH = 50
# What it knows of the machine's other processes, some objects each, varies. One object
# that is kept for each reload, or each process, would be more than this.
_OBJECTS = 300


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def _text(*rules: tuple[str, Path], more: str = "") -> str:
    lines = [
        "[service]\nscan_seconds = 0.2\n[limits]\nprocesses = 200\ncpu_percent = 100\n"
        "[metrics]\ntextfile = ''\n",
        more,
    ]
    lines += [f'[[rule]]\nname = "{name}"\nexe = "{exe}"\n' for name, exe in rules]
    return "".join(lines)


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _HANG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def _require_same(before: dict[str, int], daemon: Daemon) -> None:
    """What it holds is what it was, at the latest once it has scanned again."""
    kept = before.pop("objects") + _OBJECTS
    _until(lambda: daemon.holds["objects"] <= kept)
    after = daemon.holds
    del after["objects"]
    assert after == before


def test_a_thousand_reloads_cost_what_the_first_ones_cost(
    tmp_path: Path, directory: Path, config: Path
) -> None:
    one = program(tmp_path, "one")
    config.write_text(_text(("r", one)))
    with played_daemon(directory, config) as daemon, running(one):
        _until(lambda: daemon.processes == 1)

        def reload(number: int) -> None:
            # By turns a process is attached and detached; names differ each time.
            path = one if number % 2 else tmp_path / "nothing"
            config.write_text(_text(*((f"r{number}-{k}", path) for k in range(5))))
            daemon.ask("service-reload")

        spent: list[int] = []
        for batch in range(1000 // _BATCH):
            began = daemon.cpu_ns
            for number in range(_BATCH):
                reload(batch * _BATCH + number)
            spent.append(daemon.cpu_ns - began)
            if batch == 1:
                holds, resident = daemon.holds, daemon.resident
        assert daemon.processes == 1
        _require_same(holds, daemon)
        # Less than 4 KiB for each of 900.
        assert daemon.resident - resident < 3 << 20
        assert min(spent[-6:]) < 1.5 * min(spent[2:8]), spent


def test_two_hundred_processes_come_and_go(
    tmp_path: Path, directory: Path, config: Path
) -> None:
    one = program(tmp_path, "one")
    config.write_text(_text(("r", one)))
    with played_daemon(directory, config) as daemon:
        for turn in range(4):
            with running(one, 200):
                _until(lambda: daemon.processes == 200)
            _until(lambda: daemon.processes == 0)
            # Those that have ended are listed as long as a scan has not looked.
            _until(lambda: bool(daemon.ask("service-status")["rules"]))
            time.sleep(0.5)
            if turn == 1:
                holds, resident = daemon.holds, daemon.resident
        (rule,) = daemon.ask("service-status")["rules"]
        assert rule["attached"] == 800
        assert rule["ended"] == {"ended": 800}
        _require_same(holds, daemon)
        assert daemon.resident - resident < 3 << 20


@pytest.fixture
def still(tmp_path: Path) -> Path:
    """A procfs of a machine of 100 processes where nothing happens."""
    proc = tmp_path / "proc"
    for pid in range(1, 101):
        place = proc / str(pid)
        place.mkdir(parents=True)
        (place / "exe").symlink_to("/usr/bin/program")
        (place / "cgroup").write_text(f"0::/system.slice/unit-{pid}.service\n")
        (place / "status").write_text("Name:\tx\nUid:\t7\t7\t7\t7\n" * 5)
    (proc / "loadavg").write_text("0.00 0.00 0.00 1/150 100\n")
    return proc


def test_an_idle_daemon_takes_less_than_a_five_hundredth_of_a_cpu(
    tmp_path: Path, directory: Path, config: Path, still: Path
) -> None:
    """With the usual intervals of scans and of metrics, and 20 rules."""
    textfile = tmp_path / "ub.prom"
    rules = "".join(
        f'[[rule]]\nname = "r{k}"\nunit = "other-{k}.service"\n' for k in range(20)
    )
    config.write_text(f'[metrics]\ntextfile = "{textfile}"\n{rules}')
    with played_daemon(directory, config, still) as daemon:
        _until(textfile.exists)
        _settle(daemon)
        # The same work takes more CPU time beside a busy hardware thread.
        shares: list[float] = []
        while len(shares) < 4 and min(shares, default=1.0) >= 0.002:
            written = os.stat(textfile).st_mtime_ns
            looks = _looks(textfile)
            began, cpu = time.monotonic(), daemon.cpu_ns
            _until(lambda at=written: os.stat(textfile).st_mtime_ns != at)
            shares.append((daemon.cpu_ns - cpu) / 1e9 / (time.monotonic() - began))
            # It has worked: both intervals have passed.
            assert _looks(textfile) - looks >= 5
        print(shares)
        assert min(shares) < 0.002, shares


def _settle(daemon: Daemon) -> None:
    """Wait until what a start leaves to do is done."""
    before = -1
    while (now := daemon.cpu_ns) != before:
        before = now
        time.sleep(0.5)


def _looks(textfile: Path) -> int:
    for line in textfile.read_text().splitlines():
        if line.startswith("ubypass_looks_total "):
            return int(float(line.split()[1]))
    raise LookupError("no number of scans")
