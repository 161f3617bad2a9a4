# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json

import pytest

from tests.ibt.__main__ import judge
from tests.ibt.inside import KINDS

_BOOT = "<6>[    0.024658] CET detected: Indirect Branch Tracking enabled\n"
_LOOP = "status 0; left 0 r8 1111 r12 2222 rcx resume; dispatched 19992 native 9\n"
_LINES = "".join(
    json.dumps({"kind": kind, "said": "wrong 0", "dispatched": 19_900 * len(numbers)})
    + "\n"
    for kind, numbers in KINDS.items()
)
_LOG = "<6>[    1.5] ub: self-test passed: calls, a fault and exits are exact\n"
_GOOD = f"{_BOOT}=== command\n{_LOOP}{_LINES}=== status 0\n{_LOG}=== done\n"


def test_good() -> None:
    assert judge(_GOOD) == []
    # What the kernel has against the emulator says nothing of the module.
    assert judge(f"<4>[ 0.1] unchecked MSR access error\n{_GOOD}") == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_BOOT, ""),
        (_LOG, ""),
        (_LOG, f"{_LOG}<4>[ 1.6] traps: Missing ENDBR: __do_sys_getppid+0x4\n"),
        (_LOG, f"{_LOG}<2>[ 1.6] kernel BUG at arch/x86/kernel/cet.c:132!\n"),
        ("=== status 0", "=== status 1"),
        ("dispatched 19992", "dispatched 11"),
        ("r12 2222", "r12 2223"),
        ('"kind": "close"', '"kind": "none"'),
        ("wrong 0", "wrong 1"),
        ('"dispatched": 19900', '"dispatched": 0'),
    ],
)
def test_not_right(before: str, after: str) -> None:
    assert judge(_GOOD.replace(before, after, 1))
