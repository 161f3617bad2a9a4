# SPDX-License-Identifier: GPL-2.0-only
"""Changes of a file are noticed, once each, and not more often than asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ubypass.service.follow import Follower


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text("a")
    return path


def _asked(follower: Follower, clock: _Clock) -> bool:
    clock.now += 1
    return follower.changed()


def test_each_change_is_noticed_once(file: Path, clock: _Clock) -> None:
    follower = Follower(file, clock=clock)
    assert not _asked(follower, clock)
    file.write_text("ab")
    assert _asked(follower, clock)
    assert not _asked(follower, clock)
    os.utime(file, ns=(0, 1))
    assert _asked(follower, clock)


def test_a_replaced_file_is_another_one(file: Path, clock: _Clock) -> None:
    follower = Follower(file, clock=clock)
    fresh = file.with_name("fresh")
    fresh.write_text("b")
    os.utime(fresh, ns=(0, file.stat().st_mtime_ns))
    fresh.replace(file)
    assert _asked(follower, clock)


def test_a_link_that_is_led_elsewhere(tmp_path: Path, clock: _Clock) -> None:
    """A mounted ConfigMap is changed that way."""
    for name in "one", "two":
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text("same")
    data = tmp_path / "data"
    data.symlink_to("one")
    follower = Follower(data / "config.toml", clock=clock)
    link = tmp_path / "fresh"
    link.symlink_to("two")
    link.replace(data)
    assert _asked(follower, clock)


def test_a_missing_file_has_not_changed(file: Path, clock: _Clock) -> None:
    follower = Follower(file, clock=clock)
    file.unlink()
    assert not _asked(follower, clock)
    file.write_text("back")
    assert _asked(follower, clock)


def test_it_looks_no_more_often_than_that(file: Path, clock: _Clock) -> None:
    follower = Follower(file, seconds=10, clock=clock)
    file.write_text("ab")
    clock.now = 9.9
    assert not follower.changed()
    clock.now = 10.0
    assert follower.changed()
