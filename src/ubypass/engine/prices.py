# SPDX-License-Identifier: GPL-2.0-only
"""What the gaps of a site save and what its runs cost: measured, or by a cost model.

The module measures times on the processor of this machine. In an emulator, or where the
model of another processor was asked for, these times are meaningless: there calls and
runs are only counted, and the model prices each. All times are ns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ubypass.abi import SiteKey
from ubypass.cost.model import Model
from ubypass.device.types import Site

__all__ = ["Measured", "Modelled", "Prices"]

#: Factor on the measured overhead of a run, which lacks the code before the clock is
#: read.
_UNSEEN = 1.25

#: Share of its native time that a gap is assumed to save as long as it was never timed
#: in a translation.
_DOUBT = 0.5


class Prices(Protocol):
    """Of the sites of one process. ``source``: the clock, or the name of a model;
    ``are_measured``: it is the clock.
    """

    source: str
    are_measured: bool

    def is_known(self, site: Site) -> bool:
        """Whether its native cost is known well enough for a judgement."""

    def is_sure(self, site: Site) -> bool:
        """Whether :meth:`saving` is measured, or from a traced path."""

    def saving(self, site: Site) -> float:
        """ns that each of its gaps saves; of one that is known."""

    def run(self, site: Site) -> float:
        """ns that each run from the site costs besides its gaps."""


class Measured:
    """By the clock of the module; ``samples``: gaps timed, native and boosted each.

    ``boosted_ns`` ends before the dispatch, and contains its work for filters and
    against speculation attacks. The rest of a dispatch is taken from the model.
    """

    source = "clock"
    are_measured = True

    def __init__(self, model: Model, samples: int = 3) -> None:
        self._dispatch = model.dispatch.ns.high
        self._samples = samples

    def is_known(self, site: Site) -> bool:
        """See :class:`Prices`."""
        return site.native_samples >= self._samples

    def is_sure(self, site: Site) -> bool:
        """See :class:`Prices`."""
        return min(site.native_samples, site.boosted_samples) >= self._samples

    def saving(self, site: Site) -> float:
        """See :class:`Prices`."""
        if not site.boosted_samples:
            return _DOUBT * site.native_ns
        return site.native_ns - site.boosted_ns - self._dispatch

    def run(self, site: Site) -> float:
        """See :class:`Prices`."""
        return _UNSEEN * site.overhead_ns


class Modelled:
    """By ``model``; ``saving_of``: ns that a site's gaps are likely to save, None if
    none was traced.
    """

    are_measured = False

    def __init__(
        self, model: Model, saving_of: Callable[[SiteKey], float | None]
    ) -> None:
        self.source = model.name
        self._run = model.run.ns.likely
        self._saving_of = saving_of

    def is_known(self, site: Site) -> bool:
        """See :class:`Prices`."""
        return self._saving_of(site.key) is not None

    def is_sure(self, site: Site) -> bool:
        """See :class:`Prices`."""
        return self.is_known(site)

    def saving(self, site: Site) -> float:
        """See :class:`Prices`."""
        return self._saving_of(site.key) or 0.0

    def run(self, site: Site) -> float:
        """See :class:`Prices`."""
        return self._run
