# SPDX-License-Identifier: GPL-2.0-only
"""The figures of a calibration, and their form as data.

All times are nanoseconds of real time on one CPU; ``ns_per_cycle`` converts them to
cycles of its core. Independent of the method of measurement.
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

#: Numbers of returns behind a system call for which transitions are measured.
DEPTHS = (0, 1, 2, 4, 8, 16)

# An upper bound of all figures, even in an emulator.
_MOST_NS = 1e7


class Kind(StrEnum):
    """Kinds of system calls. They differ in the work of their handlers and in the call
    depth of the kernel, which overwrites the CPU's predictions of user returns.
    """

    EMPTY = "empty"  #: a number without a call: the transition and nothing else
    GETPPID = "getppid"  #: a handler of a few instructions
    WRITE = "write"  #: 1 byte to /dev/null
    PREAD = "pread"  #: 1 byte of a file in memory
    SEND = "send"  #: 1 byte by UDP, over loopback: the network stack's depth


@dataclass(frozen=True, slots=True)
class Figure:
    """A time in nanoseconds, and its repeatability.

    ``ns``: the median over groups of measurements, where the value of a group is the
    low end of many short measurements. ``spread``: ns between the second lowest and the
    second highest group.
    """

    ns: float
    spread: float


@dataclass(frozen=True, slots=True)
class Transition:
    """The cost of a system call of a kind, with returns behind the call.

    ``by_depth``, parallel to ``DEPTHS``: time of a chain of nested functions with the
    call in the innermost, less the time of the same chain without the call. The figure
    at depth 0 is the call itself, including the handler. The difference at other depths
    is the cost of returns that are mispredicted after the call.
    """

    kind: Kind
    by_depth: tuple[Figure, ...]

    @property
    def ns(self) -> float:
        """The cost of the call itself, without returns behind it, in ns."""
        return self.by_depth[0].ns

    @property
    def per_return_ns(self) -> float:
        """ns that each return behind the call adds: least squares over all depths, at
        least 0. Some CPUs mispredict the first few only: see :meth:`spoiled_ns`.
        """
        added = [figure.ns - self.ns for figure in self.by_depth]
        slope = sum(map(float.__mul__, map(float, DEPTHS), added))
        return max(0.0, slope / sum(depth * depth for depth in DEPTHS))

    def spoiled_ns(self, returns: float) -> float:
        """ns that a number of returns behind the call add together, at least 0.

        Linear interpolation between the measured depths, constant beyond the deepest:
        the return predictors of processors have about that many entries.
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
    """The costs of this CPU that boosting saves and adds.

    Fields of type ``Figure`` are nanoseconds for one operation.
    """

    #: As from :func:`ubypass.processor.describe`.
    processor: str
    #: False: no measurement was made; the figures are from another processor.
    measured: bool
    #: Ticks of the time stamp counter in a microsecond; 0 if not measured.
    tsc_mhz: float
    #: A cycle of the core at its clock during the measurement: an addition that depends
    #: on the previous one.
    cycle: Figure
    #: The kinds that could be measured; always ``EMPTY``, ``GETPPID``, ``WRITE`` and
    #: ``PREAD``.
    transitions: tuple[Transition, ...]
    #: A call and its predicted return.
    predicted_return: Figure
    #: The additional time of the return if another target is predicted.
    mispredicted_return: Figure
    #: The additional time of a clamp (docs/abi.md: cmp, ja, cmovae) of a load in a
    #: chain of dependent loads.
    clamp_latency: Figure
    #: The additional time of a clamp of a load in independent loads.
    clamp_throughput: Figure
    #: An addition to memory in the first-level cache, among independent ones.
    plain_add: Figure
    #: The same with a lock prefix.
    locked_add: Figure
    #: The number of measurements of each loop, and their CPU time in seconds.
    rounds: int
    seconds: float

    @property
    def ns_per_cycle(self) -> float:
        """Nanoseconds of a cycle of the core."""
        return self.cycle.ns

    def cycles(self, ns: float) -> float:
        """``ns`` in cycles of the core."""
        return ns / self.cycle.ns

    def transition(self, kind: Kind) -> Transition | None:
        """The transition of ``kind``; None if it could not be measured."""
        return next((found for found in self.transitions if found.kind is kind), None)

    @property
    def transition_ns(self) -> float:
        """ns from user mode into the kernel and back, without handler and returns."""
        empty = self.transition(Kind.EMPTY)
        assert empty is not None  # __post_init__
        return empty.ns

    def __post_init__(self) -> None:
        """Raises ValueError for impossible figures."""
        kinds = [transition.kind for transition in self.transitions]
        if len(set(kinds)) != len(kinds) or not set(Kind) - {Kind.SEND} <= set(kinds):
            raise ValueError("transitions of {', '.join(kinds) or 'no known call'}")
        for transition in self.transitions:
            if len(transition.by_depth) != len(DEPTHS):
                raise ValueError(
                    f"{transition.kind}: wrong number of depths "
                    f"({len(transition.by_depth)})"
                )
        for name, figure in self._figures():
            if not all(abs(value) < _MOST_NS for value in (figure.ns, figure.spread)):
                raise ValueError(f"{name}: {figure.ns} ns")  # also for NaN
        if not self.cycle.ns > 0 or not self.transition_ns > 0:
            raise ValueError("a cycle or a transition takes no time")
        if not (math.isfinite(self.tsc_mhz) and math.isfinite(self.seconds)):
            raise ValueError("a frequency or a time is not a number")

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
        """Plain data of JSON types, for :meth:`from_data`."""
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
        """Restore from :meth:`as_data`. Raises ValueError for anything else."""
        try:
            return cls._from_data(data)
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"not a valid calibration: {error}") from error

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
    """``value``, if its type has the name ``kind``; else raise ValueError."""
    if kind == "float":
        return _number(value)
    for name, one in (("str", str), ("bool", bool), ("int", int)):
        if kind == name and type(value) is one:
            return value
    raise ValueError(f"{value!r} is not of type {kind}")
