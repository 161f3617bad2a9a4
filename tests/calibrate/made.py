# SPDX-License-Identifier: GPL-2.0-only
"""Calibrations with figures that nobody has measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ubypass.calibrate.figures import DEPTHS, Calibration, Figure, Kind, Transition

__all__ = ["calibration", "transition"]


def transition(kind: Kind, values: Iterable[float]) -> Transition:
    """With these nanoseconds by depth."""
    return Transition(kind, tuple(Figure(value, 1.0) for value in values))


def calibration(**changes: Any) -> Calibration:
    """A possible one, with these fields in place of its own."""
    some = {
        "processor": "Some Processor (?, family 1, model 2)",
        "measured": True,
        "tsc_mhz": 2000.0,
        "cycle": Figure(0.25, 0.01),
        "transitions": tuple(
            transition(kind, [100.0 * (1 + n) + 4 * depth for depth in DEPTHS])
            for n, kind in enumerate(Kind)
        ),
        "predicted_return": Figure(0.5, 0.1),
        "mispredicted_return": Figure(5.0, 0.5),
        "clamp_latency": Figure(0.5, 0.1),
        "clamp_throughput": Figure(0.2, 0.1),
        "plain_add": Figure(0.25, 0.1),
        "locked_add": Figure(5.0, 0.1),
        "rounds": 100,
        "seconds": 0.5,
    }
    return Calibration(**(some | changes))
