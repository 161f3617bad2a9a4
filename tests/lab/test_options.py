# SPDX-License-Identifier: GPL-2.0-only
from ubypass.lab import cpu
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


def test_a_profile_becomes_parameters_and_the_caller_has_the_last_word() -> None:
    assert LabOptions().parameters == ()
    assert LabOptions(pti=True).parameters == ("pti=on",)
    options = LabOptions(pti=False, mitigations="off", append=("pti=auto",))
    assert options.parameters == ("nopti", "mitigations=off", "pti=auto")


def test_the_cpu_is_what_was_asked_for() -> None:
    assert LabOptions().cpu_model == "max"
    assert LabOptions(cpu="EPYC-Milan", icount=True).cpu_model == "EPYC-Milan"


def test_where_instructions_count_copied_bytes_do_not() -> None:
    """Unless fast strings are what was asked for."""
    assert LabOptions(icount=True).cpu_model == "max,-erms,-fsrm"
    assert LabOptions(icount=True, cpu="max").cpu_model == "max"
    cpu.require(LabOptions(icount=True).cpu_model)
