# SPDX-License-Identifier: GPL-2.0-only
"""Others that use a hooked handler: what they do holds, for every process."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.patient import PATIENT
from ubypass.lab import kernels
from ubypass.lab.run import capture
from ubypass.module.build import build_module

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_CALLS = 200_000  # as in others.py
_SCRIPT = """
mount -t tracefs none /sys/kernel/tracing 2>/dev/null
insmod $1 && exec python -m tests.kernel.others $2 $3
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    release = kernels.default_release()
    module = build_module(release, _ROOT / "kernel", _ROOT / "build/kernel" / release)
    others = build_module(
        release, _HERE / "others", _ROOT / "build/tests/others" / release
    )
    program = _ROOT / "build/tests/others/others"
    source = _HERE / "others.c"
    subprocess.run(["gcc", "-O2", "-Wall", "-o", program, source], check=True)
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", str(module), str(others), str(program)],
        replace(
            PATIENT,
            environment={
                "UBYPASS_CHECKOUT": "1",
                "PYTHONPATH": f"{_ROOT}:{_ROOT / 'src'}",
            },
        ),
    )
    output = result.stdout.decode()
    said = output + result.stderr.decode() + result.dmesg[-3000:]
    assert result.status == 0, said
    assert not result.log_problems
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    print(json.dumps(found, indent=1))
    return {**found, "log": result.dmesg}


_RIGHT = [_CALLS, 0, 0, 0]
_ENDED = [0, _CALLS, 0, 0]
_PATCHED = [0, 0, _CALLS, 0]


@pytest.mark.guest
def test_alone_calls_are_dispatched(seen: dict[str, Any]) -> None:
    assert seen["before"]["saw"] == [_RIGHT, _RIGHT]
    assert seen["before"]["dispatched"] > _CALLS // 2


@pytest.mark.guest
@pytest.mark.parametrize(("how", "result"), [("end", _ENDED), ("patch", _PATCHED)])
def test_what_others_make_of_a_call_holds(
    seen: dict[str, Any], how: str, result: list[int]
) -> None:
    assert seen[f"load {how}"] == 0
    # Attached or not.
    assert seen[how]["saw"] == [result, result]
    assert seen[how]["dispatched"] == 0


@pytest.mark.guest
def test_who_watches_a_handler_sees_every_call(seen: dict[str, Any]) -> None:
    assert seen["load watch"] == 0
    assert seen["watch"]["saw"] == [_RIGHT, _RIGHT]
    assert seen["counted watch"] >= 2 * _CALLS


@pytest.mark.guest
@pytest.mark.parametrize("how", ["end", "watch", "patch"])
def test_once_they_are_gone_calls_are_dispatched_again(
    seen: dict[str, Any], how: str
) -> None:
    assert seen[f"after {how}"]["saw"] == [_RIGHT, _RIGHT]
    assert seen[f"after {how}"]["dispatched"] > _CALLS // 2


@pytest.mark.guest
def test_a_handler_has_one_direct_call(seen: dict[str, Any]) -> None:
    # Who comes later is refused, as docs/limits.md says.
    assert seen["load direct"] == 16
    # Who was there before keeps his handler; the others are hooked.
    assert seen["load direct first"] == 0
    assert seen["direct first"]["saw"] == [_RIGHT, _RIGHT]
    assert seen["direct first"]["dispatched"] == 0
    assert seen["direct first, getpid"]["saw"] == [_RIGHT, _RIGHT]
    assert seen["direct first, getpid"]["dispatched"] > _CALLS // 2


@pytest.mark.guest
def test_a_patch_that_is_there_before_keeps_its_handler(seen: dict[str, Any]) -> None:
    assert seen["load patch first"] == 0
    assert seen["patch first"]["saw"] == [_PATCHED, _PATCHED]
    assert seen["patch first"]["dispatched"] == 0
    assert seen["patch first, getpid"]["dispatched"] > _CALLS // 2


@pytest.mark.guest
def test_the_log_says_which_handler_others_use(seen: dict[str, Any]) -> None:
    said = [line for line in seen["log"].splitlines() if " is also hooked by " in line]
    assert any(
        "__x64_sys_getppid is also hooked by ub_others_return+" in line for line in said
    )
    assert any("__x64_sys_getppid is also hooked by ftrace_" in line for line in said)
    assert not any("__x64_sys_getpid " in line for line in said)
