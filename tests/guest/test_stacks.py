# SPDX-License-Identifier: GPL-2.0-only
"""Functions that do not return to their callers are boosted like others."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest, case
from tests.guest.grown import SHARE


@pytest.mark.guest
@pytest.mark.parametrize(
    "name", [case("stack-switch"), case("pushed-return"), case("get-pc")]
)
def test_calls_are_dispatched_across_it(guest: Guest, name: str) -> None:
    result = guest.result(name)
    print(f"{name}: {result['share']:.1%} of the calls are dispatched")
    assert result["native"]["output"] == ["both 1 wrong 0"]
    assert result["native"]["status"] == 0
    assert result["boosted"] == result["native"]
    assert result["share"] >= SHARE
