# SPDX-License-Identifier: GPL-2.0-only
"""Checks whether the lab can boot on this machine, and how fast."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ubypass.doctor.check import Check, Scope, State
from ubypass.errors import UbError

__all__ = ["check_lab"]


#: Space that a kernel and its headers need while they are unpacked.
_KERNEL_BYTES = 1 << 30
_PACKAGES = {"depmod": "kmod", "dpkg-deb": "dpkg"}


class _NotProbed(Exception):
    """The lab has not tried KVM on this machine yet."""


def check_lab(module_files: Path) -> Iterator[Check]:
    """All checks of the lab; ``module_files`` holds RELEASE/ub.ko."""
    yield _qemu()
    yield _programs()
    yield _cache()
    yield _kernel()
    yield _compiler()
    yield _module(module_files)
    yield _kvm()


def _qemu() -> Check:
    from ubypass.lab.qemu import find_qemu

    try:
        return _ok("qemu", find_qemu())
    except UbError as error:
        return _fail("qemu", error.message, error.hint)


def _programs() -> Check:
    from ubypass.lab.initramfs import find_busybox

    missing = [name for name in ("depmod", "dpkg-deb") if not _which(name)]
    if missing:
        packages = " ".join(_PACKAGES[name] for name in missing)
        return _fail(
            "programs", f"no {' and '.join(missing)}", f"apt install {packages}"
        )
    try:
        return _ok("programs", f"{find_busybox()}, depmod, dpkg-deb")
    except UbError as error:
        return _fail("programs", error.message, error.hint)


def _cache() -> Check:
    from ubypass.lab.kernels import cached_releases
    from ubypass.places import cache_dir

    place = directory = cache_dir()
    while not os.path.exists(place) and place != place.parent:
        place = place.parent
    advice = "choose another one with UBYPASS_CACHE=DIRECTORY"
    if not os.path.isdir(place) or not os.access(place, os.W_OK | os.X_OK):
        return _fail("cache", f"{directory} is not writable", advice)
    for tree in ("kernels", "initramfs"):
        part = directory / tree
        if part.exists() and not os.access(part, os.W_OK | os.X_OK):
            return _fail("cache", f"{part} is not writable", advice)
    free = shutil.disk_usage(place).free
    if free < _KERNEL_BYTES and not cached_releases():
        found = f"{directory} has {free >> 20} MiB free, a kernel needs"
        return _fail("cache", f"{found} {_KERNEL_BYTES >> 20}", advice)
    if free < _KERNEL_BYTES:
        return _note("cache", f"{directory} has {free >> 20} MiB free", advice)
    return _ok("cache", str(directory))


def _kernel() -> Check:
    from ubypass.lab.kernels import cached_releases, has_lists, is_whole
    from ubypass.places import cache_dir

    cached = cached_releases()
    whole = [r for r in cached if is_whole(cache_dir() / "kernels" / r / "image")]
    if whole:
        return _ok("kernel", _listed(whole))
    found = "none complete in the cache" if cached else "none cached"
    if not shutil.which("apt-get"):
        advice = "use a Debian system or container"
        return _fail("kernel", f"{found}, and no apt-get to download one", advice)
    if not has_lists():
        advice = "as root: apt-get update"
        return _fail("kernel", f"{found}, and apt has no package lists", advice)
    return _ok("kernel", f"{found}; downloaded from Debian at first use")


def _listed(names: list[str]) -> str:
    """The first two names, and the number of further ones."""
    more = len(names) - 2
    shown = ", ".join(names[:2])
    return f"{shown} and {more} more" if more > 0 else shown


def _compiler() -> Check:
    missing = [name for name in ("gcc", "make") if not _which(name)]
    if not missing:
        return _ok("compiler", "gcc, make")
    return _fail(
        "compiler",
        f"no {' and '.join(missing)} to build the module with",
        f"apt install {' '.join(missing)}",
    )


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _module(files: Path) -> Check:
    built = sorted(path.parent.name for path in files.glob("*/ub.ko"))
    if built:
        return _ok("module", f"built for {_listed(built)}")
    return _fail("module", "not built", "ub module build")


def _kvm() -> Check:
    from ubypass.lab.kvm import accelerator

    def untried(name: str) -> bool:
        raise _NotProbed

    if not os.path.exists("/dev/kvm"):
        return _note("kvm", "no /dev/kvm: the lab uses slow emulation")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        advice = "add yourself to the group kvm"
        return _note(
            "kvm", "no permission for /dev/kvm: the lab uses slow emulation", advice
        )
    try:
        usable = accelerator(untried) == "kvm"
    except _NotProbed:
        return _note("kvm", "not tested yet", "the first start of the lab will test it")
    except UbError as error:
        return _note("kvm", error.message, error.hint)
    if usable:
        return _ok("kvm", "works")
    return _note("kvm", "cannot boot a stock kernel here: the lab uses slow emulation")


def _ok(name: str, found: str) -> Check:
    return Check(Scope.LAB, name, State.OK, found)


def _note(name: str, found: str, advice: str = "") -> Check:
    return Check(Scope.LAB, name, State.NOTE, found, advice)


def _fail(name: str, found: str, advice: str) -> Check:
    return Check(Scope.LAB, name, State.FAIL, found, advice)
