# SPDX-License-Identifier: GPL-2.0-only
"""``ub selftest`` on a kernel with the module."""

from __future__ import annotations

import json

import pytest

from tests.guest.conftest import Guest


@pytest.mark.guest("selftest")
def test_it_boosts_compares_and_says_so(guest: Guest) -> None:
    done = guest.result("selftest")
    assert done["status"] == 0, done
    found = json.loads("\n".join(done["stdout"]))
    assert found["ok"]
    assert found["dispatched"] >= 100_000
