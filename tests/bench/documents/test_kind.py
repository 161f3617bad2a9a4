# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.bench.documents.kind import grouped, known
from ubypass.bench.replay import Replayed


def test_keys_of_newer_versions_are_left_out() -> None:
    data = {"name": "a", "builds": 1, "colour": "red"}
    assert known(Replayed, data) == {"name": "a", "builds": 1}


def test_groups_keep_the_order_of_items() -> None:
    found = grouped(["b1", "a1", "b2"], lambda item: item[0])
    assert list(found.items()) == [("b", ["b1", "b2"]), ("a", ["a1"])]
