# SPDX-License-Identifier: GPL-2.0-only
"""How long tests wait for the lab: so long that only what hangs is given up.

A machine whose processors and disk are busy takes many times as long as a quiet one.
"""

from __future__ import annotations

from ubypass.lab.options import LabOptions

__all__ = ["PATIENT"]

PATIENT = LabOptions(boot_timeout=600.0, timeout=3600.0)
