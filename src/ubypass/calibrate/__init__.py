# SPDX-License-Identifier: GPL-2.0-only
"""What this CPU takes for system calls, mispredicted returns, clamps, locked adds.

A second of measurements without privileges; no compiler, no kernel module. Callers use
:func:`cached`, and :func:`typical` where that raises UbError because the system does
not let this process run code of its own. Knows nothing of translations, regions and
devices.
"""

from ubypass.calibrate.cache import cached
from ubypass.calibrate.figures import DEPTHS, Calibration, Figure, Kind, Transition
from ubypass.calibrate.measuring import measure
from ubypass.calibrate.typical import typical

__all__ = [
    "DEPTHS",
    "Calibration",
    "Figure",
    "Kind",
    "Transition",
    "cached",
    "measure",
    "typical",
]
