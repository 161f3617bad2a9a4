# SPDX-License-Identifier: GPL-2.0-only
"""Every system call of the list is made from a region, and does what it does else."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from tests.guest.conftest import Guest
from tests.guest.everycall import DISPATCHED, ENDED
from tests.places import ROOT
from ubypass import abi

_HEADER = ROOT / "kernel" / "include" / "uapi" / "ub_syscalls.h"
_TABLE = Path(__file__).parent / "programs" / "everycall.h"

#: Whose arguments are no addresses, so that none of them can fault.
_NO_ADDRESS = {
    *("close", "lseek", "sched_yield", "dup", "shutdown", "flock", "fsync"),
    *("fdatasync", "getpid", "getuid", "getgid", "geteuid", "getegid", "getppid"),
    "gettid",
}
#: Whose only argument is an address, so that nothing else can be wrong with it.
_ADDRESS_ONLY = {"time", "gettimeofday"}
#: Which sleep each time, so that each ends the run behind it.
_SLEEP = {("nanosleep", "good"), ("clock_nanosleep", "good"), ("futex", "etimedout")}


def _numbers() -> dict[str, int]:
    found = re.findall(r"^UB_SYSCALL\((\d+),\s*(\w+),", _HEADER.read_text(), re.M)
    return {name: int(number) for number, name in found}


def _rows() -> list[tuple[str, str]]:
    return re.findall(r"^\tROW\((\w+), (\w+),", _TABLE.read_text(), re.M)


def test_the_table_has_each_kind_of_each_call() -> None:
    numbers = _numbers()
    rows = _rows()
    assert {numbers[name] for name, _ in rows} == set(abi.SYSCALL_ARGS)
    for name, number in numbers.items():
        kinds = {kind for each, kind in rows if each == name}
        faults = kinds & {"efault"}
        errors = kinds - {"good", "efault"}
        assert "good" in kinds, name
        assert bool(faults) == (name not in _NO_ADDRESS), name
        if abi.SYSCALL_ARGS[number] and name not in _ADDRESS_ONLY:
            assert errors, name


@pytest.mark.guest("every-call")
def test_each_gives_what_it_gives_natively(guest: Guest) -> None:
    result = guest.result("every-call")
    *lines, wrong = result["native"]["output"]
    assert result["native"]["status"] == 0
    assert wrong == "wrong 0"
    assert [tuple(line.split()[:2]) for line in lines] == _rows()
    for line in lines:
        _, kind, value, _, _, odd = line.split()
        assert odd == "0", line
        if kind == "good":
            assert int(value) >= 0, line
        else:
            assert int(value) == -getattr(errno, kind.upper()), line
    assert result["boosted"] == result["native"]


@pytest.mark.guest("every-call")
def test_each_was_dispatched(guest: Guest) -> None:
    """Errors end no run, so there is no kind of which this is not so."""
    result = guest.result("every-call")
    assert set(result["numbers"]) == set(abi.SYSCALL_ARGS)
    for row, look in zip(_rows(), result["looks"], strict=True):
        if row in _SLEEP:
            assert look["ended"] >= ENDED, (row, look)
        else:
            assert look["share"] >= DISPATCHED, (row, look)
    # A call that the region does not make itself would end its run so.
    (summary,) = result["summaries"]
    assert summary["exits"].get("syscall", 0) == 0
