# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.bench import disk
from ubypass.errors import UbError


def enter(device: Path) -> None:
    with disk.mounted(device):
        pytest.fail("a file system was made")


def test_only_in_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UBYPASS_LAB", raising=False)
    with pytest.raises(UbError, match="in the lab only") as error:
        enter(Path("/dev/loop0"))
    assert "--disk 256M" in error.value.hint


def test_only_on_a_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UBYPASS_LAB", "1")
    (tmp_path / "file").write_bytes(bytes(1 << 20))
    for device in (tmp_path / "none", tmp_path / "file", Path("/dev/null")):
        with pytest.raises(UbError, match="there is no disk"):
            enter(device)


def test_what_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(bytes(2 << 20))
    assert disk.is_empty(file)
    # Where ext4 has its superblock, and where others begin.
    for offset in (0, 1024, 0x10000, (1 << 20) - 1):
        data = bytearray(2 << 20)
        data[offset] = 1
        file.write_bytes(data)
        assert not disk.is_empty(file)
    with pytest.raises(UbError, match="cannot read"):
        disk.is_empty(tmp_path / "none")
