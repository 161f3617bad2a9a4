# SPDX-License-Identifier: GPL-2.0-only
"""Decides between KVM and QEMU's own emulation (TCG).

/dev/kvm may exist and yet be unable to boot a stock kernel (nested virtualization that
lacks features), so only a successful boot counts. The answer is cached while the host's
kernel and QEMU stay the same.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ubypass.errors import UbError
from ubypass.lab.qemu import find_qemu
from ubypass.places import cache_dir

__all__ = ["accelerator"]

_DEVICE = Path("/dev/kvm")


def accelerator(boots: Callable[[str], bool], *, icount: bool = False) -> str:
    """``"kvm"`` or ``"tcg"``.

    ``boots("kvm")`` starts a small machine and returns whether it came up; called at
    most once per host kernel and QEMU version. $UBYPASS_ACCEL overrides the answer;
    instruction counting exists in TCG only. Raises UbError for an unknown override.
    """
    if icount:
        return "tcg"
    override = os.environ.get("UBYPASS_ACCEL", "")
    if override in ("kvm", "tcg"):
        return override
    if override:
        raise UbError(
            f"UBYPASS_ACCEL is '{override}'", "set it to kvm or tcg, or unset it"
        )
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return "tcg"
    key = _key()
    known = _load()
    if key not in known:
        known[key] = boots("kvm")
        _store(known)
    return "kvm" if known[key] else "tcg"


def _key() -> str:
    version = subprocess.run(
        [find_qemu(), "--version"], capture_output=True, text=True, errors="replace"
    )
    first = version.stdout.partition("\n")[0]
    return f"{platform.release()} {platform.version()}; {first}"


def _path() -> Path:
    return cache_dir() / "kvm.json"


def _load() -> dict[str, bool]:
    try:
        data = json.loads(_path().read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {str(key): value is True for key, value in data.items()}


def _store(known: dict[str, bool]) -> None:
    path = _path()
    # Without a cache the boot is tried again.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Replaced atomically: another run may be reading the file.
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(known, indent=1))
        partial.replace(path)
