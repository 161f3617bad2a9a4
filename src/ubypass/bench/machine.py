# SPDX-License-Identifier: GPL-2.0-only
"""What kind of machine this is, as far as measurements depend on it."""

from __future__ import annotations

import os
import statistics
import subprocess
from pathlib import Path

from ubypass.bench.records import Machine
from ubypass.bench.workloads import build_workload

__all__ = ["accelerator", "cpu_model", "describe", "page_table_isolation", "unit"]

_CPUINFO = Path("/proc/cpuinfo")
_MELTDOWN = Path("/sys/devices/system/cpu/vulnerabilities/meltdown")
_CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
_VENDOR = Path("/sys/class/dmi/id/sys_vendor")

#: How far from 1 ns the time of an instruction may be where it is a definition;
#: the timer's interrupts take a few instructions of any interval.
_TICK_TOLERANCE = 0.01


def describe() -> Machine:
    """This machine."""
    return Machine(
        kernel=os.uname().release,
        cpu=cpu_model(_read(_CPUINFO)),
        page_table_isolation=page_table_isolation(_read(_MELTDOWN)),
        accelerator=accelerator(
            _read(_CPUINFO), _read(_CLOCK_SOURCE).strip(), _read(_VENDOR).strip()
        ),
        unit=unit(_ticks()),
    )


def cpu_model(cpuinfo: str) -> str:
    """The processor's name in the text of /proc/cpuinfo."""
    return _field(cpuinfo, "model name") or "unknown"


def page_table_isolation(meltdown: str) -> bool:
    """From the kernel's own words about Meltdown in sysfs."""
    return "PTI" in meltdown


def accelerator(cpuinfo: str, clock_source: str, vendor: str) -> str:
    """How the machine is run: "none", "tcg", "kvm" or "unknown" hypervisor.

    From the texts of /proc/cpuinfo, sysfs's clock source and DMI's vendor. QEMU's own
    processor models say TCG; a QEMU machine with any other is KVM's.
    """
    if "TCG" in cpu_model(cpuinfo):
        return "tcg"
    if "hypervisor" not in _field(cpuinfo, "flags").split():
        return "none"
    if clock_source == "kvm-clock" or vendor == "QEMU":
        return "kvm"
    return "unknown"


def unit(ticks: list[float]) -> str:
    """The clock's unit, from ns per instruction as measured a few times."""
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
