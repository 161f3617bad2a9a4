# SPDX-License-Identifier: GPL-2.0-only
"""What systemd-boot starts next, by files as ``kernel-install`` writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.doctor.loader import Entry, Unknown
from ubypass.doctor.systemd_boot import loader_of, next_of_systemd_boot

_TOKEN = "0123abcd"
_NEW, _OLD = "6.1.0-57-amd64", "6.1.0-9-amd64"
_VENDOR = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


def _variable(root: Path, name: str, value: str) -> None:
    place = root / "sys/firmware/efi/efivars"
    place.mkdir(parents=True, exist_ok=True)
    data = b"\x06\0\0\0" + f"{value}\0".encode("utf-16-le")
    (place / f"{name}-{_VENDOR}").write_bytes(data)


def _entry(root: Path, release: str, place: str = "efi", tries: str = "") -> str:
    folder = root / place / "loader/entries"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{_TOKEN}-{release}"
    (folder / f"{name}{tries}.conf").write_text(
        "# Boot Loader Specification type#1 entry\n"
        "title      Debian GNU/Linux\n"
        f"version    {release}\n"
        f"machine-id {_TOKEN}\n"
        "sort-key   debian\n"
        "options    root=UUID=8c2f ro\n"
        f"linux      /{_TOKEN}/{release}/linux\n"
        f"initrd     /{_TOKEN}/{release}/initrd.img-{release}\n"
    )
    return f"{name}.conf"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    _variable(tmp_path, "LoaderInfo", "systemd-boot 252.39-1~deb12u2")
    _entry(tmp_path, _NEW)
    _entry(tmp_path, _OLD)
    return tmp_path


def _next(root: Path) -> str:
    """The path of the kernel, without what is always the same."""
    found = next_of_systemd_boot(root)
    assert found is not None
    assert found == Entry("systemd-boot", "Debian GNU/Linux", found.kernel)
    return found.kernel.removeprefix(f"/{_TOKEN}/").removesuffix("/linux")


def test_another_boot_loader_decides(tmp_path: Path) -> None:
    assert loader_of(tmp_path) == ""
    assert next_of_systemd_boot(tmp_path) is None
    _entry(tmp_path, _NEW)
    _variable(tmp_path, "LoaderInfo", "GRUB 2.12")
    assert loader_of(tmp_path) == "GRUB 2.12"
    assert next_of_systemd_boot(tmp_path) is None


def test_the_newest_one_if_nothing_is_chosen(root: Path) -> None:
    assert _next(root) == _NEW


@pytest.mark.parametrize("place", ["boot", "boot/efi"])
def test_entries_elsewhere(root: Path, place: str) -> None:
    _entry(root, "6.12.9-amd64", place)
    assert _next(root) == "6.12.9-amd64"


def test_an_entry_that_has_failed_comes_last(root: Path) -> None:
    _entry(root, "6.12.9-amd64", tries="+3")
    assert _next(root) == "6.12.9-amd64"
    (root / f"efi/loader/entries/{_TOKEN}-6.12.9-amd64+3.conf").unlink()
    _entry(root, "6.12.9-amd64", tries="+0-3")
    assert _next(root) == _NEW


def test_the_file_with_its_settings(root: Path) -> None:
    settings = root / "efi/loader/loader.conf"
    settings.write_text(f"#default x\ntimeout 3\ndefault {_TOKEN}-*-9-*\n")
    assert _next(root) == _OLD
    settings.write_text(f"default {_TOKEN}-*\n")
    assert _next(root) == _NEW


def test_variables_take_precedence_once_and_lastingly(root: Path) -> None:
    (root / "efi/loader/loader.conf").write_text(f"default *{_NEW}*\n")
    _variable(root, "LoaderEntryDefault", _entry(root, _OLD))
    assert _next(root) == _OLD
    _variable(root, "LoaderEntryOneShot", _entry(root, "6.2.0-1-amd64"))
    assert _next(root) == "6.2.0-1-amd64"


def test_an_entry_without_a_kernel(root: Path) -> None:
    (root / "efi/loader/entries/shell.conf").write_text("title Shell\nefi /s.efi\n")
    _variable(root, "LoaderEntryOneShot", "shell.conf")
    assert next_of_systemd_boot(root) == Entry("systemd-boot", "Shell", "")


def test_nothing_is_guessed(root: Path) -> None:
    _variable(root, "LoaderEntryDefault", "@saved")
    with pytest.raises(Unknown, match="starts @saved, which is no file"):
        next_of_systemd_boot(root)
    (root / "efi/EFI/Linux").mkdir(parents=True)
    (root / "efi/EFI/Linux/debian.efi").touch()
    with pytest.raises(Unknown, match="unified kernel images"):
        next_of_systemd_boot(root)


def test_no_entries(tmp_path: Path) -> None:
    _variable(tmp_path, "LoaderInfo", "systemd-boot 257")
    with pytest.raises(Unknown, match="no entries"):
        next_of_systemd_boot(tmp_path)
