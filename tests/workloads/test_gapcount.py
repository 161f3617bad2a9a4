# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ubypass.bench.workloads import build_program, build_workload

# Between the return of a call and the next syscall instruction: mov, mov, dec, jnz,
# then COUNT laps of two, and the mov that sets the number.
_PROGRAM = """
.globl _start
_start:	mov $400, %ebx
1:	mov ${laps}, %ecx
2:	dec %ecx
	jnz 2b
	mov $110, %eax
	syscall
	dec %ebx
	jnz 1b
	mov $60, %eax
	xor %edi, %edi
	syscall
"""


@pytest.mark.parametrize("laps", [1, 5, 100])
def test_counts_a_known_gap(tmp_path: Path, laps: int) -> None:
    source = tmp_path / "gap.S"
    source.write_text(_PROGRAM.replace("{laps}", str(laps)))
    program = build_program(source, tmp_path / "gap", "-nostdlib", "-static")
    out = subprocess.run(
        [build_workload("gapcount"), "110", "3", "4", "--", program],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # dec, jnz, mov laps, the laps, mov number.
    assert out.split() == [str(2 + 1 + 2 * laps + 1)] * 4


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["110", "1", "1", "--", "/bin/true"], 3, "ended before"),
        (["110", "1", "1", "--", "/nonexistent"], 1, "No such file"),
        (["110", "1"], 2, "usage"),
        (["x", "1", "1", "--", "/bin/true"], 2, "number"),
    ],
)
def test_bad_input(arguments: list[str], status: int, says: str) -> None:
    done = subprocess.run(
        [build_workload("gapcount"), *arguments], capture_output=True, text=True
    )
    assert done.returncode == status
    assert says in done.stderr
    assert done.stdout == ""
