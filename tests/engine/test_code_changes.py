# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.engine.code_changes import CodeChanges


def test_pauses_grow_until_the_code_counts_as_unstable() -> None:
    changes = CodeChanges(limit=3, pause=0.2, reset_after=60.0)
    assert [changes.record(100.0 + n) for n in range(4)] == [0.2, 0.4, 0.8, None]


def test_a_change_now_and_then_does_not_count() -> None:
    changes = CodeChanges(limit=2, pause=0.2, reset_after=60.0)
    assert [changes.record(61.0 * n) for n in range(1, 20)] == [0.2] * 19
