# SPDX-License-Identifier: GPL-2.0-only
"""An EFI system partition with Debian's signed boot loaders and one kernel.

A whole disk with one FAT file system: the firmware finds ``EFI/BOOT/BOOTX64.EFI`` there
(shim, signed by Microsoft), which starts grub, which starts the kernel (both signed by
Debian).
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.lab import roots

__all__ = ["make_partition"]

#: Where files come from in the packages, and where they go on the partition.
_LOADERS = {
    "usr/lib/shim/shimx64.efi.signed": "EFI/BOOT/BOOTX64.EFI",
    "usr/lib/shim/mmx64.efi.signed": "EFI/BOOT/mmx64.efi",
    "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed": "EFI/BOOT/grubx64.efi",
}
_SETTINGS = "EFI/debian/grub.cfg"
_GRUB = """\
set timeout=0
serial --unit=0
terminal_output serial
linux /vmlinuz {parameters}
initrd /initrd
boot
"""
_SPARE = 16 << 20  # bytes for the loaders and the file system itself
#: mtools checks the geometry of floppy disks otherwise.
_MAKE = """
export PATH=/usr/sbin:/usr/bin MTOOLS_SKIP_CHECK=1
mkfs.fat -F 16 {disk} > /dev/null && mcopy -s -i {disk} {files} ::
"""


def make_partition(
    root: Path, kernel: Path, initrd: Path, parameters: Sequence[str], work: Path
) -> Path:
    """Make the disk in ``work``, with the programs and loaders of ``root``.

    Raises UbError if it cannot be made.
    """
    tree = work / "partition"
    shutil.rmtree(tree, ignore_errors=True)
    for name, target in _LOADERS.items():
        _copy(root / name, tree / target)
    _copy(kernel, tree / "vmlinuz")
    _copy(initrd, tree / "initrd")
    (tree / _SETTINGS).parent.mkdir(parents=True)
    (tree / _SETTINGS).write_text(_GRUB.format(parameters=" ".join(parameters)))
    disk = work / "disk"
    disk.unlink(missing_ok=True)
    with disk.open("wb") as file:
        needed = kernel.stat().st_size + initrd.stat().st_size + _SPARE
        file.truncate(needed >> 20 << 20)
    script = _MAKE.format(
        disk=shlex.quote(str(disk)), files=shlex.join(map(str, tree.iterdir()))
    )
    done = child.run(
        roots.inside(root, ["sh", "-c", script], [work]),
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise UbError(f"cannot make the partition: {done.stderr.strip()}")
    return disk


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
