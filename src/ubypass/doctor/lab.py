# SPDX-License-Identifier: GPL-2.0-only
"""Can the lab boot here, and how fast?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ubypass.doctor.check import Check, Scope, State
from ubypass.errors import UbError

__all__ = ["check_lab"]


class _NotProbed(Exception):
    """The lab has not tried KVM on this machine yet."""


def check_lab(module_files: Path) -> Iterator[Check]:
    """All checks of the lab; ``module_files`` holds RELEASE/ub.ko."""
    yield _qemu()
    yield _kernel()
    yield _module(module_files)
    yield _kvm()


def _qemu() -> Check:
    from ubypass.lab.qemu import find_qemu

    try:
        return _ok("qemu", find_qemu())
    except UbError as error:
        return Check(Scope.LAB, "qemu", State.FAIL, error.message, error.hint)


def _kernel() -> Check:
    from ubypass.lab.kernels import cached_releases

    releases = cached_releases()
    if releases:
        return _ok("kernel", ", ".join(releases))
    if shutil.which("apt-get"):
        return _ok("kernel", "none cached; fetched from Debian at first use")
    return Check(
        Scope.LAB,
        "kernel",
        State.FAIL,
        "none cached, and no apt-get to fetch one",
        "use a Debian system or container",
    )


def _module(files: Path) -> Check:
    built = sorted(path.parent.name for path in files.glob("*/ub.ko"))
    if built:
        return _ok("module", f"built for {', '.join(built)}")
    return Check(Scope.LAB, "module", State.FAIL, "not built", "ub module build")


def _kvm() -> Check:
    from ubypass.lab.kvm import accelerator

    def untried(name: str) -> bool:
        raise _NotProbed

    if not os.path.exists("/dev/kvm"):
        return _note("kvm", "no /dev/kvm: the lab emulates, slowly")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        advice = "add yourself to the group kvm"
        return _note("kvm", "no permission for /dev/kvm: the lab emulates", advice)
    try:
        usable = accelerator(untried) == "kvm"
    except _NotProbed:
        return _note("kvm", "not tried yet", "the lab's first start tries it")
    except UbError as error:
        return _note("kvm", error.message, error.hint)
    if usable:
        return _ok("kvm", "works")
    return _note("kvm", "cannot boot a stock kernel here: the lab emulates, slowly")


def _ok(name: str, found: str) -> Check:
    return Check(Scope.LAB, name, State.OK, found)


def _note(name: str, found: str, advice: str = "") -> Check:
    return Check(Scope.LAB, name, State.NOTE, found, advice)
