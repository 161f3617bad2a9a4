# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

from tests.engine.samples import ENTRY
from tests.guest.unjudged import unjudged
from ubypass.cost.model import model_of
from ubypass.engine import site_decisions
from ubypass.engine.prices import Measured


def _condemned() -> bool:
    """Whether an entry whose runs only cost is found to lose, look after look."""
    profitability = site_decisions.Profitability(Measured(model_of("zen4")))
    looks = [replace(ENTRY, runs=100 * look, dispatched=0) for look in range(1, 9)]
    return any(
        judged.loses
        for site in looks
        for judged in profitability.judge({site.ip: site}, [site.ip])
    )


def test_what_loses_stays_only_meanwhile() -> None:
    assert _condemned()
    with unjudged():
        assert not _condemned()
    assert _condemned()
