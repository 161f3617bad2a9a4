# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.engine.family import Family


def test_children_are_adopted_once_they_have_settled() -> None:
    adopted: list[tuple[int, int]] = []
    family = Family(lambda *who: adopted.append(who), settle=0.1)
    assert family.due is None
    family.born([7, 8], 1, 10.0)
    assert family.due == 10.1
    family.tick(10.05)
    assert adopted == []
    family.tick(10.1)
    assert adopted == [(7, 1), (8, 1)]
    assert family.due is None


def test_one_that_becomes_another_program_is_waited_for_again() -> None:
    adopted: list[tuple[int, int]] = []
    family = Family(lambda *who: adopted.append(who), settle=0.1)
    family.born([7], 1, 10.0)
    family.born([7], 2, 10.09)
    family.tick(10.15)
    assert adopted == []
    family.tick(10.2)
    assert adopted == [(7, 2)]


def test_a_storm_of_forks_is_not_remembered_for_ever() -> None:
    adopted: list[tuple[int, int]] = []
    family = Family(lambda *who: adopted.append(who), waiting=10)
    family.born(range(1000), 1, 0.0)
    family.tick(1.0)
    assert len(adopted) == 10
