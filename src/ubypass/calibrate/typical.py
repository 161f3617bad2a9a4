# SPDX-License-Identifier: GPL-2.0-only
"""Figures for where none can be measured."""

from __future__ import annotations

from ubypass.calibrate.figures import Calibration, Figure, Kind, Transition

__all__ = ["typical"]

# Nanoseconds by depth.
_TRANSITIONS = {
    Kind.EMPTY: (102.5, 103.1, 103.5, 104.0, 104.2, 105.1),
    Kind.GETPPID: (116.2, 116.6, 116.8, 117.1, 117.2, 120.5),
    Kind.WRITE: (124.2, 124.7, 124.8, 125.1, 125.7, 129.2),
    Kind.PREAD: (218.9, 219.8, 220.4, 220.6, 221.3, 226.9),
    Kind.SEND: (827.4, 832.0, 834.0, 836.0, 840.0, 845.6),
}


def typical() -> Calibration:
    """What ``ub calibrate`` found on an Intel Xeon (family 6, model 207) at 2.7 GHz, a
    guest with enhanced IBRS and without page-table isolation; ``measured`` is False.

    For callers that have to decide by something where :func:`measure` raises UbError.
    """
    return Calibration(
        processor="Intel(R) Xeon(R) Processor (GenuineIntel, family 6, model 207)",
        measured=False,
        tsc_mhz=0.0,
        cycle=_figure(0.371),
        transitions=tuple(
            Transition(kind, tuple(map(_figure, values)))
            for kind, values in _TRANSITIONS.items()
        ),
        predicted_return=_figure(1.53),
        mispredicted_return=_figure(11.5),
        clamp_latency=_figure(0.742),
        clamp_throughput=_figure(0.191),
        plain_add=_figure(0.324),
        locked_add=_figure(6.64),
        rounds=0,
        seconds=0.0,
    )


def _figure(ns: float) -> Figure:
    return Figure(ns, 0.0)
