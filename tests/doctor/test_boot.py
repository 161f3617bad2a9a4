# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

from ubypass.doctor.boot import check_next_boot
from ubypass.doctor.check import Check, State

_NOW = "6.1.0-56-amd64"


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


def test_where_no_kernel_is_installed_nothing_is_said(tmp_path: Path) -> None:
    assert not _look(tmp_path)


def test_the_running_one_boots_again(tmp_path: Path) -> None:
    (check,) = _look(tmp_path, "6.1.0-9-amd64", _NOW)
    assert (check.state, check.found) == (State.OK, f"{_NOW}, the running kernel")


def test_a_newer_one_without_the_module_is_named(tmp_path: Path) -> None:
    (check,) = _look(tmp_path, _NOW, "6.2.0-1-amd64", "6.12.9-amd64")
    assert check.state is State.NOTE
    assert check.found.startswith("6.12.9-amd64, without the module")
    assert check.advice == "get 6.12.9-amd64"


def test_a_newer_one_with_the_module_is_fine(tmp_path: Path) -> None:
    (check,) = _look(tmp_path, _NOW, "6.1.0-57-amd64", module_for="6.1.0-57-amd64")
    assert check.state is State.OK
    assert "6.1.0-57-amd64" in check.found
