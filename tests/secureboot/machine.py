# SPDX-License-Identifier: GPL-2.0-only
"""A machine with UEFI firmware and Secure Boot: QEMU with OVMF.

The devices are those of the lab, but firmware and a boot loader start the kernel. The
firmware's variables are in a file and outlive the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from ubypass.lab import qemu
from ubypass.lab.qemu import Machine, MachineSpec, arguments

__all__ = ["VARIABLES", "from_firmware", "parameters", "started"]

_FIRMWARE = "usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
#: In the package: the variables of a machine as sold, with Microsoft's keys.
VARIABLES = "usr/share/OVMF/OVMF_VARS_4M.ms.fd"
_STARTERS = ("-kernel", "-initrd", "-append")


def parameters(spec: MachineSpec) -> Sequence[str]:
    """The kernel's parameters, which its boot loader has to pass on."""
    words = arguments(spec, {})
    return words[words.index("-append") + 1].split()


def started(
    spec: MachineSpec, root: Path, variables: Path, disk: Path
) -> AbstractContextManager[Machine]:
    """The machine inside the ``with`` block; it boots from ``disk``.

    ``root``: with the firmware; ``variables``: its variables, which it changes. QEMU
    ends when the machine restarts.
    """
    firmware = partial(from_firmware, root=root, variables=variables, disk=disk)
    return qemu.started(spec, firmware)


def from_firmware(
    words: list[str], *, root: Path, variables: Path, disk: Path
) -> list[str]:
    """QEMU's arguments, without its own way to start a kernel: it needs no signature.

    See `started`.
    """
    words = list(words)
    for name in _STARTERS:
        place = words.index(name)
        del words[place : place + 2]
    return [*words, *_firmware(root, variables, disk)]


def _firmware(root: Path, variables: Path, disk: Path) -> list[str]:
    # Only code in system management mode may write the variables' flash memory.
    # It restarts the machine by the controller of the keyboard.
    return [
        *("-machine", "smm=on,i8042=on"),
        *("-global", "driver=cfi.pflash01,property=secure,value=on"),
        "-drive",
        f"if=pflash,format=raw,unit=0,readonly=on,file={_escaped(root / _FIRMWARE)}",
        *("-drive", f"if=pflash,format=raw,unit=1,file={_escaped(variables)}"),
        *("-drive", f"id=boot,if=none,format=raw,file={_escaped(disk)}"),
        *("-device", "virtio-blk-pci,drive=boot,bootindex=0"),
    ]


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")
