# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.bench import machine

_HARDWARE = "model name\t: A Processor @ 2.5GHz\nflags\t\t: fpu de pse\n"
_GUEST = "model name\t: A Processor @ 2.5GHz\nflags\t\t: fpu hypervisor pse\n"
_TCG = "model name\t: QEMU TCG CPU version 2.5+\nflags\t\t: fpu hypervisor\n"


@pytest.mark.parametrize(
    ("cpuinfo", "clock", "vendor", "expected"),
    [
        (_HARDWARE, "tsc", "Maker", "none"),
        (_GUEST, "kvm-clock", "Cloud", "kvm"),
        (_GUEST, "tsc", "QEMU", "kvm"),
        (_GUEST, "hyperv_clocksource", "Other", "unknown"),
        (_TCG, "tsc", "QEMU", "tcg"),
        ("", "", "", "none"),
    ],
)
def test_accelerator(cpuinfo: str, clock: str, vendor: str, expected: str) -> None:
    assert machine.accelerator(cpuinfo, clock, vendor) == expected


def test_cpu_model() -> None:
    assert machine.cpu_model(_TCG) == "QEMU TCG CPU version 2.5+"
    assert machine.cpu_model("nothing here") == "unknown"


@pytest.mark.parametrize(
    ("meltdown", "expected"),
    [("Mitigation: PTI\n", True), ("Not affected\n", False), ("Vulnerable\n", False)],
)
def test_page_table_isolation(meltdown: str, expected: bool) -> None:
    assert machine.page_table_isolation(meltdown) is expected


def test_unit() -> None:
    # As measured with and without -icount; interrupts disturb single runs.
    assert machine.unit([1.005, 1.00004, 1.037, 1.00004, 1.005]) == "instructions"
    assert machine.unit([0.17, 0.17, 0.18, 0.17, 0.21]) == "ns"
    assert machine.unit([1.2, 1.19, 1.0, 1.3, 1.22]) == "ns"


def test_describes_this_machine() -> None:
    here = machine.describe()
    assert here.kernel
    assert here.cpu
    assert here.unit in ("ns", "instructions")
