# SPDX-License-Identifier: GPL-2.0-only
"""What the module may tell of sites, for tests of this package."""

from __future__ import annotations

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
