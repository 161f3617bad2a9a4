# SPDX-License-Identifier: GPL-2.0-only
"""QEMU must not start the kernel itself: then nothing would check its signature."""

from __future__ import annotations

from pathlib import Path

from tests.secureboot.machine import from_firmware, parameters
from ubypass.lab.qemu import PORTS, MachineSpec, arguments

_SPEC = MachineSpec(
    image=Path("/kernel"),
    initramfs=Path("/initrd"),
    accel="tcg",
    cpus=1,
    memory="2G",
    append=("module.sig_enforce=1",),
)


def test_firmware_starts_the_kernel() -> None:
    descriptors = {name: number for number, name in enumerate(("console", *PORTS))}
    words = from_firmware(
        arguments(_SPEC, descriptors),
        root=Path("/packages"),
        variables=Path("/vars,1"),
        disk=Path("/disk"),
    )
    assert not {"-kernel", "-initrd", "-append", "/kernel", "/initrd"} & set(words)
    text = " ".join(words)
    assert "file=/packages/usr/share/OVMF/OVMF_CODE_4M.secboot.fd" in text
    assert "file=/vars,,1" in text
    assert "smm=on" in text
    assert "property=secure,value=on" in text


def test_the_boot_loader_has_the_parameters() -> None:
    words = parameters(_SPEC)
    assert "console=ttyS0" in words
    assert words[-1] == "module.sig_enforce=1"
