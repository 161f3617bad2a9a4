# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.fresh.live [SUITE...]``: the packages on Debians that boot.

A Debian with a server, redis, under its own unit. The packages are installed as an
operator does it; then that Debian boots in the lab's QEMU, with its own kernel and its
own systemd (`tests.fresh.guest`). The packages are those that `tests.fresh.packages`
has built.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.fresh.disk import make_disk, mounted
from tests.fresh.guest import Guest, add_agent, booted
from tests.fresh.listing import difference, listing
from tests.fresh.machine import Done, Failed, Machine, fresh
from tests.fresh.packages import QUIET, SUITES, dependencies
from tests.fresh.second_kernel import Kernel, boosts, install, remove
from tests.fresh.served import (
    CONFIG,
    COPY_UNIT,
    commands_typed,
    purged,
    refused,
    served,
    switched_off,
)
from tests.fresh.works import kernel_release, modules, works
from tests.places import ROOT
from ubypass.version import VERSION

__all__ = ["live", "main"]

_NEEDED = (
    "debootstrap",
    "unshare",
    "mkfs.ext4",
    "mount",
    "apt-get",
    "qemu-system-x86_64",
)
_OWN_MOUNTS = "UBYPASS_TEST_OWN_MOUNTS"
_SYSTEM = "linux-image-amd64 systemd-sysv udev dbus zstd redis-server"
#: Tools of a boot loader that does not boot it, and what a store of translations needs.
_MORE = "grub2-common python3-cryptography"
_NODE_EXPORTER = "var/lib/prometheus/node-exporter"


@dataclass(frozen=True)
class _Boot:
    """What starts the machine: the disk, and what a boot loader would load."""

    disk: Path
    kernel: Path
    initramfs: Path

    def run(self, log: IO[str], *parameters: str) -> AbstractContextManager[Guest]:
        """Boot it; it is shut down at the end of the block."""
        return booted(self.disk, self.kernel, self.initramfs, log, *parameters)

    def remove(self) -> None:
        """Remove the files."""
        for file in self.disk, self.kernel, self.initramfs:
            file.unlink(missing_ok=True)


def live(place: Path, debs: list[Path], suite: str) -> None:
    """Raises Failed where an operator would complain."""
    name = f"live-{suite}"
    machine = fresh(place, debs[0].parent, name, security=True, suite=suite)
    machine.succeeds(f"{QUIET} update")
    machine.succeeds(f"{QUIET} --no-install-recommends install {_SYSTEM} {_MORE}")
    # It would write its data at its end, which is another file each time.
    with (machine.root / "etc/redis/redis.conf").open("a") as settings:
        settings.write('save ""\n')
    add_agent(machine.root)
    (machine.root / "etc/systemd/system/copy.service").write_text(COPY_UNIT)
    machine.succeeds("systemctl enable copy")
    installation = _time_installation(place, machine, debs, suite)
    machine.succeeds(
        f"{QUIET} --no-install-recommends install {dependencies(machine, debs)}"
    )
    (machine.root / _NODE_EXPORTER).mkdir(parents=True)
    (machine.root / "boot/grub").mkdir(exist_ok=True)
    boot = _disk(place, machine, name)
    shutil.rmtree(machine.root)
    with (place / f"{name}-guest.log").open("w", encoding="utf-8") as log:
        _boots(boot, place / f"mounted-{name}", debs, suite, installation, log)
    boot.remove()


def _boots(
    boot: _Boot,
    place: Path,
    debs: list[Path],
    suite: str,
    installation: Done,
    log: IO[str],
) -> None:
    """Without the packages; with another kernel, which came later; with a module that
    is refused; with one that is not.
    """
    with boot.run(log) as guest:
        state = guest.type("systemctl is-system-running --wait").output
        guest.check_log()
    with mounted(boot.disk, place) as root:
        before = listing(root)
        machine = Machine(root, debs[0].parent, place.with_suffix(".log"))
        release = kernel_release(machine)
        machine.succeeds(f"{QUIET} --no-install-recommends install {_words(debs)}")
        works(machine, VERSION, release)
        (root / "etc/ubypass").mkdir()
        (root / "etc/ubypass/config.toml").write_text(CONFIG)
        machine.succeeds("systemctl enable ubypass")
        other = install(machine, suite)
        second = _boot_of(boot.disk, root, other.release)
    with second.run(log) as guest:
        boosts(guest, state, other, release)
    second.kernel.unlink()
    second.initramfs.unlink()
    with mounted(boot.disk, place) as root:
        remove(Machine(root, debs[0].parent, place.with_suffix(".removed.log")), other)
    with boot.run(log, "module.sig_enforce=1") as guest:
        refused(guest, state)
    with boot.run(log, "noubypass") as guest:
        switched_off(guest, state)
    with boot.run(log) as guest:
        served(guest, state)
        typed, seconds = commands_typed(guest)
        purged(guest)
    with mounted(boot.disk, place) as root:
        changes = difference(before, listing(root))
        if changes := [each for each in changes if not _of_kernel(each, other)]:
            shown = "\n".join(f"    {line}" for line in changes[:20])
            raise Failed(f"{len(changes)} files differ after the purge:\n{shown}")
    print("  purged while it ran: no file, no module, no unit is left", flush=True)
    print(
        f"  to the first boosted program: {1 + len(typed)} commands; "
        f"{installation.seconds:.0f} s ({installation.cpu:.0f} s of CPU) for the "
        f"first on this machine; for the others {seconds:.1f} s by a clock that counts "
        f"1 ns per instruction ({sum(done.cpu for done in typed):.0f} s of the "
        "emulator's CPU)",
        flush=True,
    )


