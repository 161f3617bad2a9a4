# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.translate.cached_address import (
    CONSTANT,
    THREAD,
    address_sum,
    depends,
    distance_behind,
)


def test_what_is_cached_serves_what_lies_behind_it() -> None:
    cached = address_sum(3, 2, 8, -16)
    assert distance_behind(cached, address_sum(3, 2, 8, -16)) == 0
    assert distance_behind(cached, address_sum(3, 2, 8, 16)) == 32
    assert distance_behind(cached, address_sum(3, 2, 8, -17)) == -1
    for other in ((3, 2, 4, 0), (2, 3, 8, 0), (3, -1, 8, 0), (0, 2, 8, 0)):
        assert distance_behind(cached, address_sum(*other)) == -1
    assert distance_behind((CONSTANT, cached[1]), cached) == -1


def test_what_is_cached_depends_on_its_registers() -> None:
    cached = address_sum(3, 2, 8, -16)
    assert [user for user in range(16) if depends(cached, user)] == [2, 3]
    assert [user for user in range(16) if depends(address_sum(0, -1, 1, 0), user)] == [
        0
    ]
    assert [user for user in range(16) if depends((THREAD, 5), user)] == [5]
    assert not any(depends((CONSTANT, 5), user) for user in range(16))
