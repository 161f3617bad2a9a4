# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.engine.blocks import Blocks

_IP = 0x1002


def test_nothing_is_blocked_at_first() -> None:
    blocks = Blocks()
    assert blocks.get(_IP) is None
    assert not blocks.review(_IP, 300, 1e9)
    assert blocks.muted() == blocks.stops() == set()


def test_a_block_ends_after_a_while_and_each_lasts_longer() -> None:
    blocks = Blocks(patience=8, growth=8, times=3)
    blocks.add(_IP, "loses", 300, 0.0, stop=False)
    assert blocks.muted() == {_IP}
    assert blocks.stops() == set()
    assert not blocks.review(_IP, 300, 7.9)
    assert blocks.review(_IP, 300, 8.0)
    assert blocks.muted() == set()
    blocks.add(_IP, "loses", 300, 8.0, stop=False)
    assert not blocks.review(_IP, 300, 71.0)
    assert blocks.review(_IP, 300, 72.0)


def test_a_gap_that_was_found_slower_waits_for_another_one() -> None:
    blocks = Blocks(change=2.0)
    blocks.add(_IP, "slow", 300, 0.0, stop=True)
    assert blocks.stops() == {_IP}
    assert not blocks.review(_IP, 300, 1e9)
    assert blocks.review(_IP, 140, 1e9)


def test_after_some_times_only_another_gap_helps() -> None:
    blocks = Blocks(patience=8, times=2, change=2.0)
    for _ in range(2):
        blocks.add(_IP, "loses", 300, 0.0, stop=False)
    assert not blocks.review(_IP, 301, 1e9)
    assert not blocks.review(_IP, 590, 1e9)
    assert blocks.review(_IP, 610, 1e9)
    # And it begins anew.
    blocks.add(_IP, "loses", 610, 1e9, stop=False)
    assert blocks.review(_IP, 610, 1e9 + 8)


def test_a_gap_that_is_too_long_waits_for_a_shorter_one() -> None:
    blocks = Blocks()
    blocks.add_long(_IP, 9000)
    assert blocks.stops() == {_IP}
    block = blocks.get(_IP)
    assert block is not None
    assert "9,000" in block.reason
    assert not blocks.review(_IP, 5000, 1e9)
    assert blocks.review(_IP, 4000, 1e9)


def test_or_for_the_module_to_find_it_short_but_not_for_ever() -> None:
    blocks = Blocks(times=3)
    for _ in range(2):
        blocks.add_long(_IP, 4100)
        assert blocks.review(_IP, 3900, 0.0, hot=True)
    blocks.add_long(_IP, 4100)
    assert not blocks.review(_IP, 3900, 0.0, hot=True)


def test_a_block_that_is_lifted_counts_all_the_same() -> None:
    blocks = Blocks()
    blocks.add(0x1000, "slow", 100, 0.0, stop=False)
    blocks.lift(0x1000)
    assert blocks.get(0x1000) is None
    blocks.lift(0x2000)
    blocks.add(0x1000, "slow", 100, 1.0, stop=False)
    block = blocks.get(0x1000)
    assert block is not None
    assert block.times == 2


def test_what_was_found_elsewhere_holds_for_the_same_gap() -> None:
    there, here = Blocks(), Blocks()
    there.add(_IP, "loses", 300, 0.0, stop=False)
    there.add_long(_IP + 16, 9000)
    loses, long = there.get(_IP), there.get(_IP + 16)
    assert loses
    assert long
    assert not here.adopt(_IP, 700, loses, 5.0)
    assert here.adopt(_IP, 400, loses, 5.0)
    assert here.muted() == {_IP}
    assert here.adopt(_IP + 16, 8000, long, 5.0)
    assert here.stops() == {_IP + 16}
    # From then on it is judged by what happens here.
    assert here.review(_IP, 400, 5.0 + here.patience)
    assert not here.adopt(_IP, 400, loses, 50.0)


def test_what_was_traced_waits_for_another_gap_whatever_the_module_says() -> None:
    blocks = Blocks(change=2.0)
    blocks.add_long(_IP, 2800, "it would lose")
    assert blocks.stops() == {_IP}
    assert not blocks.review(_IP, 2800, 1e9, hot=True)
    assert blocks.review(_IP, 1300, 1e9, hot=True)
