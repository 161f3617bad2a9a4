# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.translate.graphs import drawn
from ubypass.region.graph import End
from ubypass.translate.budget import charges


def test_every_cycle_is_charged() -> None:
    region = drawn(
        {
            0: (End.BRANCH, (1, 2)),
            1: (End.JUMP, (0,)),
            2: (End.BRANCH, (2, 3)),
            3: (End.JUMP, (0,)),
            4: (End.SYSCALL, (4,)),
        }
    )

    successors = {s: b.targets for s, b in region.blocks.items() if s != 4} | {4: ()}
    found = charges(region, [0, 4], successors)
    assert set(found) == {0, 2}
    assert all(amount >= 1 for amount in found.values())


def test_no_cycle_pays_twice_without_need() -> None:
    region = drawn(
        {
            0: (End.BRANCH, (1, 2)),
            # Into the loop at either end; all paths around it go through 3.
            1: (End.JUMP, (3,)),
            2: (End.BRANCH, (3, 1)),
            3: (End.BRANCH, (2, 1)),
        }
    )
    successors = {s: b.targets for s, b in region.blocks.items()}
    assert set(charges(region, [0, 1, 2], successors)) == {3}