def _time_installation(
    place: Path, machine: Machine, debs: list[Path], suite: str
) -> Done:
    """What an operator types on a Debian without any of it, recommended packages too;
    on a copy, which is removed: `live` compares with what is there before.
    """
    root = place / f"machine-timed-{suite}"
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", str(machine.root), str(root)], check=True)
    try:
        copy = Machine(root, machine.source, place / f"timed-{suite}.log")
        packages = copy.packages()
        done = copy.succeeds(f"{QUIET} install {_words(debs)} linux-headers-amd64")
        if not modules(copy, kernel_release(copy)):
            raise Failed("one command does not build the module")
        number = len(copy.packages() - packages)
        # What was fetched needs not be fetched again.
        for deb in (root / "var/cache/apt/archives").glob("*.deb"):
            deb.replace(machine.root / "var/cache/apt/archives" / deb.name)
    finally:
        shutil.rmtree(root)
    print(
        f"  one command installs {number} packages and builds the module: "
        f"{done.seconds:.0f} s, {done.cpu:.0f} s of CPU",
        flush=True,
    )
    return done


def _disk(place: Path, machine: Machine, name: str) -> _Boot:
    """The machine as a disk, and its own kernel and initramfs."""
    boot = _boot_of(place / f"{name}.disk", machine.root, kernel_release(machine))
    make_disk(boot.disk, machine.root)
    return boot


def _boot_of(disk: Path, root: Path, release: str) -> _Boot:
    """``disk``, whose files are in ``root``, with one of its kernels."""
    stem = disk.with_name(f"{disk.stem}-{release}")
    boot = _Boot(disk, Path(f"{stem}.vmlinuz"), Path(f"{stem}.initrd"))
    shutil.copy(root / f"boot/vmlinuz-{release}", boot.kernel)
    shutil.copy(root / f"boot/initrd.img-{release}", boot.initramfs)
    return boot


def _of_kernel(change: str, kernel: Kernel) -> bool:
    """Whether another package has left it: that kernel's, or one that keeps links."""
    path = change.partition(": ")[0]
    links = ("vmlinuz", "vmlinuz.old", "initrd.img", "initrd.img.old")
    return path in links or kernel.release in path


def _words(debs: list[Path]) -> str:
    return " ".join(map(str, debs))


def main() -> int:
    """Run it for each suite; 1 if one failed, 2 if this machine cannot."""
    parser = argparse.ArgumentParser(prog="tests.fresh.live", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE")
    args = parser.parse_args()
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if os.getuid() != 0 or missing:
        print("this needs root and", ", ".join(missing or _NEEDED), file=sys.stderr)
        return 2
    if _OWN_MOUNTS not in os.environ:
        # Whatever ends this process, no mount stays behind.
        os.environ[_OWN_MOUNTS] = "1"
        command = ["unshare", "--mount", sys.executable, "-m", "tests.fresh.live"]
        os.execvp(command[0], [*command, *args.suites])
    place = ROOT / "build" / "fresh"
    debs = sorted((place / "debs").glob(f"*_{VERSION}_*.deb"))
    if not debs:
        print(
            "there are no packages yet: python -m tests.fresh.packages", file=sys.stderr
        )
        return 2
    failed = 0
    for suite in args.suites or SUITES:
        try:
            with (place / f"live-{suite}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # two would remove each other's files
                print(f"packages on a {suite} that boots", flush=True)
                begun = time.monotonic()
                live(place, debs, suite)
                print(f"  ok, {time.monotonic() - begun:.0f} s in all", flush=True)
        except Failed as error:
            print(
                f"  FAILED: {error}\n  all of it: {place}/live-{suite}*.log", flush=True
            )
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
