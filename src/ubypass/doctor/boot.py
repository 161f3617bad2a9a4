# SPDX-License-Identifier: GPL-2.0-only
"""The kernel of the next boot: whether the module exists for it too.

An upgrade installs a kernel that does not run yet. Where the boot loader's choice is
not known it is taken for the newest installed kernel, as Debian has it unless the
administrator has chosen another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ubypass.doctor.check import Check, Scope, State
from ubypass.doctor.grub import next_of_grub
from ubypass.doctor.loader import KERNELS, Entry, Unknown, by_version, release_of
from ubypass.doctor.systemd_boot import loader_of, next_of_systemd_boot

__all__ = ["check_next_boot"]

_NAME = "next boot"


def check_next_boot(
    release: str,
    module_of: Callable[[str], Path],
    how_to_get: Callable[[str], str],
    root: Path,
) -> Iterator[Check]:
    """Check the kernel that boots next, if any is installed here.

    ``module_of``: path of the module for a kernel, which may not exist;
    ``how_to_get``: the command that provides the module.
    """
    kernels = (path.name for path in (root / "boot").glob(f"{KERNELS}*"))
    found = sorted((name.removeprefix(KERNELS) for name in kernels), key=by_version)
    if not found:
        return
    try:
        entry = _entry(root)
        boots, how = release_of(entry, root), f"{entry.loader}: {entry.title!r}"
    except Unknown as unknown:
        boots, how = found[-1], f"the newest installed one; {unknown}"
    if not boots:
        text = f"no kernel of this system ({how})"
        yield Check(Scope.KERNEL, _NAME, State.NOTE, text)
    elif boots not in found:
        text = f"{boots}, which is not in /boot ({how})"
        advice = "update the configuration of the boot loader; of GRUB: update-grub"
        yield Check(Scope.KERNEL, _NAME, State.NOTE, text, advice)
    elif boots == release:
        text = f"{boots}, the running kernel ({how})"
        yield Check(Scope.KERNEL, _NAME, State.OK, text)
    elif module_of(boots).is_file():
        text = f"{boots}, with the module ({how})"
        yield Check(Scope.KERNEL, _NAME, State.OK, text)
    else:
        text = f"{boots}, without the module: programs will run natively ({how})"
        yield Check(Scope.KERNEL, _NAME, State.NOTE, text, how_to_get(boots))


def _entry(root: Path) -> Entry:
    """What the boot loader starts. Raises `Unknown`."""
    loader = loader_of(root)
    entry = next_of_systemd_boot(root)
    if entry is None and loader and not loader.startswith("GRUB"):
        raise Unknown(f"{loader} decides it")
    entry = entry or next_of_grub(root)
    if entry is None:
        raise Unknown("no configuration of a boot loader was found")
    return entry
