# SPDX-License-Identifier: GPL-2.0-only
"""The arena can be filled: the table of faults has room for its code."""

from __future__ import annotations

import json

import pytest

from tests.kernel.counted import built
from tests.kernel.loop import run_loop

_ARENA = 2 << 20
_REGION = 220_000


@pytest.mark.guest
def test_the_arena_is_full_before_the_table_of_faults_is() -> None:
    script = "insmod $1 && exec python -m tests.kernel.full $2"
    result = run_loop(script, built())
    output = result.stdout.decode()
    assert result.status == 0, output + result.stderr.decode()
    assert not result.log_problems
    said = json.loads(output.splitlines()[-1])
    assert "No space left on device" in said["why"]
    # It begins at a random place, so that one region may lie across its end.
    assert said["bytes"] > _ARENA - 3 * _REGION, said
    # The table is sorted still, and the program runs as natively.
    assert said["status"] == 0
    assert "left 0 r8 1111 r12 2222 rcx resume" in said["said"]
    assert said["dispatched"] > 0
