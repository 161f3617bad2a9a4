# SPDX-License-Identifier: GPL-2.0-only
"""Nothing is left of a thousand attachments."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest
from tests.guest.cycles import CYCLES, ENDED


@pytest.mark.guest("cycles")
def test_nothing_leaks_when_processes_are_attached_and_detached(guest: Guest) -> None:
    result = guest.result("cycles")
    before, after = result["before"], result["after"]
    print(before, after, sep="\n")
    # No attachment, no region, no byte of the arena, no reference to the module.
    assert before["rest"]
    assert after["rest"]
    # One object for each process that ended would be as many as these. What is left in
    # a cache varies by ten.
    assert "kmalloc-64" in before["objects"]
    for name, count in after["objects"].items():
        assert count - before["objects"][name] < ENDED / 2, name
    grown = {
        name: value - before["memory"][name] for name, value in after["memory"].items()
    }
    # kB; an attachment alone has tens of them.
    assert grown["MemAvailable"] > -8 * CYCLES
    assert grown["SUnreclaim"] < 2 * CYCLES
    assert grown["VmallocUsed"] < CYCLES
    assert grown["Percpu"] < CYCLES / 4
