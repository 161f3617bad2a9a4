# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.engine.suppressions import Suppressions

_IP = 0x1002


def test_nothing_is_suppressed_at_first() -> None:
    suppressions = Suppressions()
    assert suppressions.get(_IP) is None
    assert not suppressions.review(_IP, 300, 1e9)
    assert suppressions.disabled_entries() == suppressions.barriers() == set()


def test_a_suppression_ends_after_a_while_and_each_lasts_longer() -> None:
    suppressions = Suppressions(patience=8, growth=8, limit=3)
    suppressions.suppress(_IP, "loses", 300, 0.0, barrier=False)
    assert suppressions.disabled_entries() == {_IP}
    assert suppressions.barriers() == set()
    assert not suppressions.review(_IP, 300, 7.9)
    assert suppressions.review(_IP, 300, 8.0)
    assert suppressions.disabled_entries() == set()
    suppressions.suppress(_IP, "loses", 300, 8.0, barrier=False)
    assert not suppressions.review(_IP, 300, 71.0)
    assert suppressions.review(_IP, 300, 72.0)


def test_a_gap_that_was_found_slower_waits_for_another_one() -> None:
    suppressions = Suppressions(change=2.0)
    suppressions.suppress(_IP, "slow", 300, 0.0, barrier=True)
    assert suppressions.barriers() == {_IP}
    assert not suppressions.review(_IP, 300, 1e9)
    assert suppressions.review(_IP, 140, 1e9)


def test_after_some_times_only_another_gap_helps() -> None:
    suppressions = Suppressions(patience=8, limit=2, change=2.0)
    for _ in range(2):
        suppressions.suppress(_IP, "loses", 300, 0.0, barrier=False)
    assert not suppressions.review(_IP, 301, 1e9)
    assert not suppressions.review(_IP, 590, 1e9)
    assert suppressions.review(_IP, 610, 1e9)
    # And it begins anew.
    suppressions.suppress(_IP, "loses", 610, 1e9, barrier=False)
    assert suppressions.review(_IP, 610, 1e9 + 8)


def test_a_gap_that_is_too_long_waits_for_a_shorter_one() -> None:
    suppressions = Suppressions()
    suppressions.suppress_long(_IP, 9000)
    assert suppressions.barriers() == {_IP}
    suppression = suppressions.get(_IP)
    assert suppression is not None
    assert "9,000" in suppression.reason
    assert not suppressions.review(_IP, 5000, 1e9)
    assert suppressions.review(_IP, 4000, 1e9)


def test_or_for_the_module_to_find_it_short_but_not_for_ever() -> None:
    suppressions = Suppressions(limit=3)
    for _ in range(2):
        suppressions.suppress_long(_IP, 4100)
        assert suppressions.review(_IP, 3900, 0.0, hot=True)
    suppressions.suppress_long(_IP, 4100)
    assert not suppressions.review(_IP, 3900, 0.0, hot=True)


def test_a_suppression_that_is_lifted_counts_all_the_same() -> None:
    suppressions = Suppressions()
    suppressions.suppress(0x1000, "slow", 100, 0.0, barrier=False)
    suppressions.lift(0x1000)
    assert suppressions.get(0x1000) is None
    suppressions.lift(0x2000)
    suppressions.suppress(0x1000, "slow", 100, 1.0, barrier=False)
    suppression = suppressions.get(0x1000)
    assert suppression is not None
    assert suppression.count == 2


def test_what_was_found_elsewhere_holds_for_the_same_gap() -> None:
    there, here = Suppressions(), Suppressions()
    there.suppress(_IP, "loses", 300, 0.0, barrier=False)
    there.suppress_long(_IP + 16, 9000)
    loses, long = there.get(_IP), there.get(_IP + 16)
    assert loses
    assert long
    assert not here.inherit(_IP, 700, loses, 5.0)
    assert here.inherit(_IP, 400, loses, 5.0)
    assert here.disabled_entries() == {_IP}
    assert here.inherit(_IP + 16, 8000, long, 5.0)
    assert here.barriers() == {_IP + 16}
    # From then on it is judged by what happens here.
    assert here.review(_IP, 400, 5.0 + here.patience)
    assert not here.inherit(_IP, 400, loses, 50.0)


def test_a_first_path_that_loses_is_not_the_last_word_but_a_second_one_is() -> None:
    suppressions = Suppressions(limit=2)
    suppressions.suppress_long(_IP, 2800, "it would lose")
    assert suppressions.lift_first_path(_IP)
    assert suppressions.get(_IP) is None
    assert not suppressions.lift_first_path(_IP)
    suppressions.suppress_long(_IP, 2800, "it would lose")
    assert not suppressions.lift_first_path(_IP)


def test_measurements_are_not_overruled_by_a_path() -> None:
    suppressions = Suppressions()
    suppressions.suppress(_IP, "loses", 610, 0.0, barrier=True)
    suppressions.suppress_long(_IP + 16, 9000)
    assert not suppressions.lift_first_path(_IP)
    assert not suppressions.lift_first_path(_IP + 16)
    assert suppressions.barriers() == {_IP, _IP + 16}


def test_what_was_traced_waits_for_another_gap_whatever_the_module_says() -> None:
    suppressions = Suppressions(change=2.0)
    suppressions.suppress_long(_IP, 2800, "it would lose")
    assert suppressions.barriers() == {_IP}
    assert not suppressions.review(_IP, 2800, 1e9, hot=True)
    assert suppressions.review(_IP, 1300, 1e9, hot=True)
