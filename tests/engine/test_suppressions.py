# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.abi import SiteKey
from ubypass.engine.suppressions import Suppressions

_SITE = SiteKey(0x1002, 0)
_OTHER = SiteKey(0x1002, 232)


def test_nothing_is_suppressed_at_first() -> None:
    suppressions = Suppressions()
    assert suppressions.get(_SITE) is None
    assert not suppressions.review(_SITE, 300, 1e9)
    assert suppressions.disabled_entries() == suppressions.barriers() == set()


def test_a_suppression_ends_after_a_while_and_each_lasts_longer() -> None:
    suppressions = Suppressions(patience=8, growth=8, limit=3)
    suppressions.suppress(_SITE, "loses", 300, 0.0, barrier=False)
    assert suppressions.disabled_entries() == {_SITE}
    assert suppressions.barriers() == set()
    assert not suppressions.review(_SITE, 300, 7.9)
    assert suppressions.review(_SITE, 300, 8.0)
    assert suppressions.disabled_entries() == set()
    suppressions.suppress(_SITE, "loses", 300, 8.0, barrier=False)
    assert not suppressions.review(_SITE, 300, 71.0)
    assert suppressions.review(_SITE, 300, 72.0)


def test_a_gap_that_was_found_slower_waits_for_another_one() -> None:
    suppressions = Suppressions(change=2.0)
    suppressions.suppress(_SITE, "slow", 300, 0.0, barrier=True)
    assert suppressions.barriers() == {_SITE}
    assert not suppressions.review(_SITE, 300, 1e9)
    assert suppressions.review(_SITE, 140, 1e9)


def test_after_some_times_only_another_gap_helps() -> None:
    suppressions = Suppressions(patience=8, limit=2, change=2.0)
    for _ in range(2):
        suppressions.suppress(_SITE, "loses", 300, 0.0, barrier=False)
    assert not suppressions.review(_SITE, 301, 1e9)
    assert not suppressions.review(_SITE, 590, 1e9)
    assert suppressions.review(_SITE, 610, 1e9)
    # And it begins anew.
    suppressions.suppress(_SITE, "loses", 610, 1e9, barrier=False)
    assert suppressions.review(_SITE, 610, 1e9 + 8)


def test_a_gap_that_is_too_long_waits_for_a_shorter_one() -> None:
    suppressions = Suppressions()
    suppressions.suppress_long(_SITE, 9000)
    assert suppressions.barriers() == {_SITE}
    suppression = suppressions.get(_SITE)
    assert suppression is not None
    assert "9,000" in suppression.reason
    assert not suppressions.review(_SITE, 5000, 1e9)
    assert suppressions.review(_SITE, 4000, 1e9)


def test_or_for_the_module_to_find_it_short_but_not_for_ever() -> None:
    suppressions = Suppressions(limit=3)
    for _ in range(2):
        suppressions.suppress_long(_SITE, 4100)
        assert suppressions.review(_SITE, 3900, 0.0, hot=True)
    suppressions.suppress_long(_SITE, 4100)
    assert not suppressions.review(_SITE, 3900, 0.0, hot=True)


def test_a_suppression_that_is_lifted_counts_all_the_same() -> None:
    suppressions = Suppressions()
    suppressions.suppress(_SITE, "slow", 100, 0.0, barrier=False)
    suppressions.lift(_SITE)
    assert suppressions.get(_SITE) is None
    suppressions.lift(_OTHER)
    suppressions.suppress(_SITE, "slow", 100, 1.0, barrier=False)
    suppression = suppressions.get(_SITE)
    assert suppression is not None
    assert suppression.count == 2


def test_what_was_found_elsewhere_holds_for_the_same_gap() -> None:
    there, here = Suppressions(), Suppressions()
    there.suppress(_SITE, "loses", 300, 0.0, barrier=False)
    there.suppress_long(_OTHER, 9000)
    loses, long = there.get(_SITE), there.get(_OTHER)
    assert loses
    assert long
    assert not here.inherit(_SITE, 700, loses, 5.0)
    assert here.inherit(_SITE, 400, loses, 5.0)
    assert here.disabled_entries() == {_SITE}
    assert here.inherit(_OTHER, 8000, long, 5.0)
    assert here.barriers() == {_OTHER}
    # From then on it is judged by what happens here.
    assert here.review(_SITE, 400, 5.0 + here.patience)
    assert not here.inherit(_SITE, 400, loses, 50.0)


def test_a_first_path_that_loses_is_not_the_last_word_but_a_second_one_is() -> None:
    suppressions = Suppressions(limit=2)
    suppressions.suppress_long(_SITE, 2800, "it would lose")
    assert suppressions.lift_first_path(_SITE)
    assert suppressions.get(_SITE) is None
    assert not suppressions.lift_first_path(_SITE)
    suppressions.suppress_long(_SITE, 2800, "it would lose")
    assert not suppressions.lift_first_path(_SITE)


def test_measurements_are_not_overruled_by_a_path() -> None:
    suppressions = Suppressions()
    suppressions.suppress(_SITE, "loses", 610, 0.0, barrier=True)
    suppressions.suppress_long(_OTHER, 9000)
    assert not suppressions.lift_first_path(_SITE)
    assert not suppressions.lift_first_path(_OTHER)
    assert suppressions.barriers() == {_SITE, _OTHER}


def test_what_was_traced_waits_for_another_gap_whatever_the_module_says() -> None:
    suppressions = Suppressions(change=2.0)
    suppressions.suppress_long(_SITE, 2800, "it would lose")
    assert suppressions.barriers() == {_SITE}
    assert not suppressions.review(_SITE, 2800, 1e9, hot=True)
    assert suppressions.review(_SITE, 1300, 1e9, hot=True)
