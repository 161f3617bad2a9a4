# SPDX-License-Identifier: GPL-2.0-only
"""One instruction that makes several calls: boosted for each of them."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest, case
from tests.guest.grown import SHARE

# lseek, read, getppid
_CALLS = {8, 0, 110}


@pytest.mark.guest
@pytest.mark.parametrize("name", [case("one-site"), case("one-site-musl")])
def test_all_its_calls_are_dispatched(guest: Guest, name: str) -> None:
    result = guest.result(name)
    print(f"{name}: {result['share']:.1%} of the calls are dispatched")
    assert result["native"]["status"] == 0
    assert result["boosted"] == result["native"]
    assert result["native"]["output"][0].endswith(" wrong 0")
    assert result["grown"]
    assert result["share"] >= SHARE
    assert set(result["numbers"]) >= _CALLS
