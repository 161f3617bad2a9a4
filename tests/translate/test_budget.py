# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from collections.abc import Callable

from tests.translate.graphs import drawn
from ubypass.region.graph import End, Region
from ubypass.translate.budget import (
    MOST_OWED,
    PATIENCE,
    charges,
    owed,
    path_charges,
)


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


def _unpaid(sizes: dict[int, int], live: int = 0) -> Callable[[int, int], int]:
    """Blocks in which the same flags are live everywhere."""

    def unpaid(start: int, before: int) -> int:
        size = sizes[start]
        return path_charges([1] * size, [live] * size, before)[1]

    return unpaid


def test_what_a_path_owes() -> None:
    sizes = {0: 100, 1: 50, 2: 60, 3: 10, 4: 500, 5: 3}
    successors = {0: (1, 2), 1: (3,), 2: (3,), 3: (4,), 4: (5,), 5: ()}
    # The longest path counts; one that charges owes what is behind the charge.
    found = owed(sizes, successors, (), _unpaid(sizes))
    behind = (170 + 500) % MOST_OWED
    assert found == {0: 0, 1: 100, 2: 100, 3: 160, 4: 170, 5: behind}
    # A cycle is paid at its head.
    sizes = {0: 10, 1: 20}
    found = owed(sizes, {0: (1,), 1: (0,)}, {0}, _unpaid(sizes))
    assert found == {0: 30, 1: 10}


def test_a_path_of_small_blocks_charges_once_in_a_while() -> None:
    sizes = dict.fromkeys(range(200), 5)
    following = {n: (n + 1,) for n in range(199)} | {199: ()}
    found = owed(sizes, following, (), _unpaid(sizes))
    amounts = [
        amount
        for n in sizes
        for amount in path_charges([1] * 5, [0] * 5, found[n])[0].values()
    ]
    assert len(amounts) == 1000 // MOST_OWED
    assert all(MOST_OWED <= amount < MOST_OWED + 5 for amount in amounts)


def test_a_charge_waits_until_flags_are_dead() -> None:
    size = MOST_OWED + 3 * PATIENCE
    live = [1] * size
    assert path_charges([1] * MOST_OWED, live, 0) == ({}, MOST_OWED)
    live[MOST_OWED + 5] = 0
    charged, rest = path_charges([1] * size, live, 0)
    assert charged == {MOST_OWED + 5: MOST_OWED + 5}
    assert rest == size - MOST_OWED - 5
    # But not for ever: another block would have to pay.
    charged, _ = path_charges([1] * size, [1] * size, 0)
    assert charged == {MOST_OWED + PATIENCE: MOST_OWED + PATIENCE}
    sizes = dict.fromkeys(range(7), 50)
    following = {**{n: (n + 1,) for n in range(6)}, 6: ()}
    chain = owed(sizes, following, (), _unpaid(sizes, live=1))
    assert [chain[n] for n in range(7)] == [0, 50, 100, 150, 200, 250, 44]
