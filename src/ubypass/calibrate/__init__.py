# SPDX-License-Identifier: GPL-2.0-only
"""Costs of this CPU: system calls, mispredicted returns, clamps, locked additions.

Measured in less than a second without privileges, compiler or kernel module. Callers
use :func:`cached`, and :func:`typical` if :func:`cached` raises UbError because the
system does not let this process run code of its own. Independent of translations,
regions and devices.
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
