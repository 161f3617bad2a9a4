# SPDX-License-Identifier: GPL-2.0-only
"""Which gaps of a chain the engine translates, by its own rules, without the module.

The traced gaps are given to the engine's :class:`SiteDecisions` in the order of the
chain, as if the module had traced each of them. What the module measures later is not
part of it: on a processor it judges what is admitted here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ubypass.cost.gap import profile_gap
from ubypass.device.types import Path, Stats
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.growth import TracedPath
from ubypass.engine.module_state import ModuleState
from ubypass.engine.profile import Profile
from ubypass.engine.shared_history import SharedHistory
from ubypass.engine.site_decisions import SiteDecisions
from ubypass.region.decode import Decoded
from ubypass.region.reader import CodeReader

__all__ = ["admitted"]


class _NothingMeasured(ModuleState):
    """A module that has seen nothing yet, and is never asked."""

    def __init__(self) -> None:
        self.stats = Stats()
        self.sites = {}


def admitted(
    paths: Sequence[TracedPath], memory: CodeReader, policy: AdmissionPolicy
) -> tuple[bool, ...]:
    """For each gap, whether a run of the engine's translation passes it.

    A run begins at a site that is not suppressed, and ends before a gap that is not
    admitted.
    """
    profile = Profile()
    decisions = SiteDecisions(policy, profile, _NothingMeasured(), SharedHistory())
    for path in paths:
        profile.count_call(path.resume, path.nr, 1)
        profile.add_entry(path.key)
    code = Decoded(memory)
    taken: set[TracedPath] = set()
    # A path ends at the call that the next one returns from.
    following = [*(path.nr for path in paths[1:]), None]
    for path, nr in zip(paths, following, strict=True):
        gap = profile_gap(path.ips, code)
        traced = Path(path.resume, path.nr, path.ips, nr)
        if path.ips and decisions.admit(traced, gap):
            taken.add(path)
            decisions.readmit(path.key)
        else:
            decisions.reject(path.key, gap)
    decisions.predict(0.0)
    barriers = decisions.suppressions.barriers()
    disabled = decisions.suppressions.disabled_entries()
    passed = []
    running = False
    for path in paths:
        running = (
            path in taken
            and path.key not in barriers
            and (running or path.key not in disabled)
        )
        passed.append(running)
    return tuple(passed)
