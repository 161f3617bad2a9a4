# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.engine.children import Children


def test_children_are_attached_once_they_have_settled() -> None:
    attached: list[tuple[int, int]] = []
    children = Children(lambda *who: attached.append(who), settle=0.1)
    assert children.due is None
    children.add([7, 8], 1, 10.0)
    assert children.due == 10.1
    children.tick(10.05)
    assert attached == []
    children.tick(10.1)
    assert attached == [(7, 1), (8, 1)]
    assert children.due is None


def test_one_that_becomes_another_program_is_waited_for_again() -> None:
    attached: list[tuple[int, int]] = []
    children = Children(lambda *who: attached.append(who), settle=0.1)
    children.add([7], 1, 10.0)
    children.add([7], 2, 10.09)
    children.tick(10.15)
    assert attached == []
    children.tick(10.2)
    assert attached == [(7, 2)]


def test_a_storm_of_forks_is_not_remembered_for_ever() -> None:
    attached: list[tuple[int, int]] = []
    children = Children(lambda *who: attached.append(who), pending=10)
    children.add(range(1000), 1, 0.0)
    children.tick(1.0)
    assert len(attached) == 10
