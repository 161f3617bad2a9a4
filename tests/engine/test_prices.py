# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.prices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.engine.samples import ENTRY
from ubypass.cost.model import model_of
from ubypass.engine.prices import Measured, Modelled

_ZEN4 = model_of("zen4")


def test_measured_times() -> None:
    prices = Measured(_ZEN4)
    assert prices.is_known(ENTRY)
    assert prices.is_sure(ENTRY)
    # Less than the difference: the dispatch is in neither time.
    assert 240 < prices.saving(ENTRY) < 260
    assert prices.run(ENTRY) == pytest.approx(150)


def test_too_few_samples() -> None:
    prices = Measured(_ZEN4, samples=3)
    assert not prices.is_known(replace(ENTRY, native_samples=2))
    assert not prices.is_sure(replace(ENTRY, boosted_samples=2))
    unseen = replace(ENTRY, boosted_ns=0, boosted_samples=0)
    assert prices.is_known(unseen)
    assert 0 < prices.saving(unseen) < 300


def test_modelled_times() -> None:
    """Not of the module's clock, whatever that says."""
    prices = Modelled(_ZEN4, {ENTRY.key: 80.0}.get)
    for site in (ENTRY, replace(ENTRY, native_ns=1, boosted_ns=9999, overhead_ns=9)):
        assert prices.is_known(site)
        assert prices.is_sure(site)
        assert prices.saving(site) == 80.0
        assert prices.run(site) == _ZEN4.run.ns.likely


def test_nothing_is_known_of_what_was_not_traced() -> None:
    prices = Modelled(_ZEN4, {}.get)
    assert not prices.is_known(ENTRY)
    assert not prices.is_sure(ENTRY)
