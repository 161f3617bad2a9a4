# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.engine.look_schedule import LookSchedule


def _schedule() -> LookSchedule:
    return LookSchedule(0.5, 10.0, sampled=0.05, quiet=1.0)


def test_nothing_is_looked_at_before_the_first_build() -> None:
    looks = _schedule()
    assert looks.due is None
    assert not looks.is_judging_due(1e9)


def test_sites_are_judged_ever_more_rarely_while_nothing_changes() -> None:
    looks = _schedule()
    looks.built(100.0)
    assert looks.due == 100.05
    looks.looked(100.05, sampled=False)
    assert looks.due == 100.5
    judged = [100.5]
    for _ in range(20):
        assert looks.is_judging_due(judged[-1])
        looks.judged(judged[-1], often=False)
        looks.looked(judged[-1], sampled=False)
        assert looks.due is not None
        judged.append(looks.due)
    assert judged[1] - judged[0] == 0.75
    assert judged[-1] - judged[-2] == 10.0
    looks.judged(judged[-1], often=True)
    looks.looked(judged[-1], sampled=False)
    assert looks.due == judged[-1] + 0.5


def test_news_and_loads_shorten_the_time_but_not_the_wait_that_has_begun() -> None:
    for tell in (LookSchedule.news, LookSchedule.loaded):
        looks = _schedule()
        looks.built(0.0)
        for now in (1.0, 2.0, 3.0):
            looks.judged(now, often=False)
        tell(looks, 3.1)
        looks.looked(3.1, sampled=False)
        assert looks.due == 3.0 + 0.5 * 1.5**3
        looks.built(3.2)
        looks.looked(3.2, sampled=False)
        assert looks.due == 3.2 + 0.5


def test_between_judgements_there_are_looks_while_user_mode_is_sampled() -> None:
    looks = _schedule()
    looks.built(100.0)
    looks.looked(100.1, sampled=True)
    assert looks.due == 100.1 + 0.05
    looks.looked(100.49, sampled=True)
    assert looks.due == 100.5


def test_regions_grow_while_there_is_news_and_settle_after_some_waits() -> None:
    looks = _schedule()
    looks.news(100.0)
    assert looks.is_growing(101.0)
    assert not looks.is_growing(101.1)
    looks.loaded(102.0)
    assert looks.is_growing(103.0)
    assert not looks.is_settled(102.4, wait=0.05)
    assert looks.is_settled(102.5, wait=0.05)
    assert not looks.is_settled(104.9, wait=1.0)
    assert looks.is_settled(105.0, wait=1.0)
