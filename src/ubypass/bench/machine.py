# SPDX-License-Identifier: GPL-2.0-only
"""The properties of this machine on which measurements depend."""

from __future__ import annotations

import os
import statistics
import subprocess
from pathlib import Path

from ubypass.bench.records import Machine
from ubypass.bench.workloads import build_workload
from ubypass.processor import features, is_emulated

__all__ = [
    "accelerator",
    "cpu_model",
    "describe",
    "mitigations",
    "page_table_isolation",
    "unit",
]

_CPUINFO = Path("/proc/cpuinfo")
_VULNERABILITIES = Path("/sys/devices/system/cpu/vulnerabilities")
_CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
_VENDOR = Path("/sys/class/dmi/id/sys_vendor")

#: Largest relative deviation from 1 ns per instruction where instructions are counted:
#: timer interrupts take a few instructions of any interval.
_TICK_TOLERANCE = 0.01


def describe() -> Machine:
    """The description of this machine."""
    return Machine(
        kernel=os.uname().release,
        cpu=cpu_model(_read(_CPUINFO)),
        page_table_isolation=page_table_isolation(_read(_CPUINFO)),
        accelerator=accelerator(
            _read(_CPUINFO),
            _read(_CLOCK_SOURCE).strip(),
            _read(_VENDOR).strip(),
            is_emulated(),
        ),
        unit=unit(_ticks()),
        erms="erms" in features(),
        mitigations=mitigations(_VULNERABILITIES),
    )


def cpu_model(cpuinfo: str) -> str:
    """The processor's name in the text of /proc/cpuinfo."""
    return _field(cpuinfo, "model name") or "unknown"


def page_table_isolation(cpuinfo: str) -> bool:
    """Whether the kernel switches page tables, from the text of /proc/cpuinfo.

    With ``pti=on`` it does so on processors, too, of which sysfs's file about Meltdown
    only says that they are not affected.
    """
    return "pti" in _field(cpuinfo, "flags").split()


def mitigations(directory: Path) -> tuple[str, ...]:
    """The kernel's mitigation of each vulnerability of this processor.

    Each is "name: text" in the words of sysfs's ``directory``, sorted by name;
    vulnerabilities that do not affect the processor are left out.
    """
    try:
        files = sorted(directory.iterdir())
    except OSError:
        return ()
    contents = ((file.name, _read(file).strip()) for file in files)
    return tuple(
        f"{name}: {text.removeprefix('Mitigation: ')}"
        for name, text in contents
        if text and text != "Not affected"
    )


def accelerator(cpuinfo: str, clock_source: str, vendor: str, emulated: bool) -> str:
    """The accelerator of the machine: "none", "tcg", "kvm" or "unknown" hypervisor.

    From the texts of /proc/cpuinfo, sysfs's clock source and DMI's vendor.
    ``emulated``: whether the processor is; its name does not tell if it is the model of
    a real one.
    """
    if emulated:
        return "tcg"
    if "hypervisor" not in _field(cpuinfo, "flags").split():
        return "none"
    if clock_source == "kvm-clock" or vendor == "QEMU":
        return "kvm"
    return "unknown"


def unit(ticks: list[float]) -> str:
    """The clock's unit, from several measurements of ns per instruction."""
    off = abs(statistics.median(ticks) - 1.0)
    return "instructions" if off < _TICK_TOLERANCE else "ns"


def _ticks() -> list[float]:
    program = str(build_workload("tick"))
    out = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return [float(line) for line in out.split()]


def _field(cpuinfo: str, name: str) -> str:
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
