# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.soak.exhaust import exhaust


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """As a cgroup2, but that nothing happens."""
    group = tmp_path / "soak-exhausted"
    group.mkdir()
    (group / "memory.events").write_text("low 0\noom 9\noom_kill 3\noom_group_kill 0\n")
    return tmp_path


def test_those_that_are_left_go_back(root: Path) -> None:
    assert exhaust([7], 0.05, root) == 0
    group = root / "soak-exhausted"
    assert (group / "memory.max").read_text() == "0"
    assert (group / "cgroup.procs").read_text() == "7"
    assert (root / "cgroup.procs").read_text() == "7"


def test_those_that_are_killed_are_counted(root: Path) -> None:
    group = root / "soak-exhausted"

    def kill() -> None:
        (group / "memory.events").write_text("oom 11\noom_kill 5\n")
        (group / "cgroup.procs").write_text("")

    killer = threading.Timer(0.2, kill)
    killer.start()
    assert exhaust([7, 8], 60.0, root) == 2
    killer.join()
    assert not (root / "cgroup.procs").exists()
