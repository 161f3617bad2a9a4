# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.bench import machine

_HARDWARE = "model name\t: A Processor @ 2.5GHz\nflags\t\t: fpu de pse\n"
_GUEST = "model name\t: A Processor @ 2.5GHz\nflags\t\t: fpu hypervisor pse\n"
_TCG = "model name\t: QEMU TCG CPU version 2.5+\nflags\t\t: fpu hypervisor\n"


@pytest.mark.parametrize(
    ("cpuinfo", "clock", "vendor", "emulated", "expected"),
    [
        (_HARDWARE, "tsc", "Maker", False, "none"),
        (_GUEST, "kvm-clock", "Cloud", False, "kvm"),
        (_GUEST, "tsc", "QEMU", False, "kvm"),
        (_GUEST, "hyperv_clocksource", "Other", False, "unknown"),
        (_TCG, "tsc", "QEMU", True, "tcg"),
        (_GUEST, "tsc", "QEMU", True, "tcg"),  # as with --cpu Skylake-Server
        ("", "", "", False, "none"),
    ],
)
def test_accelerator(
    cpuinfo: str, clock: str, vendor: str, emulated: bool, expected: str
) -> None:
    assert machine.accelerator(cpuinfo, clock, vendor, emulated) == expected


def test_cpu_model() -> None:
    assert machine.cpu_model(_TCG) == "QEMU TCG CPU version 2.5+"
    assert machine.cpu_model("nothing here") == "unknown"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu pti pse", True), ("fpu ptidy", False), ("", False)],
)
def test_page_table_isolation(flags: str, expected: bool) -> None:
    cpuinfo = f"model name\t: A Processor\nflags\t\t: {flags}\nbugs\t\t: pti\n"
    assert machine.page_table_isolation(cpuinfo) is expected


def test_mitigations_in_the_kernel_s_words(tmp_path: Path) -> None:
    (tmp_path / "mds").write_text("Mitigation: Clear CPU buffers; SMT Host state\n")
    (tmp_path / "meltdown").write_text("Not affected\n")
    (tmp_path / "l1tf").write_text("Vulnerable\n")
    assert machine.mitigations(tmp_path) == (
        "l1tf: Vulnerable",
        "mds: Clear CPU buffers; SMT Host state",
    )
    assert machine.mitigations(tmp_path / "none") == ()


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
    assert here.erms is ("erms" in Path("/proc/cpuinfo").read_text().split())
