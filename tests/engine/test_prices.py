# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.prices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ubypass.cost.model import model_of
from ubypass.device.types import Site
from ubypass.device.uapi import SiteVerdict
from ubypass.engine.prices import Measured, Modelled

_ZEN4 = model_of("zen4")
_SITE = Site(
    0x1002,
    39,
    SiteVerdict.ENTRY,
    native_ns=300,
    boosted_ns=40,
    overhead_ns=120,
    native_samples=10,
    boosted_samples=10,
)


def test_measured_times() -> None:
    prices = Measured(_ZEN4)
    assert prices.is_known(_SITE)
    assert prices.is_sure(_SITE)
    # Less than the difference: the dispatch is in neither time.
    assert 240 < prices.saving(_SITE) < 260
    assert prices.run(_SITE) == pytest.approx(150)


def test_too_few_samples() -> None:
    prices = Measured(_ZEN4, samples=3)
    assert not prices.is_known(replace(_SITE, native_samples=2))
    assert not prices.is_sure(replace(_SITE, boosted_samples=2))
    unseen = replace(_SITE, boosted_ns=0, boosted_samples=0)
    assert prices.is_known(unseen)
    assert 0 < prices.saving(unseen) < 300


def test_modelled_times() -> None:
    """Not of the module's clock, whatever that says."""
    prices = Modelled(_ZEN4, {0x1002: 80.0}.get)
    for site in (_SITE, replace(_SITE, native_ns=1, boosted_ns=9999, overhead_ns=9)):
        assert prices.is_known(site)
        assert prices.is_sure(site)
        assert prices.saving(site) == 80.0
        assert prices.run(site) == _ZEN4.run.ns.likely


def test_nothing_is_known_of_what_was_not_traced() -> None:
    prices = Modelled(_ZEN4, {}.get)
    assert not prices.is_known(_SITE)
    assert not prices.is_sure(_SITE)
