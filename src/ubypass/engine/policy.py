# SPDX-License-Identifier: GPL-2.0-only
"""When a target is looked at, and when it is left native for good."""

from __future__ import annotations

from dataclasses import dataclass, field

from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.regions import Caps
from ubypass.engine.trial import TrialPolicy

__all__ = ["Policy"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Of one attachment; all times in seconds.

    ``caps``: bounds of its regions. ``max_code_changes``: regions that may be lost
    because their code changed, before the process stays native; after each one, builds
    pause: for ``code_change_pause`` at first, each time twice as long. Changes more
    than ``code_change_reset`` apart do not add up, since pages of code move now and
    then. ``look_interval``: time between looks at the counters at first, and
    ``max_look_interval`` once nothing changes any more; ``sampled_look_interval``:
    while user mode is sampled, which slows the program down. ``growth_end``: time
    without news after which regions count as grown, which ends sampling;
    ``max_sampling``: the longest period of it, and ``sampling_pause`` between two.
    ``admission``: which gaps are left native without a trial. ``trace_timeout``: how
    long to wait for the path of a new site. ``eligibility_delay``: until the module is
    first asked whether it declines all threads. ``trial``: what trials may cost; None:
    regions are not put on trial.
    """

    caps: Caps = field(default_factory=Caps)
    max_code_changes: int = 8
    code_change_pause: float = 0.2
    code_change_reset: float = 60.0
    look_interval: float = 0.5
    max_look_interval: float = 10.0
    sampled_look_interval: float = 0.05
    growth_end: float = 1.0
    max_sampling: float = 2.0
    sampling_pause: float = 30.0
    admission: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    trace_timeout: float = 0.25
    eligibility_delay: float = 0.1
    trial: TrialPolicy | None = field(default_factory=TrialPolicy)
