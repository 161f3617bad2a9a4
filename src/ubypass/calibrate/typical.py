# SPDX-License-Identifier: GPL-2.0-only
"""Typical figures, for systems on which a measurement is not possible."""

from __future__ import annotations

from ubypass.calibrate.figures import Calibration, Figure, Kind, Transition

__all__ = ["typical"]

# Nanoseconds by depth.
_TRANSITIONS = {
    Kind.EMPTY: (106.4, 106.9, 107.4, 107.6, 108.2, 109.5),
    Kind.GETPPID: (120.9, 121.4, 121.4, 122.0, 121.8, 125.5),
    Kind.WRITE: (129.1, 130.2, 130.3, 130.3, 131.1, 134.2),
    Kind.PREAD: (226.5, 227.6, 228.3, 229.1, 229.3, 234.5),
    Kind.SEND: (843.0, 853.0, 850.4, 856.6, 860.0, 865.3),
}


def typical() -> Calibration:
    """The figures of ``ub calibrate`` on an Intel Xeon (family 6, model 207) at 2.6
    GHz, a guest with enhanced IBRS and without page-table isolation
    (docs/performance.md); ``measured`` is False.

    For callers that need figures when :func:`measure` raises UbError.
    """
    return Calibration(
        processor="Intel(R) Xeon(R) Processor (GenuineIntel, family 6, model 207)",
        measured=False,
        tsc_mhz=0.0,
        cycle=_figure(0.385),
        transitions=tuple(
            Transition(kind, tuple(map(_figure, values)))
            for kind, values in _TRANSITIONS.items()
        ),
        predicted_return=_figure(1.585),
        mispredicted_return=_figure(11.918),
        clamp_latency=_figure(0.770),
        clamp_throughput=_figure(0.197),
        plain_add=_figure(0.337),
        locked_add=_figure(6.896),
        rounds=0,
        seconds=0.0,
    )


def _figure(ns: float) -> Figure:
    return Figure(ns, 0.0)
