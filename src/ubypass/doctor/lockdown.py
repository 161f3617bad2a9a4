# SPDX-License-Identifier: GPL-2.0-only
"""Checks whether the kernel is locked down, by what, and what lifts that.

A kernel that is locked down loads signed modules only, and the module ``ub`` refuses
its device there (kernel/device.c): translations have no signatures. So programs stay
native whoever has signed the module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ubypass.doctor.check import Check, Scope, State

__all__ = ["check_lockdown", "is_checked", "is_secure_boot", "level"]

_NAME = "lockdown"
_FILE = "sys/kernel/security/lockdown"
_VARIABLES = "sys/firmware/efi/efivars"
#: By shim, for the kernel: only with shim there is a manager of keys before the boot.
_OF_SHIM = "MokListRT-*"
_DISABLE = (
    "mokutil --disable-validation; reboot, and choose 'Change Secure Boot state' "
    "(the firmware's own check stays on)"
)


def check_lockdown(root: Path) -> Iterator[Check]:
    """The lockdown of the running kernel; nothing if there is none."""
    secure = is_secure_boot(root)
    if secure and not (root / _FILE).exists():
        found = "Secure Boot is on; unknown whether the kernel is locked down"
        advice = "mount -t securityfs securityfs /sys/kernel/security"
        yield Check(Scope.KERNEL, _NAME, State.NOTE, found, advice)
        return
    found = level(root)
    if not found:
        return
    causes, remedies = [], []
    if parameter := re.search(r"\blockdown=\w+", _read(root / "proc/cmdline")):
        causes.append(parameter[0])
        remedies.append(f"remove {parameter[0]} from the kernel command line")
    if secure:
        causes.append("Secure Boot")
        with_shim = any((root / _VARIABLES).glob(_OF_SHIM))
        by_firmware = "turn off Secure Boot in the setup of the firmware"
        remedies.append(_DISABLE if with_shim else by_firmware)
    if not causes:
        causes.append("its build, or a command since the boot")
        remedies.append("reboot; if it is locked down again, use another kernel")
    text = (
        f"{found}, by {' and '.join(causes)}: programs stay native, whoever has signed "
        "the module"
    )
    yield Check(Scope.KERNEL, _NAME, State.FAIL, text, "; ".join(remedies))


def level(root: Path) -> str:
    """The level of lockdown; "" if the kernel is not locked down."""
    found = re.search(r"\[(\w+)\]", _read(root / _FILE))
    return found[1] if found and found[1] != "none" else ""


def is_secure_boot(root: Path) -> bool:
    """Whether the firmware has checked the boot loader; False also if unknown."""
    return _is_set(root, "SecureBoot")


def is_checked(root: Path) -> bool:
    """Whether shim has checked the kernel, too; False also if unknown.

    Only then the kernel uses keys that were enrolled by mokutil.
    """
    return is_secure_boot(root) and not _is_set(root, "MokSBStateRT")


def _is_set(root: Path, variable: str) -> bool:
    for path in (root / _VARIABLES).glob(f"{variable}-*"):
        try:
            return path.read_bytes()[-1:] == b"\x01"  # behind four bytes of attributes
        except OSError:
            return False
    return False


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
