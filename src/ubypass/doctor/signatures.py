# SPDX-License-Identifier: GPL-2.0-only
"""Checks whether the kernel requires signed modules, and would load ``ub``.

Three causes prevent its use: ``module.sig_enforce``, a signing key that is not
enrolled, and lockdown, under which the module refuses its device whoever has signed it
(kernel/device.c). Each has another remedy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ubypass.doctor.check import Check, Scope, State

__all__ = ["check_signatures"]

_NAME = "signatures"
#: The signing key of DKMS on Debian, and its certificate for enrollment.
_KEY = "/var/lib/dkms/mok.key"
_CERTIFICATE = "/var/lib/dkms/mok.pub"
_DECOMPRESS = {".xz": "unxz", ".gz": "gunzip", ".zst": "unzstd --rm"}
_ENROL = f"mokutil --import {_CERTIFICATE}; reboot, and choose 'Enroll MOK'"
#: Lockdown comes from Secure Boot or from the command line, and cannot be lifted.
_UNLOCK = "turn off Secure Boot, or remove lockdown= from the kernel command line"


def check_signatures(
    release: str, module: Path, signer: Callable[[Path], str | None], root: Path
) -> Check:
    """Whether the signature of ``module`` allows a load into the kernel ``release``.

    ``signer``: the name of the signer of a file; "" without a signature, None if
    unknown.
    """
    if lockdown := _lockdown(root):
        found = f"the kernel is locked down ({lockdown}): it runs signed code only, so "
        found += "programs stay native"
        return Check(Scope.KERNEL, _NAME, State.FAIL, found, _UNLOCK)
    if not _is_enforced(root):
        if _secure_boot(root):
            found = "Secure Boot is on, but modules need no signature"
            return Check(Scope.KERNEL, _NAME, State.NOTE, found)
        return Check(Scope.KERNEL, _NAME, State.OK, "not required")
    found = "only signed modules are loaded (module.sig_enforce)"
    if not module.is_file():
        advice = f"DKMS signs modules; enrol its key: {_ENROL}"
        return Check(Scope.KERNEL, _NAME, State.FAIL, found, advice)
    who = signer(module)
    if who == "":
        found = f"{found}; the module ub is not signed"
        return Check(Scope.KERNEL, _NAME, State.FAIL, found, _signing(release, module))
    keys = _keys(root)
    if who is None or not keys:
        advice = f"check: mokutil --test-key {_CERTIFICATE}; if not enrolled: {_ENROL}"
        found = f"{found}; unknown whether the key of ub is enrolled"
        return Check(Scope.KERNEL, _NAME, State.NOTE, found, advice)
    if any(who in key for key in keys):
        found = f"{found}; ub is signed by '{who}', which is enrolled"
        return Check(Scope.KERNEL, _NAME, State.OK, found)
    found = f"{found}; ub is signed by '{who}', which is not enrolled"
    return Check(Scope.KERNEL, _NAME, State.FAIL, found, _ENROL)


def _signing(release: str, module: Path) -> str:
    """Commands that sign ``module``; a compressed module is decompressed first."""
    sign = (
        f"/lib/modules/{release}/build/scripts/sign-file sha256 {_KEY} {_CERTIFICATE}"
    )
    if module.suffix not in _DECOMPRESS:
        return f"{sign} {module}"
    return f"{_DECOMPRESS[module.suffix]} {module} && {sign} {module.with_suffix('')}"


def _is_enforced(root: Path) -> bool:
    file = root / "sys/module/module/parameters/sig_enforce"
    return _read(file).strip() == "Y"


def _lockdown(root: Path) -> str:
    """The level of lockdown; "" if the kernel is not locked down."""
    found = re.search(r"\[(\w+)\]", _read(root / "sys/kernel/security/lockdown"))
    return found[1] if found and found[1] != "none" else ""


def _keys(root: Path) -> list[str]:
    """Descriptions of the certificates that the kernel trusts, as far as visible."""
    found = re.findall(r"\basymmetri (.*)$", _read(root / "proc/keys"), re.MULTILINE)
    return [text.partition(": ")[0] for text in found]


def _secure_boot(root: Path) -> bool:
    for path in (root / "sys/firmware/efi/efivars").glob("SecureBoot-*"):
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
