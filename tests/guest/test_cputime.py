# SPDX-License-Identifier: GPL-2.0-only
"""What measures user and system time together does so of a boosted program, too."""

from __future__ import annotations

import json

import pytest

from tests.guest.counted import counted

#: Of all calls meanwhile, those dispatched: getrusage and the like are not.
_SHARE = 0.75
#: In ns, as ``programs/cputime.c`` has it.
_PERIODS = 30 * 10_000_000
#: How late the last of them, or a limit, may be: two of the kernel's clock ticks.
_LATE = 2 * 4_000_000
#: Of the ticks before main(), which may be taken for a limit that comes early, nobody
#: knows the number: at most these.
_ESTIMATED = 4 * 4_000_000
#: How far the count of ticks may be from the time that was used.
_MILLIONTHS = 20_000
#: Both parts of the sum are rounded down to microseconds.
_ROUNDED = 2000
#: Between a look at the one clock and at the other, both being system calls.
_APART = 50_000


@pytest.mark.guest
def test_timers_limits_and_sums_are_as_natively() -> None:
    found = json.loads(counted("cputime").splitlines()[-1])
    assert found["share"] >= _SHARE
    for run in ("native", "boosted"):
        figures = found[run]
        for timer in ("prof", "process", "thread"):
            late = figures[timer] - _PERIODS
            assert -_LATE <= late <= _LATE, (run, timer, late)
        assert abs(figures["apart"]) <= _MILLIONTHS, (run, figures)
        assert -_ESTIMATED <= figures["limit"] <= _LATE, (run, figures)
        assert abs(figures["counter"]) <= _APART, (run, figures)
        assert 0 <= figures["usage"] <= _ROUNDED, (run, figures)
