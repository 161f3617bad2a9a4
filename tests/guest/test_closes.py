# SPDX-License-Identifier: GPL-2.0-only
"""Calls that complete in task work: the run goes on after it."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest, case
from tests.guest.grown import SHARE

# open, flock, close
_CALLS = {257, 73, 3}


@pytest.mark.guest
@pytest.mark.parametrize("name", [case("closes"), case("closes-vector")])
def test_files_are_released_and_runs_go_on(guest: Guest, name: str) -> None:
    result = guest.result(name)
    print(f"{name}: {result['share']:.1%} of the calls are dispatched")
    assert result["native"]["status"] == 0
    assert result["boosted"] == result["native"]
    assert result["native"]["output"] == ["wrong 0"]
    assert result["grown"]
    assert result["share"] >= SHARE
    assert set(result["numbers"]) >= _CALLS
