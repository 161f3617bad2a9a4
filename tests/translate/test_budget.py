# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.translate.graphs import drawn
from ubypass.region.graph import End, Region
from ubypass.translate.budget import MOST_OWED, PATIENCE, charges, owed


def _sizes(region: Region) -> dict[int, int]:
    return {s: len(block.instructions) for s, block in region.blocks.items()}


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
    found = charges(_sizes(region), [0, 4], successors)
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
    assert set(charges(_sizes(region), [0, 1, 2], successors)) == {3}


def test_what_a_path_owes() -> None:
    sizes = {0: 100, 1: 50, 2: 60, 3: 10, 4: 500, 5: 3}
    successors = {0: (1, 2), 1: (3,), 2: (3,), 3: (4,), 4: (5,), 5: ()}
    # The longest path counts; one that charges owes what is behind the charge, at most.
    found = owed(sizes, successors, ())
    assert found == {0: 0, 1: 100, 2: 100, 3: 160, 4: 170, 5: MOST_OWED + PATIENCE - 1}
    # A block may wait with its charge while flags are in use: the debt goes on.
    following = {**{n: (n + 1,) for n in range(6)}, 6: ()}
    chain = owed(dict.fromkeys(range(7), 50), following, ())
    assert [chain[n] for n in range(6)] == [0, 50, 100, 150, 200, 250]
    assert chain[6] < MOST_OWED + PATIENCE
    # A cycle is paid at its head.
    assert owed({0: 10, 1: 20}, {0: (1,), 1: (0,)}, {0}) == {0: 30, 1: 10}
