# SPDX-License-Identifier: GPL-2.0-only
"""On a machine that really boots with Secure Boot: ``make test-secureboot``."""

from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.doctor.check import Check, State
from ubypass.doctor.lockdown import check_lockdown, is_secure_boot, level

_LOCKDOWN = "sys/kernel/security/lockdown"
_VARIABLES = "sys/firmware/efi/efivars"
_LOCKED = "none [integrity] confidentiality\n"
_ON, _OFF = b"\x06\0\0\0\x01", b"\x06\0\0\0\x00"


def _look(
    root: Path, lockdown: str | None, variables: dict[str, bytes], cmdline: str = ""
) -> list[Check]:
    files = {f"{_VARIABLES}/{name}-8be4df61": data for name, data in variables.items()}
    files["proc/cmdline"] = f"root=/dev/vda {cmdline}quiet\n".encode()
    if lockdown is not None:
        files[_LOCKDOWN] = lockdown.encode()
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return list(check_lockdown(root))


@pytest.mark.parametrize("variables", [{}, {"SecureBoot": _ON}, {"SecureBoot": _OFF}])
def test_no_line_without_lockdown(tmp_path: Path, variables: dict[str, bytes]) -> None:
    assert _look(tmp_path, "[none] integrity\n", variables) == []
    assert level(tmp_path) == ""


def test_no_line_where_nothing_is_known(tmp_path: Path) -> None:
    assert _look(tmp_path, None, {}) == []
    assert not is_secure_boot(tmp_path)


def test_secure_boot_of_shim_ends_by_mokutil(tmp_path: Path) -> None:
    (check,) = _look(tmp_path, _LOCKED, {"SecureBoot": _ON, "MokListRT": b"\x06"})
    assert check.state is State.FAIL
    assert check.found.startswith("integrity, by Secure Boot: programs stay native")
    assert check.advice.startswith("mokutil --disable-validation; reboot, and ")
    assert "command line" not in check.advice


def test_secure_boot_without_shim_ends_in_the_firmware(tmp_path: Path) -> None:
    (check,) = _look(tmp_path, _LOCKED, {"SecureBoot": _ON})
    assert check.state is State.FAIL
    assert check.advice == "turn off Secure Boot in the setup of the firmware"


def test_the_command_line_is_named(tmp_path: Path) -> None:
    variables = {"SecureBoot": _OFF, "MokListRT": b"\x06"}
    (check,) = _look(tmp_path, _LOCKED, variables, "lockdown=integrity ")
    assert "integrity, by lockdown=integrity: " in check.found
    assert check.advice == "remove lockdown=integrity from the kernel command line"


def test_both_causes_have_to_go(tmp_path: Path) -> None:
    variables = {"SecureBoot": _ON, "MokListRT": b"\x06"}
    (check,) = _look(tmp_path, _LOCKED, variables, "lockdown=confidentiality ")
    assert "by lockdown=confidentiality and Secure Boot: " in check.found
    first, second = check.advice.split("; ", 1)
    assert first == "remove lockdown=confidentiality from the kernel command line"
    assert second.startswith("mokutil --disable-validation; reboot")


def test_another_cause_has_no_command(tmp_path: Path) -> None:
    (check,) = _look(tmp_path, _LOCKED, {"SecureBoot": _OFF})
    assert check.state is State.FAIL
    assert check.advice.startswith("reboot; ")


def test_unknown_under_secure_boot_is_said(tmp_path: Path) -> None:
    """As in a container: without securityfs nothing shows the lockdown."""
    (check,) = _look(tmp_path, None, {"SecureBoot": _ON})
    assert check.state is State.NOTE
    assert check.advice == "mount -t securityfs securityfs /sys/kernel/security"
