# SPDX-License-Identifier: GPL-2.0-only
"""What each tunable of the module means, and between what bounds it may be.

Defaults and bounds are those of ``kernel/device.c``; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ubypass.device.uapi import Tunable

__all__ = ["TUNABLES", "Meaning"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """``usual``: the module's default; ``unit`` is "" for plain numbers."""

    usual: int
    least: int
    most: int
    unit: str
    text: str


TUNABLES: Final[Mapping[Tunable, Meaning]] = {
    Tunable.GAP_NS: Meaning(
        4000,
        100,
        1_000_000_000,
        "ns",
        "longest gap that is boosted; engines set it by the machine",
    ),
    Tunable.HOT_CALLS: Meaning(
        200, 1, 1_000_000, "calls", "short gaps in a window that make a site hot"
    ),
    Tunable.WINDOW_MS: Meaning(100, 1, 10_000, "ms", "that window"),
    Tunable.BUDGET: Meaning(
        262_144, 64, 1 << 24, "instructions", "between two dispatches"
    ),
    Tunable.MISS_EVENTS: Meaning(
        16, 0, 1_000_000, "events", "told of each exit of a region"
    ),
    Tunable.REARM_MS: Meaning(
        1000, 10, 3_600_000, "ms", "until sites are looked at again"
    ),
    Tunable.SAMPLE_BITS: Meaning(
        8, 4, 20, "log2", "one in so many entries is taken natively"
    ),
    Tunable.IDLE_RUNS: Meaning(
        128, 1, 1_000_000_000, "runs", "in vain that put an entry to sleep"
    ),
    Tunable.PATH_STEPS: Meaning(
        2048, 0, 4096, "steps", "of one traced gap; 0: none is traced"
    ),
    Tunable.GRACE_MS: Meaning(
        300, 0, 3_600_000, "ms", "of CPU time before a process is looked at"
    ),
    Tunable.SHARE_BITS: Meaning(
        8, 0, 20, "log2", "looking takes one in so many of CPU time; 0: any"
    ),
}
