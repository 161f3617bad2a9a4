# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

import pytest

from tests.engine.samples import ENTRY
from ubypass.abi import SiteKey
from ubypass.cost.model import model_of
from ubypass.device.types import Site
from ubypass.engine.prices import Measured
from ubypass.engine.profitability import Judgement, Profitability

_PRICES = Measured(model_of("zen4"))  # whose dispatches take 16 ns at most


def _looks(
    profitability: Profitability, site: Site, calls: float, looks: int
) -> list[Judgement]:
    """Judge after each of that many seconds with 100 runs that were looked at."""
    found = []
    for look in range(1, looks + 1):
        now = replace(site, runs=100 * look, dispatched=round(100 * calls * look))
        found += profitability.judge({now.key: now}, [now.key])
    return found


def test_the_gain_of_a_run() -> None:
    (judged,) = _looks(Profitability(_PRICES), ENTRY, 3, 1)
    assert judged.saving == 244
    assert judged.calls == 3
    assert judged.gain == pytest.approx(3 * 244 - 1.25 * 120)


def test_runs_that_dispatch_nothing_lose_what_getting_in_costs() -> None:
    judged = _looks(Profitability(_PRICES), ENTRY, 0, 2)
    assert [each.loses for each in judged] == [False, True]
    assert judged[-1].gain == pytest.approx(-150)
    assert not judged[-1].slow


def test_a_gap_that_never_was_seen_to_its_end_is_no_proof() -> None:
    site = replace(ENTRY, boosted_ns=0, boosted_samples=0)
    judged = _looks(Profitability(_PRICES), site, 5, 5)[-1]
    assert not judged.loses
    assert not judged.slow


def test_a_good_look_makes_up_for_a_bad_one() -> None:
    profitability = Profitability(_PRICES)
    site = ENTRY
    for look in range(1, 20):
        good = look % 2 == 0
        site = replace(
            site, runs=site.runs + 100, dispatched=site.dispatched + 200 * good
        )
        for judged in profitability.judge({site.key: site}, [site.key]):
            assert not judged.loses


def test_a_few_unusual_runs_do_not_decide() -> None:
    profitability = Profitability(_PRICES)
    site = replace(ENTRY, runs=100, dispatched=300)
    assert profitability.judge({site.key: site}, [site.key])[0].gain > 0
    # Connections end, at two looks with nothing else.
    for _ in range(2):
        site = replace(site, runs=site.runs + 8)
        (judged,) = profitability.judge({site.key: site}, [site.key])
        assert judged.gain > 0
        assert not judged.loses
    # As many runs as before decide at once.
    for _ in range(3):
        site = replace(site, runs=site.runs + 100)
        (judged,) = profitability.judge({site.key: site}, [site.key])
    assert judged.loses


def test_few_runs_are_no_evidence() -> None:
    profitability = Profitability(_PRICES, runs=4)
    site = replace(ENTRY, runs=3)
    for _ in range(10):
        assert profitability.judge({site.key: site}, [site.key]) == []


def test_few_samples_are_none_either() -> None:
    site = replace(ENTRY, native_samples=1)
    assert _looks(Profitability(_PRICES), site, 0, 5) == []


def test_a_slow_gap_is_told_from_a_costly_run() -> None:
    site = replace(ENTRY, boosted_ns=400)
    judged = _looks(Profitability(_PRICES), site, 50, 3)[-1]
    assert judged.slow
    assert judged.loses


def test_later_gaps_of_a_run_count_as_the_average_of_the_region() -> None:
    first = replace(ENTRY, runs=100, dispatched=200)
    other = replace(ENTRY, ip=0x2002, boosted_ns=140, runs=100, dispatched=100)
    sites = {first.key: first, other.key: other}
    judged = {j.site.key: j for j in Profitability(_PRICES).judge(sites, list(sites))}
    assert judged[first.key].gain == pytest.approx(244 + 194 - 150)
    assert judged[other.key].gain == pytest.approx(144 - 150)


def test_a_module_that_began_anew_is_believed() -> None:
    profitability = Profitability(_PRICES)
    _looks(profitability, ENTRY, 2, 3)
    again = replace(ENTRY, runs=50, dispatched=100)
    (judged,) = profitability.judge({again.key: again}, [again.key])
    assert judged.calls == 2


def test_what_was_bad_can_be_forgotten() -> None:
    profitability = Profitability(_PRICES)
    _looks(profitability, ENTRY, 0, 1)
    profitability.reset([ENTRY.key, SiteKey(0x9999, 39)])
    site = replace(ENTRY, runs=200)
    (judged,) = profitability.judge({site.key: site}, [site.key])
    assert not judged.loses


def test_mean_prices_are_those_of_recent_runs() -> None:
    often = Judgement(
        replace(ENTRY, ip=1), -50.0, 5000.0, 100.0, *(False,) * 3, 50.0, recent_runs=9
    )
    rarely = Judgement(
        replace(ENTRY, ip=2), 20.0, -60.0, 1.0, *(False,) * 3, 80.0, recent_runs=1
    )
    first, second, third = (SiteKey(ip, 39) for ip in (1, 2, 3))
    judgements = {first: often, second: rarely}
    saving, run = Profitability.mean_prices(judgements, [first, second, third])
    # Calls behind the first one of a run have other prices than the entry's own gap.
    assert saving == pytest.approx((9 * 5050 + 20) / (9 * 100 + 1))
    assert run == pytest.approx(53.0)
    assert Profitability.mean_prices(judgements, [second]) == (20.0, 80.0)
    assert Profitability.mean_prices(judgements, [third]) == (None, None)


def test_prices_of_a_module_that_began_anew() -> None:
    profitability = Profitability(_PRICES)
    old = replace(ENTRY, runs=100, dispatched=300)
    (before,) = profitability.judge({old.key: old}, [old.key])
    new = replace(ENTRY, runs=1, dispatched=1)
    (judged,) = profitability.judge({new.key: new}, [new.key])
    prices = Profitability.mean_prices({new.key: judged}, [new.key])
    assert prices == Profitability.mean_prices({old.key: before}, [old.key])


def test_an_entry_that_does_not_run_any_more_counts_less_and_less() -> None:
    profitability = Profitability(_PRICES)
    site = replace(ENTRY, runs=100, dispatched=300)
    (first,) = profitability.judge({site.key: site}, [site.key])
    for _ in range(2000):
        (last,) = profitability.judge({site.key: site}, [site.key])
    assert first.recent_runs == 100
    assert 0 < last.recent_runs < 1
    assert (last.calls, last.gain) == (first.calls, first.gain)
    now = replace(site, runs=200, dispatched=500)
    (again,) = profitability.judge({site.key: now}, [site.key])
    assert again.calls == pytest.approx(2.0)
