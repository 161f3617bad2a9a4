# SPDX-License-Identifier: GPL-2.0-only
"""What a calibration consists of, and its form as data.

All times are nanoseconds of real time on one CPU; ``ns_per_cycle`` turns them into
cycles of its core. Knows nothing of how they are measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

__all__ = ["DEPTHS", "FORMAT", "Calibration", "Figure", "Kind", "Transition"]

#: Version of :meth:`Calibration.as_data`.
FORMAT = 1

#: Returns that lie behind a system call, for which transitions are measured.
DEPTHS = (0, 1, 2, 4, 8, 16)

# More than anything that is measured here can take, even in an emulator.
_MOST_NS = 1e7


class Kind(StrEnum):
    """Kinds of system calls. They differ in what their handlers do and in how deep the
    kernel's own calls go: those overwrite the CPU's predictions of user returns.
    """

    EMPTY = "empty"  #: a number that no call has: the transition and nothing else
    GETPPID = "getppid"  #: a handler of a few instructions
    WRITE = "write"  #: 1 byte to /dev/null
    PREAD = "pread"  #: 1 byte of a file in memory
    SEND = "send"  #: 1 byte by UDP, over loopback: the network stack's depth


@dataclass(frozen=True, slots=True)
class Figure:
    """A time in nanoseconds, and how well it repeats.

    ``ns`` is the median of several groups of measurements, each of which takes the
    low end of many short ones. ``spread``, in nanoseconds as well, lies between the
    second lowest and the second highest group.
    """

    ns: float
    spread: float


@dataclass(frozen=True, slots=True)
class Transition:
    """What a system call of a kind costs, with returns behind it.

    ``by_depth``, parallel to ``DEPTHS``: time of a chain of so many nested functions
    with the call in the innermost, less the time of the same chain without the call.
    At depth 0 that is the call itself, the handler's work included. What is more at
    other depths are returns that were predicted before and are not behind the call.
    """

    kind: Kind
    by_depth: tuple[Figure, ...]

    @property
    def ns(self) -> float:
        """Of the call itself, without returns behind it."""
        return self.by_depth[0].ns

    @property
    def per_return_ns(self) -> float:
        """What each return behind the call adds: least squares over all depths, 0 at
        least. Some CPUs spoil the first few only: see :meth:`spoiled_ns`.
        """
        added = [figure.ns - self.ns for figure in self.by_depth]
        slope = sum(map(float.__mul__, map(float, DEPTHS), added))
        return max(0.0, slope / sum(depth * depth for depth in DEPTHS))

    def spoiled_ns(self, returns: float) -> float:
        """What so many returns behind the call add together, 0 at least.

        Between the measured depths on a straight line; beyond the deepest no more is
        added, as processors remember about so many returns and no more anyway.
        """
        depth = min(max(returns, 0.0), float(DEPTHS[-1]))
        above = next(n for n, there in enumerate(DEPTHS) if there >= depth)
        here = self.by_depth[above].ns
        if DEPTHS[above] > depth:
            low, high = DEPTHS[above - 1], DEPTHS[above]
            before = self.by_depth[above - 1].ns
            here = before + (here - before) * (depth - low) / (high - low)
        return max(0.0, here - self.ns)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What this CPU takes for the things that boosting saves and adds.

    Fields with a ``Figure`` are nanoseconds, each for one of what is named.
    """

    #: As from :func:`ubypass.processor.describe`.
    processor: str
    #: False: nothing was measured here, the figures are those of another processor.
    measured: bool
    #: Ticks of the time stamp counter in a microsecond; 0 if it was not measured.
    tsc_mhz: float
    #: A cycle of the core at the clock that it had: an addition that waits for the
    #: one before.
    cycle: Figure
    #: By kind, those that could be measured; ``EMPTY``, ``GETPPID``, ``WRITE`` and
    #: ``PREAD`` always.
    transitions: tuple[Transition, ...]
    #: A call and its return that is predicted.
    predicted_return: Figure
    #: What the return takes more if another target is predicted.
    mispredicted_return: Figure
    #: What a clamp (docs/abi.md: cmp, ja, cmovae) adds to a load whose address was
    #: loaded just before, where the next load waits for it.
    clamp_latency: Figure
    #: What a clamp adds to a load where nothing waits for it.
    clamp_throughput: Figure
    #: An addition to memory in the first-level cache, others being under way.
    plain_add: Figure
    #: The same with a lock prefix.
    locked_add: Figure
    #: How often everything was measured, and CPU time that it took, in seconds.
    rounds: int
    seconds: float

    @property
    def ns_per_cycle(self) -> float:
        """Nanoseconds of a cycle of the core."""
        return self.cycle.ns

    def cycles(self, ns: float) -> float:
        """So many nanoseconds in cycles of the core."""
        return ns / self.cycle.ns

    def transition(self, kind: Kind) -> Transition | None:
        """Of this kind; None if it could not be measured."""
        return next((found for found in self.transitions if found.kind is kind), None)

    @property
    def transition_ns(self) -> float:
        """From user mode into the kernel and back, with no handler and no returns."""
        empty = self.transition(Kind.EMPTY)
        assert empty is not None  # __post_init__
        return empty.ns

    def __post_init__(self) -> None:
        """Raises ValueError for figures that cannot be."""
        kinds = [transition.kind for transition in self.transitions]
        if len(set(kinds)) != len(kinds) or not set(Kind) - {Kind.SEND} <= set(kinds):
            raise ValueError(f"transitions of {', '.join(kinds) or 'no kind'}")
        for transition in self.transitions:
            if len(transition.by_depth) != len(DEPTHS):
                raise ValueError(
                    f"{transition.kind}: {len(transition.by_depth)} depths"
                )
        for name, figure in self._figures():
            if not all(abs(value) < _MOST_NS for value in (figure.ns, figure.spread)):
                raise ValueError(f"{name}: {figure.ns} ns")  # also if it is no number
        if not self.cycle.ns > 0 or not self.transition_ns > 0:
            raise ValueError("a cycle or a transition takes no time")
        if not (math.isfinite(self.tsc_mhz) and math.isfinite(self.seconds)):
            raise ValueError("a frequency or a time is no number")

    def _figures(self) -> list[tuple[str, Figure]]:
        found = [
            (f"{transition.kind} at depth {depth}", figure)
            for transition in self.transitions
            for depth, figure in zip(DEPTHS, transition.by_depth, strict=True)
        ]
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Figure):
                found.append((field.name, value))
        return found

    def as_data(self) -> dict[str, Any]:
        """Names and numbers, as JSON has them."""
        data: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            data[field.name] = _figure_data(value) if type(value) is Figure else value
        data["transitions"] = [
            {
                "kind": str(transition.kind),
                "by_depth": [
                    {"returns": depth, **_figure_data(figure)}
                    for depth, figure in zip(DEPTHS, transition.by_depth, strict=True)
                ],
                "per_return_ns": transition.per_return_ns,
            }
            for transition in self.transitions
        ]
        return data

    @classmethod
    def from_data(cls, data: object) -> Calibration:
        """What :meth:`as_data` made. Raises ValueError for anything else."""
        try:
            return cls._from_data(data)
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"this is no calibration: {error}") from error

    @classmethod
    def _from_data(cls, data: Any) -> Calibration:
        transitions = []
        for entry in data["transitions"]:
            depths = [row["returns"] for row in entry["by_depth"]]
            if depths != list(DEPTHS):
                raise ValueError(f"depths {depths}")
            figures = tuple(_figure(row) for row in entry["by_depth"])
            transitions.append(Transition(Kind(entry["kind"]), figures))
        read: dict[str, Any] = {"transitions": tuple(transitions)}
        for field in fields(cls):
            if field.name in read:
                continue
            value = data[field.name]
            if field.type == "Figure":
                read[field.name] = _figure(value)
            else:
                read[field.name] = _scalar(field.type, value)
        return cls(**read)


def _figure_data(figure: Figure) -> dict[str, float]:
    return {"ns": figure.ns, "spread": figure.spread}


def _figure(data: Mapping[str, Any]) -> Figure:
    return Figure(_number(data["ns"]), _number(data["spread"]))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _scalar(kind: object, value: object) -> str | bool | int | float:
    """``value``, if it is of the type with the name ``kind``."""
    if kind == "float":
        return _number(value)
    for name, one in (("str", str), ("bool", bool), ("int", int)):
        if kind == name and type(value) is one:
            return value
    raise ValueError(f"{value!r} is not of type {kind}")
