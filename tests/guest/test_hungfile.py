# SPDX-License-Identifier: GPL-2.0-only
"""A boosted program whose file is on a file system without an answer."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest

pytestmark = pytest.mark.guest("hung-file")


def test_the_programs_wait_as_natively(guest: Guest) -> None:
    result = guest.result("hung-file")
    ended = {"status": 0, "output": ["wrong 0 acted 1"]}
    assert result["native"] == {
        **{key: [True, True] for key in ("stuck", "maps", "acted", "ended")},
        "outcome": [ended, ended],
    }
    assert result["stuck"] == [True, True]
    assert result["outcome"] == result["native"]


def test_the_engine_serves_others_and_answers(guest: Guest) -> None:
    result = guest.result("hung-file")
    assert result["boosted"]
    assert result["goes_on"]
    assert [each["status"] for each in result["asked"]] == [0, 0]
    assert result["other"]["status"] == 0
    assert "wrong 0" in result["other"]["output"][0]


def test_the_module_does_not_wait_for_code(guest: Guest) -> None:
    assert guest.result("hung-file")["missing"] is True


def test_nobody_waits_for_a_memory_map_that_is_kept_locked(guest: Guest) -> None:
    result = guest.result("hung-file")["locked"]
    load, attach, look = result["told"]
    assert "cannot load a region: the memory map of the program is locked" in load
    assert "its memory map is locked" in attach
    # Newer kernels show the map without that lock.
    assert look == "" or "cannot be read" in look
    assert result["goes_on"]


def test_the_engine_leaves_and_the_module_says_who_keeps_it(guest: Guest) -> None:
    result = guest.result("hung-file")
    assert result["left"]
    assert result["detached"]
    # The other thread that waits is in a page fault, outside of the module.
    inside = f"in use: {result['pid']} (file) is in pread64"
    assert result["unload"]["status"] == 1
    said = result["unload"]["stderr"]
    assert said[-2].endswith(f"cannot unload the module: {inside}")
