# SPDX-License-Identifier: GPL-2.0-only
"""``ub store``: keys, state, clean-up."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.server import serving
from ubypass.abi import Abi
from ubypass.cli.store.opened import configured, open_shared
from ubypass.store.directory import Directory

Ub = Callable[..., int]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    store = tmp_path / "store"
    store.mkdir(mode=0o755)
    return store


@pytest.fixture
def config(ub: Ub, tmp_path: Path, place: Path) -> Path:
    assert ub("store", "keygen", tmp_path) == 0
    file = tmp_path / "config.toml"
    file.write_text(
        f'[store]\nplace = "{place}"\npublic_key = "{tmp_path}/store.pub"\n'
        f'private_key = "{tmp_path}/store.key"\n'
    )
    return file


def test_keys_are_made_once(
    ub: Ub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ub("store", "keygen", tmp_path) == 0
    modes = {
        name: stat.S_IMODE((tmp_path / name).stat().st_mode)
        for name in ("store.key", "store.pub")
    }
    assert modes == {"store.key": 0o600, "store.pub": 0o644}
    assert "keep it secret" in capsys.readouterr().out
    (tmp_path / "store.pub").unlink()
    assert ub("store", "keygen", tmp_path) == 1
    assert "store.key exists" in capsys.readouterr().err
    assert not (tmp_path / "store.pub").exists()
    assert ub("store", "keygen", tmp_path / "none") == 1
    assert "cannot write" in capsys.readouterr().err


def test_the_state_of_a_directory(
    ub: Ub, config: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Directory(place)
    store.put("ab" * 32, b"12345", 1, if_absent=True)
    store.put(f"{'ab' * 32}.claim", b"1", 1, if_absent=True)
    capsys.readouterr()
    assert ub("store", "status", "--config", config, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["translations"], answer["bytes"]) == (1, 5)
    assert answer["publishes"]
    assert ub("store", "status", "--config", config) == 0
    assert "publishes" in capsys.readouterr().out


def test_the_state_of_a_server(
    ub: Ub, config: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as server:
        config.write_text(config.read_text().replace(f'"{place}"', f'"{server.url}"'))
        assert ub("store", "status", "--config", config) == 0
        server.mode = "error"
        assert ub("store", "status", "--config", config) == 1
        assert "does not answer: " in capsys.readouterr().err
        assert ub("store", "prune", "--config", config) == 2
        assert "life cycle" in capsys.readouterr().err


def test_keys_that_do_not_belong_together(
    ub: Ub, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert ub("store", "keygen", other) == 0
    (other / "store.pub").replace(tmp_path / "store.pub")
    assert ub("store", "status", "--config", config) == 1
    assert "does not belong to" in capsys.readouterr().err


def test_a_configuration_without_a_store(
    ub: Ub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.toml"
    file.write_text("version = 1\n")
    assert ub("store", "status", "--config", file) == 2
    assert "has no [store]" in capsys.readouterr().err


def test_old_files_are_removed(
    ub: Ub, config: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Directory(place)
    for name, days in (("ab" * 32, 40), ("cd" * 32, 20)):
        store.put(name, b"12345", 1, if_absent=True)
        old = time.time() - days * 86400
        os.utime(place / name[:2] / name, (old, old))
    assert ub("store", "prune", "--config", config) == 0
    assert "removed 1 files" in capsys.readouterr().out
    assert store.get("ab" * 32, 1) is None
    assert store.get("cd" * 32, 1) is not None
    assert ub("store", "prune", "--config", config, "--days", "nan") == 2


def test_the_client_of_a_configuration(config: Path) -> None:
    lines: list[str] = []
    shared = open_shared(configured(config), Abi(), lines.append)
    assert shared.figures.as_json()["requests"] == 0
    shared.close()
    text = config.read_text()
    config.write_text("".join(text.splitlines(keepends=True)[:-1]))
    store = configured(config)
    assert store.private_key is None
    open_shared(store, Abi(), lines.append).close()
