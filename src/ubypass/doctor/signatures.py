# SPDX-License-Identifier: GPL-2.0-only
"""Checks whether the kernel requires signed modules, and would load ``ub``.

It requires them with ``module.sig_enforce``, which Secure Boot sets as well, and while
it is locked down (see `ubypass.doctor.lockdown`). It uses keys enrolled by mokutil only
under Secure Boot (load_uefi_certs() in security/integrity/platform_certs/load_uefi.c).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ubypass.doctor.check import Check, Scope, State
from ubypass.doctor.lockdown import is_checked, is_secure_boot, level

__all__ = ["check_signatures"]

_NAME = "signatures"
#: The signing key of DKMS on Debian, and its certificate for enrollment.
_KEY = "/var/lib/dkms/mok.key"
_CERTIFICATE = "/var/lib/dkms/mok.pub"
_DECOMPRESS = {".xz": "unxz", ".gz": "gunzip", ".zst": "unzstd --rm"}
_ENROL = f"mokutil --import {_CERTIFICATE}; reboot, and choose 'Enroll MOK'"
#: Commands for signing would lead nowhere then.
_LOCKED = "see 'lockdown' first: no signature changes that programs stay native"
_PARAMETER = "module.sig_enforce"
_REMOVE = (
    f"remove {_PARAMETER} from the kernel command line: without Secure Boot the kernel "
    "uses no enrolled key"
)
_BUILT = "use a kernel without CONFIG_MODULE_SIG_FORCE: this one uses no enrolled key"


def check_signatures(
    release: str, module: Path, signer: Callable[[Path], str | None], root: Path
) -> Check:
    """Whether the signature of ``module`` allows a load into the kernel ``release``.

    ``signer``: the name of the signer of a file; "" without a signature, None if
    unknown.
    """
    locked = bool(level(root))
    if not locked and not _is_enforced(root):
        if is_secure_boot(root):
            found = "Secure Boot is on, but modules need no signature"
            return Check(Scope.KERNEL, _NAME, State.NOTE, found)
        return Check(Scope.KERNEL, _NAME, State.OK, "not required")
    by = "lockdown" if locked else "module.sig_enforce"
    state, found, advice = _judge(release, module, signer, root)
    if locked and state is not State.OK:
        state, advice = State.NOTE, _LOCKED
    elif state is not State.OK and not is_checked(root):
        asked = _PARAMETER in _read(root / "proc/cmdline")
        state, advice = State.FAIL, _REMOVE if asked else _BUILT
    found = f"only signed modules are loaded ({by}); {found}"
    return Check(Scope.KERNEL, _NAME, state, found, advice)


def _judge(
    release: str, module: Path, signer: Callable[[Path], str | None], root: Path
) -> tuple[State, str, str]:
    """Whether a kernel that requires signatures loads ``module``: state, finding,
    advice.
    """
    if not module.is_file():
        advice = f"DKMS signs modules; enrol its key: {_ENROL}"
        return State.FAIL, "there is no module yet", advice
    who = signer(module)
    if who == "":
        return State.FAIL, "the module ub is not signed", _signing(release, module)
    keys = _keys(root)
    if who is None or not keys:
        advice = f"check: mokutil --test-key {_CERTIFICATE}; if not enrolled: {_ENROL}"
        return State.NOTE, "unknown whether the key of ub is enrolled", advice
    if any(key == who or key.endswith(f": {who}") for key in keys):
        return (
            State.OK,
            f"ub is signed by '{who}'; the kernel has a key of this name",
            "",
        )
    return State.FAIL, f"ub is signed by '{who}', whose key the kernel has not", _ENROL


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


def _keys(root: Path) -> list[str]:
    """Subjects of the certificates that the kernel trusts, as far as visible.

    A subject is the certificate's name, perhaps behind its organization and ": "; the
    key's identifier, in hexadecimal digits, follows it.
    """
    return re.findall(r"\basymmetri (.*?): [0-9a-f]+: ", _read(root / "proc/keys"))


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
