# SPDX-License-Identifier: GPL-2.0-only
"""The module alone, with a translation written by hand, in the lab."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.kernel.counted import built
from tests.kernel.long import TURNS
from tests.kernel.loop import run_loop

_ROOT = Path(__file__).parent.parent.parent
_CALLS = 200_000
_GAPS = 200
#: Of each call; fewer than the runs without a dispatch after which an entry is parked.
_EACH = 40
_PAIRS = 2 * _EACH

# Handlers are unhooked a moment after the last detach; until then rmmod is refused.
_SCRIPT = f"""
leave() {{
    for try in $(seq 1000); do rmmod ub 2>/dev/null && return; sleep 0.1; done
    rmmod ub
}}
insmod $1 || exit 1
for round in 1 2 3; do
    python tests/kernel/handmade.py $2 {_CALLS} || exit 1
done
python tests/kernel/long.py $3 {_GAPS} || exit 1
python tests/kernel/pairs.py $4 {_PAIRS} || exit 1
for try in $(seq 1000); do
    grep -q "arena_used 0" /sys/kernel/debug/ub/stats && break
    sleep 0.1
done
cat /sys/kernel/debug/ub/stats
leave && insmod $1 && python tests/kernel/handmade.py $2 {_CALLS} && leave
"""


@pytest.mark.guest
def test_handmade_loop_stays_in_the_kernel(tmp_path: Path) -> None:
    module = built()
    result = run_loop(_SCRIPT, module)
    output = result.stdout.decode()
    assert result.status == 0, output + result.stderr.decode()
    assert not result.log_problems
    lines = [line for line in output.splitlines() if line.startswith("status")]
    assert len(lines) == 4
    for line in lines:
        # Same registers as natively, and rcx as SYSCALL leaves it.
        assert "status 0; left 0 r8 1111 r12 2222 rcx resume" in line
        assert " refused 4 " in line
        # Its region, and not none before the process has ended.
        assert " listed True " in line
        dispatched = re.search(r"dispatched (\d+)", line)
        assert dispatched
        assert int(dispatched[1]) >= 0.99 * _CALLS
    lines = output.splitlines()
    long, pairs = (json.loads(line) for line in lines if line.startswith("{"))
    assert long["said"] == f"left 0 turns {_GAPS * TURNS}\n"
    # The first segment uses up the small budget. The large one of the others is enough
    # for the gap, so the timer has ended them; it may be late in the emulator.
    assert long["ended"] >= _GAPS / 4
    # Two calls return to one address, where each has its entry, or one of them only.
    # Some runs are left out: their gaps are timed natively.
    assert pairs["both"]["refused"] == pairs["one"]["refused"] == [True, True]
    assert all(_EACH / 2 < taken <= _EACH for taken in pairs["both"]["taken"])
    assert _EACH / 2 < pairs["one"]["taken"][0] <= _EACH
    assert pairs["one"]["taken"][1] == 0
    assert pairs["both"]["sites"] == [39, 110]
    # Regions, and everything else of a client, go away with it.
    assert "attached 0\narena_used 0\n" in output
