# SPDX-License-Identifier: GPL-2.0-only
"""Which registers may enter a translation, with SYSCALL as ever and under FRED.

No processor with FRED is needed: the registers are made by hand, and the checks are the
module's own, compiled for user mode.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ubypass.bench.chains.programs import module_program

_SOURCE = (Path(__file__).parent / "registers_user.c").read_bytes()


def _eligible(*, fred: bool) -> set[str]:
    """The names of the registers that may enter."""
    name = "registers_fred_user" if fred else "registers_user"
    program = module_program(name, b"#define UB_SHIM_FRED true\n" * fred + _SOURCE)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) == 8
    return {row[0] for row in rows if row[1] == "yes"}


@pytest.mark.parametrize(
    ("fred", "eligible"),
    [(False, {"syscall"}), (True, {"syscall", "own", "own-rcx", "own-r11"})],
)
def test_registers(fred: bool, eligible: set[str]) -> None:
    """Under FRED rcx and r11 are the program's own; all else counts as before."""
    assert _eligible(fred=fred) == eligible
