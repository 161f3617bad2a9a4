# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.calibrate.running import executed, run
from ubypass.calibrate import work
from ubypass.calibrate.loops import Body

_ALL = [
    work.nothing(),
    work.additions(),
    work.calls(),
    *(
        make
        for one in (False, True)
        for make in (
            work.own_return(predicted=one),
            work.chase(clamped=one),
            work.loads(clamped=one),
            work.adds(locked=one),
        )
    ),
]


@pytest.mark.parametrize("body", _ALL, ids=lambda body: body.name)
def test_each_comes_to_its_end(body: Body) -> None:
    run(body, 1000)


def test_names_differ() -> None:
    assert len({body.name for body in _ALL}) == len(_ALL)


def test_additions_wait_for_each_other() -> None:
    assert executed(work.nothing()).total() == 0
    assert executed(work.additions()) == {"add rax,rcx": work.ADDITIONS}


def test_calls_return() -> None:
    found = executed(work.calls())
    assert found["ret"] == work.CALLS
    assert found.total() == 2 * work.CALLS


@pytest.mark.parametrize("make", [work.chase, work.loads])
def test_clamps_are_all_that_differs(make: Callable[..., Body]) -> None:
    plain, clamped = executed(make(clamped=False)), executed(make(clamped=True))
    more = clamped - plain
    assert not plain - clamped or all("jmp" in text for text in plain - clamped)
    kinds = {"cmp": 0, "ja": 0, "cmovae": 0}
    for text, count in more.items():
        word = text.split()[0]
        if word == "jmp":
            continue
        kinds[word] += count
        assert word == "ja" or text.endswith(",[rsp+8]")
    assert set(kinds.values()) == {work.LOADS}


def test_a_chase_follows_what_it_loads() -> None:
    assert executed(work.chase(clamped=False))["mov r15,[r15]"] == work.LOADS
    found = executed(work.loads(clamped=False))
    assert sum(n for text, n in found.items() if text.startswith("mov rax,[r14")) == (
        work.LOADS
    )


def test_locks_are_all_that_differs() -> None:
    plain, locked = executed(work.adds(locked=False)), executed(work.adds(locked=True))
    assert locked == {f"lock {text}": n for text, n in plain.items()}
    assert len(plain) == plain.total() == work.ADDS
