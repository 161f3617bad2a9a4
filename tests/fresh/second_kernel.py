# SPDX-License-Identifier: GPL-2.0-only
"""Another kernel, installed after the packages, as by an upgrade.

Dkms builds the module for it, it boots, and the service boosts there. Each function
raises Failed where an operator would complain.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.fresh.guest import Guest
from tests.fresh.machine import Failed, Machine
from tests.fresh.packages import QUIET
from tests.fresh.watched import (
    go_on,
    must_be_running,
    parsed,
    programs_of,
    until_boosted,
)
from tests.fresh.works import modules
from ubypass.version import VERSION

__all__ = ["Kernel", "boosts", "install", "remove"]

#: Of each suite a newer series, or else another flavour, as a package depends on it.
_NAMES = {"bookworm": "6.12-amd64", "trixie": "cloud-amd64"}
_GRUB = "/boot/grub/grub.cfg"


@dataclass(frozen=True)
class Kernel:
    """``packages`` were not installed before."""

    release: str
    packages: frozenset[str]


def install(machine: Machine, suite: str) -> Kernel:
    """Install a kernel with its headers: that is all that an operator does."""
    name = _NAMES[suite]
    before, kernels = machine.packages(), _kernels(machine)
    machine.succeeds(
        f"{QUIET} --no-install-recommends install "
        f"linux-image-{name} linux-headers-{name}"
    )
    (release,) = _kernels(machine) - kernels
    for kernel in {release, *kernels}:
        _built(machine, kernel)
    print(f"  dkms has built the module for {release}, installed later", flush=True)
    return Kernel(release, frozenset(machine.packages() - before))


def _built(machine: Machine, release: str) -> None:
    """What dkms says, what it keeps, and what it has installed, are one module."""
    wanted = f"ubypass/{VERSION}, {release}, x86_64: installed"
    status = machine.succeeds("dkms status").output.splitlines()
    if wanted not in (line.strip() for line in status):
        raise Failed(f"dkms status lacks '{wanted}': {status}")
    kept = machine.root / f"var/lib/dkms/ubypass/{VERSION}/{release}/x86_64/module"
    if len(list(kept.glob("ub.ko*"))) != 1:
        raise Failed(f"dkms keeps {list(kept.iterdir())}")
    if [path.parent.name for path in modules(machine, release)] != ["dkms"]:
        raise Failed(f"modules of {release}: {modules(machine, release)}")
    said = machine.succeeds(f"modinfo -k {release} -F vermagic ub").output
    if said.split()[:1] != [release]:
        raise Failed(f"the module for {release} is for {said}")


def remove(machine: Machine, kernel: Kernel) -> None:
    """Purge it: the module goes with it, and that of the first kernel stays."""
    machine.succeeds(f"{QUIET} purge {' '.join(sorted(kernel.packages))}")
    if left := modules(machine, kernel.release):
        raise Failed(f"the kernel is removed, and there is still {left}")
    status = machine.succeeds("dkms status").output
    if kernel.release in status:
        raise Failed(f"the kernel is removed, and dkms status says:\n{status}")
    for release in _kernels(machine) - {kernel.release}:
        _built(machine, release)


def boosts(guest: Guest, state: str, kernel: Kernel, first: str) -> None:
    """The service boosts on that kernel; ``ub doctor`` knows what boots next."""
    must_be_running(guest, state)
    said = guest.succeeds("uname -r").output.strip()
    if said != kernel.release:
        raise Failed(f"{said} runs instead of {kernel.release}")
    until_boosted(guest)
    go_on(guest, programs_of(guest))
    guest.succeeds("update-grub")
    menu = f'$(grep -om1 "gnulinux-advanced-[^\']*" {_GRUB})'
    for release in kernel.release, first:
        entry = f'$(grep -om1 "gnulinux-{release}-advanced-[^\']*" {_GRUB})'
        guest.succeeds(f'grub-reboot "{menu}>{entry}"')
        how = "the running kernel" if release == kernel.release else "with the module"
        begin, end = f"{release}, {how} (GRUB: '", f"GNU/Linux, with Linux {release}')"
        found = _next_boot(guest)
        if not found.startswith(begin) or not found.endswith(end):
            raise Failed(f"GRUB boots {release} next, and ub doctor says {found}")
    guest.succeeds("grub-editenv /boot/grub/grubenv unset next_entry")
    usual = _next_boot(guest)
    if not usual.endswith("GNU/Linux')"):
        raise Failed(f"GRUB boots its first entry, and ub doctor says {usual}")
    # So that no removal of a kernel changes it.
    guest.succeeds("rm /boot/grub/grub.cfg /boot/grub/grubenv")
    guest.check_log()
    print(
        f"  on {kernel.release} the service boosts; ub doctor, next boot: {usual}",
        flush=True,
    )


def _next_boot(guest: Guest) -> str:
    checks = parsed(guest.type("ub doctor --json"))["checks"]
    (found,) = (check["found"] for check in checks if check["name"] == "next boot")
    return str(found)


def _kernels(machine: Machine) -> set[str]:
    """Those that can boot."""
    images = (machine.root / "boot").glob("vmlinuz-*")
    return {path.name.removeprefix("vmlinuz-") for path in images}
