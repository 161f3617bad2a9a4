# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.engine.fakes import FakeMemory
from tests.guest.trained import Remembering
from ubypass.abi import Entry, SiteKey, Translation
from ubypass.engine.built import Built, NothingToBuild
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import HotSite, Profile
from ubypass.region.graph import Region


def knowing(*sites: int) -> Profile:
    return Profile(entries={SiteKey(site, 0): HotSite() for site in sites})


def build(profile: Profile, memory: MemoryLike) -> Built:
    entries = tuple(Entry(ip, 0, nr) for ip, nr in sorted(profile.entries))
    return Built(
        Region({}, (), ()), Translation(b"\xcc", entries, (), (), (), (), (), 1)
    )


MEMORY = FakeMemory({})


def test_what_was_built_serves_again() -> None:
    remembering = Remembering(build)
    remembering(knowing(1), MEMORY)
    both = remembering(knowing(1, 2), MEMORY)
    remembering.settle()
    assert remembering(knowing(1), MEMORY) is both
    assert remembering(knowing(2, 3), MEMORY) is both


def test_what_is_new_is_left_alone() -> None:
    remembering = Remembering(build)
    remembering(knowing(1), MEMORY)
    remembering.settle()
    with pytest.raises(NothingToBuild):
        remembering(knowing(3), MEMORY)
