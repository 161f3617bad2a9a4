# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.translate import memo
from ubypass.translate.memo import remember


def test_the_value_is_returned_and_kept() -> None:
    table: dict[int, str] = {}
    assert remember(table, 1, "one") == "one"
    assert table == {1: "one"}


def test_a_full_table_is_emptied() -> None:
    most = getattr(memo, "_MOST", 1 << 15)
    table = dict.fromkeys(range(most), "")
    remember(table, -1, "new")
    assert table == {-1: "new"}


@pytest.mark.parametrize("size", [0, 1, 100])
def test_others_stay_in_one_that_is_not_full(size: int) -> None:
    table = dict.fromkeys(range(size), "")
    remember(table, -1, "new")
    assert len(table) == size + 1
