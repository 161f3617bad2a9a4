# SPDX-License-Identifier: GPL-2.0-only
"""Sites as the module tells of them, and translations, for tests of this package."""

from __future__ import annotations

from ubypass.abi import Entry, SiteKey, Translation
from ubypass.device.types import Site
from ubypass.device.uapi import SiteVerdict

#: An entry that was timed often enough each way.
ENTRY = Site(
    0x1002,
    39,
    SiteVerdict.ENTRY,
    native_ns=300,
    boosted_ns=40,
    overhead_ns=120,
    native_samples=10,
    boosted_samples=10,
)


def sites(*ips: int) -> set[SiteKey]:
    """The sites of getpid at these addresses."""
    return {SiteKey(ip, 39) for ip in ips}


def entered_at(*entries: int, code: bytes = b"") -> Translation:
    """A translation that has these entries, behind getpid, and nothing else."""
    return Translation(
        code=code,
        entries=tuple(Entry(ip, 0, 39) for ip in entries),
        exits=(),
        faults=(),
        dispatches=(),
        jumps=(),
        sources=(),
        constants=len(code),
    )
