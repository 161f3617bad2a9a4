# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.open_files import open_files
from ubypass.service import labels as labels_module
from ubypass.service.labels import Labels

_ONE, _TWO = "1" * 64, "2" * 64


class Places:
    """State of runtimes in a directory, and a clock."""

    def __init__(self, directory: Path) -> None:
        self.docker = directory / "docker"
        self.podman = directory / "db.sql"
        self.now = 0.0
        self.labels = Labels(self.docker, self.podman, lambda: self.now)

    def docker_file(self, container: str) -> Path:
        path = self.docker / container / "config.v2.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def docker_has(self, container: str, labels: Any) -> None:
        text = json.dumps({"ID": container, "Config": {"Labels": labels}})
        self.docker_file(container).write_text(text)

    def podman_has(self, container: str, config: str) -> None:
        with contextlib.closing(sqlite3.connect(self.podman)) as base, base:
            base.execute(
                "CREATE TABLE IF NOT EXISTS ContainerConfig("
                "ID TEXT PRIMARY KEY NOT NULL, Name TEXT UNIQUE NOT NULL, "
                "PodID TEXT, JSON TEXT NOT NULL)"
            )
            base.execute(
                "INSERT INTO ContainerConfig VALUES (?, ?, NULL, ?)",
                (container, f"name-{container}", config),
            )


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_without_runtimes_there_are_none(places: Places) -> None:
    before = open_files()
    assert places.labels.of([_ONE, "short", "../../etc", "pod-1"]) == ()
    assert not open_files() - before


def test_those_of_docker(places: Places) -> None:
    places.docker_has(_ONE, {"app": "redis", "tier": "a=b", "odd": 5})
    places.docker_has(_TWO, None)
    assert places.labels.of(["3f2c", _ONE, _ONE[:12]]) == ("app=redis", "tier=a=b")
    assert places.labels.of([_TWO]) == ()
    # A container in a container has those of both.
    assert places.labels.of([_TWO, _ONE]) == ("app=redis", "tier=a=b")


def test_those_of_podman(places: Places) -> None:
    places.podman_has(_ONE, json.dumps({"id": _ONE, "labels": {"app": "web"}}))
    places.podman_has(_TWO, json.dumps({"id": _TWO}))
    before = open_files()
    assert places.labels.of([_ONE]) == ("app=web",)
    assert places.labels.of([_TWO]) == ()
    assert not open_files() - before


def test_a_database_that_is_being_written_is_not_waited_for(places: Places) -> None:
    places.podman_has(_ONE, json.dumps({"labels": {"app": "web"}}))
    with contextlib.closing(sqlite3.connect(places.podman)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert places.labels.of([_ONE]) == ()
        other.rollback()
    places.now += 11
    assert places.labels.of([_ONE]) == ("app=web",)


def test_each_is_read_once(places: Places) -> None:
    places.docker_has(_ONE, {"app": "redis"})
    assert places.labels.of([_ONE]) == ("app=redis",)
    places.docker_file(_ONE).unlink()
    assert places.labels.of([_ONE]) == ("app=redis",)
    # One that is not there yet is looked for again, but not at once.
    assert places.labels.of([_TWO]) == ()
    places.docker_has(_TWO, {"app": "late"})
    assert places.labels.of([_TWO]) == ()
    places.now += 11
    assert places.labels.of([_TWO]) == ("app=late",)


def test_what_is_kept_is_bounded(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels_module, "_KNOWN_MOST", 3)
    for number in range(10):
        container = f"{number:064x}"
        places.docker_has(container, {"n": str(number)})
        assert places.labels.of([container]) == (f"n={number}",)
        places.labels.of([f"{number + 100:064x}"])
    assert len(places.labels._known) <= 3
    assert len(places.labels._missing) <= 3


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'{"Config": 5}', b"\xff", b"[" * 100_000, b"5"],
)
def test_nonsense_is_no_label(places: Places, text: bytes) -> None:
    places.docker_file(_ONE).write_bytes(text)
    assert places.labels.of([_ONE]) == ()


def test_only_regular_files_of_a_sane_size_are_read(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(places.docker_file(_ONE))
    os.mkfifo(places.podman)
    places.docker_file(_TWO).symlink_to(tmp_path / "other")
    (tmp_path / "other").write_text('{"Config": {"Labels": {"a": "b"}}}')
    assert places.labels.of([_ONE, _TWO]) == ()
    places.podman.unlink()
    monkeypatch.setattr(labels_module, "_BYTES_MOST", 100)
    three, four = "3" * 64, "4" * 64
    places.docker_has(three, {"a": "b" * 100})
    places.podman_has(four, json.dumps({"labels": {"a": "b" * 100}}))
    assert places.labels.of([three, four]) == ()


def test_a_database_of_another_kind(places: Places) -> None:
    places.podman.write_bytes(b"no database at all, but long enough to be one" * 99)
    assert places.labels.of([_ONE]) == ()
    places.podman.unlink()
    with contextlib.closing(sqlite3.connect(places.podman)) as base, base:
        base.execute("CREATE TABLE Other(x)")
    assert places.labels.of([_TWO]) == ()
