# SPDX-License-Identifier: GPL-2.0-only
"""A store in a directory."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.store.backend import StoreError
from ubypass.store.directory import Directory
from ubypass.store.wire import MOST_BYTES

_NAME = "ab" + "0" * 62


def _store(folder: Path) -> Directory:
    folder.chmod(0o755)
    return Directory(folder)


def test_what_is_put_is_there(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert store.get(_NAME, 1) is None
    assert store.put(_NAME, b"one", 1, if_absent=True)
    assert not store.put(_NAME, b"two", 1, if_absent=True)
    assert Directory(tmp_path).get(_NAME, 1) == b"one"
    assert store.put(_NAME, b"three", 1, if_absent=False)
    assert store.get(_NAME, 1) == b"three"
    assert os.listdir(tmp_path / "ab") == [_NAME]  # nothing temporary is left


def test_of_many_only_one_claims(tmp_path: Path) -> None:
    store, won = _store(tmp_path), []
    start = threading.Barrier(8)

    def claim(number: int) -> None:
        start.wait()
        if store.put(_NAME, bytes([number]), 1, if_absent=True):
            won.append(number)

    threads = [threading.Thread(target=claim, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get(_NAME, 1) == bytes(won)


def test_places_that_are_no_store(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="No such file"):
        Directory(tmp_path / "none")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UbError, match="not a directory"):
        Directory(file)
    tmp_path.chmod(0o777)
    with pytest.raises(UbError, match="everybody can write"):
        Directory(tmp_path)


def test_it_follows_no_links_and_opens_no_fifos(tmp_path: Path) -> None:
    store = _store(tmp_path / "x" if (tmp_path / "x").mkdir() is None else tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    place = tmp_path / "x" / "ab"
    place.mkdir()
    (place / _NAME).symlink_to(secret)
    with pytest.raises(StoreError):
        store.get(_NAME, 1)
    (place / _NAME).unlink()
    os.mkfifo(place / _NAME)
    with pytest.raises(StoreError, match="FIFO"):
        store.get(_NAME, 1)


def test_no_more_is_read_than_a_translation_has(tmp_path: Path) -> None:
    store = _store(tmp_path)
    (tmp_path / "ab").mkdir()
    with open(tmp_path / "ab" / _NAME, "wb") as out:
        out.truncate(1 << 40)
    found = store.get(_NAME, 1)
    assert found is not None
    assert len(found) <= MOST_BYTES + 4096


def test_old_files_are_pruned_and_others_are_left(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.put(_NAME, b"12345", 1, if_absent=True)
    store.put(f"{_NAME}.claim", b"1", 1, if_absent=True)
    store.put("cd" * 32, b"new", 1, if_absent=True)
    foreign = tmp_path / "ab" / "readme"
    foreign.write_text("mine")
    old = time.time() - 1000
    for path in (tmp_path / "ab").iterdir():
        os.utime(path, (old, old))
    assert sum(size for _, size, _ in store.sizes()) == 13
    assert store.prune(500) == (2, 6)
    assert foreign.exists()
    assert store.get("cd" * 32, 1) == b"new"
