# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.doctor.boot import check_next_boot
from ubypass.doctor.check import Check, State

_NOW = "6.1.0-56-amd64"
_UNKNOWN = "the newest installed one; no configuration of a boot loader was found"


def _look(root: Path, *kernels: str, module_for: str = "") -> list[Check]:
    (root / "boot").mkdir(exist_ok=True)
    for kernel in kernels:
        (root / "boot" / f"vmlinuz-{kernel}").touch()
    if module_for:
        (root / f"{module_for}.ko").touch()
    return list(
        check_next_boot(
            _NOW, lambda release: root / f"{release}.ko", "get {}".format, root
        )
    )


def _grub(root: Path, *entries: tuple[str, str]) -> None:
    place = root / "boot/grub"
    place.mkdir(parents=True, exist_ok=True)
    (place / "grub.cfg").write_text(
        "".join(
            f"menuentry '{title}' {{\n\tlinux /boot/{file} ro\n}}\n"
            for title, file in entries
        )
    )


def _loader(root: Path, name: str) -> None:
    place = root / "sys/firmware/efi/efivars"
    place.mkdir(parents=True)
    vendor = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
    data = b"\x06\0\0\0" + f"{name}\0".encode("utf-16-le")
    (place / f"LoaderInfo-{vendor}").write_bytes(data)


def test_where_no_kernel_is_installed_nothing_is_said(tmp_path: Path) -> None:
    assert not _look(tmp_path)


def test_the_running_one_boots_again(tmp_path: Path) -> None:
    (check,) = _look(tmp_path, "6.1.0-9-amd64", _NOW)
    assert check.state is State.OK
    assert check.found == f"{_NOW}, the running kernel ({_UNKNOWN})"


def test_a_newer_one_without_the_module_is_named(tmp_path: Path) -> None:
    (check,) = _look(tmp_path, _NOW, "6.2.0-1-amd64", "6.12.9-amd64")
    assert check.state is State.NOTE
    assert check.found.startswith("6.12.9-amd64, without the module")
    assert check.found.endswith(f"({_UNKNOWN})")
    assert check.advice == "get 6.12.9-amd64"


def test_a_newer_one_with_the_module_is_fine(tmp_path: Path) -> None:
    (check,) = _look(tmp_path, _NOW, "6.1.0-57-amd64", module_for="6.1.0-57-amd64")
    assert check.state is State.OK
    assert "6.1.0-57-amd64, with the module" in check.found


def test_not_the_newest_but_what_the_boot_loader_takes(tmp_path: Path) -> None:
    _grub(tmp_path, ("Old", "vmlinuz-6.1.0-9-amd64"), ("New", "vmlinuz-6.12.9-amd64"))
    kernels = ("6.1.0-9-amd64", _NOW, "6.12.9-amd64")
    (check,) = _look(tmp_path, *kernels, module_for="6.12.9-amd64")
    assert check.state is State.NOTE
    assert check.found == (
        "6.1.0-9-amd64, without the module: programs will run natively (GRUB: 'Old')"
    )
    assert check.advice == "get 6.1.0-9-amd64"
    (check,) = _look(tmp_path, module_for="6.1.0-9-amd64")
    assert check.state is State.OK
    assert check.found == "6.1.0-9-amd64, with the module (GRUB: 'Old')"


def test_a_kernel_that_was_removed_is_named(tmp_path: Path) -> None:
    _grub(tmp_path, ("Gone", "vmlinuz-6.1.0-9-amd64"))
    (check,) = _look(tmp_path, _NOW, module_for="6.1.0-9-amd64")
    assert check.state is State.NOTE
    assert check.found == "6.1.0-9-amd64, which is not in /boot (GRUB: 'Gone')"
    assert "update-grub" in check.advice


def test_another_system_boots(tmp_path: Path) -> None:
    _grub(tmp_path)
    (tmp_path / "boot/grub/grub.cfg").write_text("menuentry 'memtest' {\n}\n")
    (check,) = _look(tmp_path, _NOW)
    assert check.state is State.NOTE
    assert check.found == "no kernel of this system (GRUB: 'memtest')"


@pytest.mark.parametrize(
    ("loader", "said"),
    [
        ("GRUB 2.12", f"{_NOW}, the running kernel (GRUB: 'Now')"),
        ("rEFInd 0.14", "the newest installed one; rEFInd 0.14 decides it"),
        ("systemd-boot 257", "the newest installed one; no entries of systemd-boot"),
    ],
)
def test_the_boot_loader_that_has_started_this_system_decides(
    tmp_path: Path, loader: str, said: str
) -> None:
    _grub(tmp_path, ("Now", f"vmlinuz-{_NOW}"))
    _loader(tmp_path, loader)
    (check,) = _look(tmp_path, _NOW, "6.12.9-amd64")
    assert said in check.found
