# SPDX-License-Identifier: GPL-2.0-only
"""The meaning and the bounds of each tunable of the module.

Defaults and bounds are those of ``kernel/tunables.c``; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ubypass.device.uapi import Tunable

__all__ = ["TUNABLES", "Meaning"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """``usual``: the module's default; ``unit``: "" for plain numbers."""

    usual: int
    least: int
    most: int
    unit: str
    text: str

    @property
    def bounds(self) -> str:
        """The range with its unit, for people."""
        return f"{self.least} to {self.most} {self.unit}".rstrip()


TUNABLES: Final[Mapping[Tunable, Meaning]] = {
    Tunable.GAP_NS: Meaning(
        4000,
        100,
        1_000_000_000,
        "ns",
        "longest gap that is boosted; engines set it for this machine",
    ),
    Tunable.HOT_CALLS: Meaning(
        200, 1, 1_000_000, "calls", "short gaps within window_ms that make a site hot"
    ),
    Tunable.WINDOW_MS: Meaning(100, 1, 10_000, "ms", "the window of hot_calls"),
    Tunable.BUDGET: Meaning(
        262_144,
        64,
        1 << 24,
        "instructions",
        "limit between two dispatches, beyond 4,096 with a timer",
    ),
    Tunable.MISS_EVENTS: Meaning(
        16, 0, 1_000_000, "events", "limit for each exit of a region"
    ),
    Tunable.REARM_MS: Meaning(
        1000, 10, 3_600_000, "ms", "time until sites are examined again"
    ),
    Tunable.SAMPLE_BITS: Meaning(
        8, 4, 20, "log2", "one in 2^N entries is timed natively"
    ),
    Tunable.IDLE_RUNS: Meaning(
        128,
        1,
        1_000_000_000,
        "runs",
        "runs without a dispatch until an entry is parked",
    ),
    Tunable.PATH_STEPS: Meaning(
        2048, 0, 8192, "steps", "limit for the trace of a gap; 0: no traces"
    ),
    Tunable.GRACE_MS: Meaning(
        300, 0, 3_600_000, "ms", "CPU time of a process before it is examined"
    ),
    Tunable.SHARE_BITS: Meaning(
        8, 0, 20, "log2", "sampling takes 1/2^N of the CPU time; 0: no limit"
    ),
    Tunable.REST_BITS: Meaning(
        14,
        0,
        20,
        "log2",
        "looks at rest take 1/2^N of the CPU time; 0: no rest",
    ),
}
