# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.guest.conftest import Guest


@pytest.mark.guest("asleep")
def test_code_stays_until_the_last_thread_has_left(guest: Guest) -> None:
    result = guest.result("asleep")
    assert result["slept"]
    (before,) = result["before"]
    assert (before["tasks"], before["dead"]) == (1, 0)
    assert before["dispatched"] >= 2000
    (meanwhile,) = result["meanwhile"]
    assert (meanwhile["tasks"], meanwhile["dead"]) == (1, 1)
    assert result["ended"]
    assert result["freed"]
    assert result["outcome"] == {"status": 0, "output": ["end 0 wrong 0"]}
