# SPDX-License-Identifier: GPL-2.0-only
"""Bochs, an emulator of machines whose processors have CET; those of QEMU do not.

Debian 13's package, unpacked beside the host (`ubypass.lab.roots`). The machine boots
from a compact disc, has no network, and says all through its serial port.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.lab import roots

__all__ = ["DONE", "run"]

#: The line after which the machine is stopped; a panic stops it, too.
DONE = "=== done"
_ENDS = (DONE, "end Kernel panic")
_SUITE = "trixie"
_PACKAGES = ("bochs", "bochsbios", "vgabios", "isolinux", "syslinux-common", "xorriso")
_LOOK = 0.5  # seconds

# Instructions of a second of the guest's. Bochs executes fewer in one of ours, so the
# guest's clock is slow, and its idle time short.
_IPS = 200_000_000
_MACHINE = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
memory: guest=1024, host=1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=arrow_lake, count=1, ips={ips}, reset_on_triple_fault=0, ignore_bad_msrs=1
pci: enabled=1, chipset=i440fx
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path="{work}/disc.iso", status=inserted
boot: cdrom
clock: sync=none, time0=1790000000
com1: enabled=1, mode=file, dev={work}/serial
log: {work}/bochs.log
"""
_LOADER = """\
default ub
prompt 0
timeout 1
label ub
 kernel vmlinuz
 append initrd=initrd console=ttyS0,115200 {arguments}
"""
#: Without mitigations no retpolines take the place of indirect branches; processors
#: with IBT need none.
_ARGUMENTS = (
    "loglevel=4 oops=panic tsc=reliable no_timer_check lpj=4000000 nokaslr "
    "random.trust_cpu=on cryptomgr.notests mitigations=off"
)


def run(kernel: Path, initrd: Path, work: Path, timeout: float) -> str:
    """Boot ``kernel`` and return what its console said until `DONE`, or until it died.

    ``work``: a directory for the disc and logs. Raises UbError if the packages cannot
    be had, and if the machine was not done after ``timeout`` seconds.
    """
    root = roots.fetch_packages(_SUITE, "bochs", _PACKAGES)
    _make_disc(root, kernel, initrd, work)
    serial = work / "serial"
    serial.unlink(missing_ok=True)
    (work / "machine").write_text(_MACHINE.format(ips=_IPS, work=work))
    # Bochs shows its screen to whoever connects.
    alone = ["unshare", "-r", "-n"]
    command = ["bochs-bin", "-q", "-f", str(work / "machine")]
    with (work / "out").open("wb") as out:
        machine = child.start(
            [*alone, *roots.inside(root, command, [work])],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(machine, serial, timeout)
        finally:
            child.end(machine)
    said = _read(serial)
    if not any(mark in said for mark in _ENDS):
        last = "\n".join(said.splitlines()[-5:])
        raise UbError(
            f"Bochs was not done after {timeout:.0f} s; it said last:\n{last}",
            f"see {serial} and {work}/bochs.log",
        )
    return said


def _wait(machine: subprocess.Popen[bytes], serial: Path, timeout: float) -> None:
    end = time.monotonic() + timeout
    while machine.poll() is None and time.monotonic() < end:
        if any(mark in _read(serial) for mark in _ENDS):
            return
        time.sleep(_LOOK)


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _make_disc(root: Path, kernel: Path, initrd: Path, work: Path) -> None:
    disc = work / "disc"
    shutil.rmtree(disc, ignore_errors=True)
    loader = disc / "isolinux"
    loader.mkdir(parents=True)
    shutil.copy(root / "usr/lib/ISOLINUX/isolinux.bin", loader)
    shutil.copy(root / "usr/lib/syslinux/modules/bios/ldlinux.c32", loader)
    shutil.copy(kernel, loader / "vmlinuz")
    shutil.copy(initrd, loader / "initrd")
    text = _LOADER.format(arguments=_ARGUMENTS)
    (loader / "isolinux.cfg").write_text(text)
    command = [
        *("xorriso", "-as", "mkisofs", "-quiet", "-o", str(work / "disc.iso")),
        *("-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot"),
        *("-boot-load-size", "4", "-boot-info-table", str(disc)),
    ]
    done = child.run(roots.inside(root, command, [work]), capture_output=True)
    if done.returncode != 0:
        raise UbError(f"cannot make the disc: {done.stderr.decode().strip()}")
