# SPDX-License-Identifier: GPL-2.0-only
"""What the module does about the address of the last x87 instruction.

Its code runs here in user mode, on the real CPU, because QEMU's emulator writes zeroes
where ``fxsave`` has the address and ignores it in ``fxrstor``. The lab shows that
programs with x87 code compute the same, boosted and not.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kernel.counted import built
from tests.patient import PATIENT
from ubypass.lab.run import capture

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_CALLS = 2000
_HEADERS = (
    *("linux/kernel.h", "linux/thread_info.h", "linux/types.h", "asm/cpufeature.h"),
    *("asm/fpu/api.h", "asm/processor.h"),
)


def test_fpu_holds_the_users_address_and_is_else_the_same(tmp_path: Path) -> None:
    if "GenuineIntel" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("elsewhere the module leaves x87 to user mode")
    for header in _HEADERS:
        path = tmp_path / header
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    shutil.copy(_ROOT / "kernel" / "x87.c", tmp_path)
    shutil.copy(_ROOT / "kernel" / "x87.h", tmp_path)
    shutil.copy(_HERE / "x87_user.c", tmp_path)
    shutil.copy(_HERE / "x87_user.h", tmp_path / "lookup.h")
    program = tmp_path / "x87_user"
    subprocess.run(
        ["gcc", "-O2", "-Wall", f"-I{tmp_path}", "-o", program, "x87_user.c"],
        cwd=tmp_path,
        check=True,
    )
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.stdout == "fip 7f1234567890, stack and control kept, masked 1 0\n"


# Emulated, a processor is AMD's unless it is told otherwise.
@pytest.mark.guest
@pytest.mark.parametrize("vendor", ["GenuineIntel", "AuthenticAMD"])
def test_computes_the_same(vendor: str) -> None:
    module = built()
    program = _ROOT / "build/tests/x87"
    program.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-O2", "-o", program, _HERE / "x87.c"], check=True)
    script = f"insmod $1 && python tests/kernel/x87.py $2 {_CALLS}"
    result = capture(
        ["sh", "-c", script, "sh", str(module), str(program)],
        replace(
            PATIENT,
            cpu=f"max,vendor={vendor}",
            environment={"UBYPASS_CHECKOUT": "1", "PYTHONPATH": str(_ROOT)},
        ),
    )
    output = result.stdout.decode()
    assert result.status == 0, output + result.stderr.decode()
    assert not result.log_problems
    usable = vendor == "GenuineIntel"
    assert f"usable {usable}\n" in output
    native, boosted = (
        line for line in output.splitlines() if line.startswith("status")
    )
    assert native.startswith(f"status 0; wrong 0 sum {_CALLS};")
    assert re.match(rf"status 0; wrong \d+ sum {_CALLS}; x87 {usable} ", boosted)
    if usable:
        runs = re.search(r"runs (\d+)", boosted)
        assert runs
        # Where work is pending, the region is not entered.
        assert int(runs[1]) >= 0.9 * _CALLS
    else:
        assert " wrong 0 " in boosted
