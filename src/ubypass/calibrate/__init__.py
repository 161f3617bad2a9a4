# SPDX-License-Identifier: GPL-2.0-only
"""What this CPU takes for system calls, mispredicted returns, clamps, locked adds.

A second of measurements without privileges; no compiler, no kernel module. Knows
nothing of translations, regions and devices.
"""

from ubypass.calibrate.figures import DEPTHS, Calibration, Figure, Kind, Transition

__all__ = ["DEPTHS", "Calibration", "Figure", "Kind", "Transition"]
