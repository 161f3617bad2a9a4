# SPDX-License-Identifier: GPL-2.0-only
"""Nothing is left of a thousand attachments."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest
from tests.guest.cycles import CYCLES, ENDED


@pytest.mark.guest("cycles")
def test_nothing_leaks_when_processes_are_attached_and_detached(guest: Guest) -> None:
    found = guest.result("cycles")
    print(*found, sep="\n")
    before, amid, after = found
    # No attachment, no region, no byte of the arena, no reference to the module.
    assert all(each["rest"] for each in found)
    # What is left in a cache varies by tens of objects from one look to another. A leak
    # of one object for each process that ended grows by half of these in both halves.
    assert "kmalloc-64" in before["objects"]
    for name, count in amid["objects"].items():
        grown = count - before["objects"][name], after["objects"][name] - count
        assert min(grown) < ENDED / 4, (name, grown)
    memory = {
        name: value - before["memory"][name] for name, value in after["memory"].items()
    }
    # kB; an attachment alone has tens of them.
    assert memory["MemAvailable"] > -8 * CYCLES
    assert memory["SUnreclaim"] < 2 * CYCLES
    assert memory["VmallocUsed"] < CYCLES
    assert memory["Percpu"] < CYCLES / 4
