# SPDX-License-Identifier: GPL-2.0-only
"""A kernel without one of the handlers is served all the same."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.kernel.loop import run_loop
from ubypass.lab import kernels
from ubypass.module.build import build_module

_ROOT = Path(__file__).parent.parent.parent
_CALLS = 50_000

_SCRIPT = f"insmod $1 && exec python tests/kernel/handmade.py $2 {_CALLS}"


@pytest.mark.guest
def test_a_handler_that_is_missing_is_left_out(tmp_path: Path) -> None:
    release = kernels.default_release()
    source = tmp_path / "kernel"
    shutil.copytree(_ROOT / "kernel", source)
    with (source / "include/uapi/ub_syscalls.h").open("a") as file:
        file.write("UB_SYSCALL(499, no_such_call, 0)\n")
    module = build_module(release, source, _ROOT / "build/tests/missing" / release)
    result = run_loop(_SCRIPT, module)
    output = result.stdout.decode()
    assert result.exit_status == 0, output + result.stderr.decode()
    said = "ub: this kernel has no __x64_sys_no_such_call: its calls"
    assert result.dmesg.count(said) == 1
    assert result.dmesg.count("ub: this kernel has no ") == 1
    dispatched = re.search(r"dispatched (\d+)", output)
    assert dispatched
    assert int(dispatched[1]) >= 0.99 * _CALLS
