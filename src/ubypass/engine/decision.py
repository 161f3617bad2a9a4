# SPDX-License-Identifier: GPL-2.0-only
"""The decision for a site: boosted, left native, or tried; rules only, no state.

``decide`` is a table of rules on the present evidence for one site. The first rule that
applies decides. Their order: the process, findings about the site, the regions, the
module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ubypass.device.uapi import Decline, SiteVerdict
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.declines import REASONS
from ubypass.engine.profitability import Judgement
from ubypass.engine.suppressions import Suppression

__all__ = [
    "Boost",
    "Decision",
    "Evidence",
    "Native",
    "Probe",
    "decide",
    "is_losing",
    "loss",
]


@dataclass(frozen=True, slots=True)
class Boost:
    """A live region is entered at the site."""


@dataclass(frozen=True, slots=True)
class Native:
    """The site is left native, for a ``reason`` for people.

    ``until``: when it is tried again, in seconds; None: when its behaviour changes.
    ``barrier``: regions end there as well; otherwise only no run begins there.
    """

    reason: str
    until: float | None = None
    barrier: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """The worth of the site is being measured; ``status``: the progress, for people."""

    status: str


Decision = Boost | Native | Probe

#: The meaning of the module's verdict if nothing else is known.
_BY_VERDICT: Final[Mapping[SiteVerdict, Decision]] = {
    SiteVerdict.OPEN: Probe("on trial"),
    SiteVerdict.HOT: Probe("hot, but in no region yet"),
    SiteVerdict.RARE: Native("too few calls per second"),
    SiteVerdict.LONG: Native("its gap is too long"),
    SiteVerdict.BUSY: Native("interrupted in most samples"),
    SiteVerdict.ENTRY: Probe("native at present"),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The present evidence for one site.

    ``verdict``: of the module; ``declined_for``: why all threads of the process are
    declined; ``suppression``: the active one; ``is_entry``: a live region has an entry
    there; ``on_trial``: the worth of that region is still being measured.
    """

    verdict: SiteVerdict
    declined_for: Decline = Decline.NONE
    suppression: Suppression | None = None
    is_entry: bool = False
    on_trial: bool = False


def decide(evidence: Evidence) -> Decision:
    """The decision for the site."""
    if evidence.declined_for:
        return Native(REASONS[evidence.declined_for])
    suppression = evidence.suppression
    if suppression is not None:
        return Native(suppression.reason, suppression.until, suppression.barrier)
    if evidence.is_entry:
        return Probe("its region is on trial") if evidence.on_trial else Boost()
    return _BY_VERDICT[evidence.verdict]


def is_losing(judged: Judgement, *, settled: bool) -> bool:
    """Whether measurements condemn an entry of a confirmed region.

    ``settled``: the region does not grow any more. Before that its runs still become
    longer, while its gaps are what they are.
    """
    return judged.slow or judged.keeps_losing or (judged.loses and settled)


def loss(judged: Judgement, admission: AdmissionPolicy) -> str:
    """Why an entry that was measured to lose is left native, for people."""
    site = judged.site
    if judged.slow and admission.model_decides:
        model = admission.model.name
        return f"its gap loses {-judged.saving:,.0f} ns (model {model})"
    if judged.slow:
        native, boosted = f"{site.native_ns:,}", f"{site.boosted_ns:,}"
        return f"its gap takes {native} ns natively, {boosted} ns boosted"
    return f"runs of {judged.calls:.1f} calls lose {-judged.gain:,.0f} ns each"
