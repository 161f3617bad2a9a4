# SPDX-License-Identifier: GPL-2.0-only
"""What a dispatched gap is worth: a range of ns, by whatever model of costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ubypass.region.decode import Decoded

__all__ = ["Costs", "Range"]


class _Saving(Protocol):
    @property
    def low(self) -> float: ...

    @property
    def likely(self) -> float: ...

    @property
    def high(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Range:
    """Three views of one figure: at least, most likely, at most."""

    low: float = 0.0
    likely: float = 0.0
    high: float = 0.0

    @classmethod
    def of(cls, other: _Saving) -> Range:
        """The same figures, in order of size."""
        low, likely, high = other.low, other.likely, other.high
        return cls(min(low, likely), likely, max(likely, high))

    @classmethod
    def mean(cls, ranges: Sequence[Range]) -> Range:
        """Of each view; there must be some."""
        count = len(ranges)
        views = zip(*(r.views for r in ranges), strict=True)
        return cls(*(math.fsum(view) / count for view in views))

    @property
    def views(self) -> tuple[float, float, float]:
        """All three."""
        return self.low, self.likely, self.high

    def __add__(self, other: Range) -> Range:
        pairs = zip(self.views, other.views, strict=True)
        return Range(*(a + b for a, b in pairs))

    def __mul__(self, factor: float) -> Range:
        return Range(*(view * factor for view in self.views))


@dataclass(frozen=True, slots=True)
class Costs:
    """``saving`` of a gap, from the addresses of its instructions and the code there:
    ns that it saves when it is dispatched, below 0 a loss. ``run_ns``: getting into a
    translation and out of it once. ``name`` and ``about``: of the model, for people.
    """

    saving: Callable[[Sequence[int], Decoded], Range]
    run_ns: float
    name: str = ""
    about: str = ""
