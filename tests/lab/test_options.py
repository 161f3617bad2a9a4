# SPDX-License-Identifier: GPL-2.0-only
from ubypass.lab.options import STATUS_LOG_PROBLEM, LabOptions, LabResult


def _result(status: int, *problems: str) -> LabResult:
    return LabResult(status, b"", b"", problems, "", 1.0)


def test_counting_instructions_allows_one_cpu_only() -> None:
    assert LabOptions().cpu_count == 2
    assert LabOptions(cpus=4).cpu_count == 4
    assert LabOptions(cpus=4, icount=True).cpu_count == 1


def test_kernel_complaints_fail_a_run_whatever_the_command_says() -> None:
    assert _result(0).exit_status == 0
    assert _result(3).exit_status == 3
    assert _result(0, "BUG: x").exit_status == STATUS_LOG_PROBLEM
