# SPDX-License-Identifier: GPL-2.0-only
"""The account of what dispatched calls have saved."""

from __future__ import annotations

from ubypass.device.types import Stats

__all__ = ["Savings"]


class Savings:
    """ns saved by the calls of one process, each booked at the prices of its time.

    Prices change with the ways of a program through its code: the present ones do not
    hold for earlier calls. Without prices, calls are booked at the last ones, and
    before there are any, at the first ones.
    """

    def __init__(self) -> None:
        self._ns: float | None = None
        self._dispatched = 0
        self._runs = 0
        self._prices: tuple[float, float] | None = None

    @property
    def ns(self) -> float | None:
        """What all booked calls have saved, less what their runs have cost.

        None until prices are known.
        """
        return self._ns

    def book(self, stats: Stats, saving: float | None, run: float | None) -> None:
        """Book the calls since the last time.

        ``saving``: ns that a dispatched call saves; ``run``: ns that a run costs; None
        if unknown.
        """
        if saving is not None and run is not None:
            self._prices = saving, run
        if self._prices is None:
            return
        saving, run = self._prices
        calls = stats.dispatched - self._dispatched
        runs = stats.runs - self._runs
        self._ns = (self._ns or 0.0) + calls * saving - runs * run
        self._dispatched, self._runs = stats.dispatched, stats.runs
