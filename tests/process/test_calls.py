# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
from pathlib import Path

import pytest

from ubypass.abi import SYSCALL_ARGS
from ubypass.process.calls import call_name

_HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")


def test_names() -> None:
    assert call_name(0) == "read"
    assert call_name(110) == "getppid"
    assert call_name(439) == "faccessat2"
    assert call_name(1000) == "call 1000"


def test_all_that_are_dispatched_have_one() -> None:
    assert not [nr for nr in SYSCALL_ARGS if call_name(nr).startswith("call ")]


def test_as_the_header_says() -> None:
    if not _HEADER.exists():
        pytest.skip("no header of the C library")
    rows = re.findall(r"#define __NR_(\w+) (\d+)", _HEADER.read_text())
    assert rows
    known = [(name, int(nr)) for name, nr in rows if call_name(int(nr)) != name]
    assert all(call_name(nr).startswith("call ") for _, nr in known)
