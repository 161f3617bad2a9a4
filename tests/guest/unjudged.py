# SPDX-License-Identifier: GPL-2.0-only
"""An engine that never finds that a region does not pay.

An emulator's clock says of most regions that they lose. What is tested here is what
boosted programs do, so that they must stay boosted, and must be boosted at all: forked
processes learn from each other what has lost.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from unittest import mock

from ubypass.device.types import Site
from ubypass.engine import site_decisions
from ubypass.engine.profitability import Judgement, Profitability

__all__ = ["unjudged"]


class _NoVerdict(Profitability):
    """Never knows enough of a site to judge it."""

    def judge(
        self, sites: Mapping[int, Site], entries: Collection[int]
    ) -> list[Judgement]:
        return []


@contextlib.contextmanager
def unjudged() -> Iterator[None]:
    """Nothing that is attached meanwhile, by this process, is judged."""
    with mock.patch.object(site_decisions, "Profitability", _NoVerdict):
        yield
