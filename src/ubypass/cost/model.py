# SPDX-License-Identifier: GPL-2.0-only
"""The time that boosting saves, by a model of a processor.

    native  = instructions + spoiled returns + transition
    boosted = instructions + dispatch + accesses + branches + turns

so a gap whose system call is dispatched saves

    transition - dispatch + spoiled * spoiled_return
        - accesses * access - branches * branch - turns * turn

and each run of a translation costs ``run`` once. All times are ns. The parameters are
data (``models.toml``), each with its range, source and status.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ubypass import processor
from ubypass.calibrate import cached
from ubypass.cost.gap import GapProfile
from ubypass.errors import UbError, UsageError

__all__ = ["DEFAULT", "Model", "Parameter", "Range", "mean", "model_of", "models"]

#: The model that decides where no clock can be trusted: in emulators.
DEFAULT = "zen4"

_GENERIC = "generic"
_STATUS = ("measured", "estimated", "recalled")
_PARAMETERS = (
    *("transition", "dispatch", "spoiled_return", "access", "branch", "turn"),
    *("instruction", "run"),
)


@dataclass(frozen=True, slots=True)
class Range:
    """ns; ``low`` and ``high`` are what the value hardly ever is outside of."""

    low: float
    likely: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(
            self.low + other.low, self.likely + other.likely, self.high + other.high
        )

    def times(self, count: float) -> Range:
        """``count`` such values, 0 or more of them."""
        return Range(self.low * count, self.likely * count, self.high * count)

    def most(self, other: Range) -> Range:
        """The greater low, likely and high value of both."""
        return Range(
            max(self.low, other.low),
            max(self.likely, other.likely),
            max(self.high, other.high),
        )

    def less(self, other: Range) -> Range:
        """The difference; its low is this one's low less the other's high."""
        return Range(
            self.low - other.high, self.likely - other.likely, self.high - other.low
        )


def mean(ranges: Sequence[Range]) -> Range:
    """Of one range or more, the mean low, likely and high value."""
    return sum(ranges, Range(0.0, 0.0, 0.0)).times(1 / len(ranges))


@dataclass(frozen=True, slots=True)
class Parameter:
    """``ns`` with where it comes from; ``status``: measured, estimated or recalled."""

    ns: Range
    status: str
    source: str


@dataclass(frozen=True, slots=True)
class Model:
    """Parameters of one processor.

    ``transition``: into the kernel and back, as programs pay it between their gaps,
    without the handler; ``dispatch``: what a translation pays instead;
    ``spoiled_return``: a return that is mispredicted since the kernel's own calls have
    overwritten the processor's return stack; ``access``: a pointer clamped; ``branch``:
    the target of a return or an indirect branch compared; ``turn``: a jump back charged
    to the budget; ``instruction``: one of the program's own; ``run``: getting into a
    translation and out of it.
    """

    name: str
    processor: str
    transition: Parameter
    dispatch: Parameter
    spoiled_return: Parameter
    access: Parameter
    branch: Parameter
    turn: Parameter
    instruction: Parameter
    run: Parameter

    def saving(self, gap: GapProfile) -> Range:
        """ns that the gap and the call behind it save if the call is dispatched.

        Below 0: a loss. What runs cost is not in it.
        """
        gained = self.transition.ns + self.spoiled_return.ns.times(gap.spoiled)
        paid = (
            self.dispatch.ns
            + self.access.ns.times(gap.accesses)
            + self.branch.ns.times(gap.branches)
            + self.turn.ns.times(gap.turns)
        )
        return gained.less(paid)

    def native(self, gap: GapProfile) -> Range:
        """ns of the gap and of the transition behind it, natively."""
        return (
            self.instruction.ns.times(gap.instructions)
            + self.spoiled_return.ns.times(gap.spoiled)
            + self.transition.ns
        )

    def calibrated(self, empty_call: float) -> Model:
        """With the transition as measured on the processor at hand.

        ``empty_call``: ns of a system call without a handler in a loop, which is what
        ``transition``'s low value is; the others keep their distance to it.
        """
        known = self.transition.ns
        ns = known.times(empty_call / known.low)
        return replace(self, transition=Parameter(ns, "measured", "ub calibrate, here"))

    def describe(self) -> str:
        """One line for people: name, processor, and what is not measured."""
        open_ = [
            name.replace("_", " ")
            for name in _PARAMETERS
            if getattr(self, name).status != "measured"
        ]
        note = f"; not measured there: {', '.join(open_)}" if open_ else ""
        return f"{self.name}: {self.processor}{note}"


def model_of(name: str | None = None) -> Model:
    """The model called ``name``; None: the one of the processor at hand, calibrated.

    In an emulator that is :data:`DEFAULT` as it is: what could be measured there means
    nothing. Raises UsageError for a name that there is not.
    """
    if name is not None:
        found = models().get(name)
        if found is None:
            raise UsageError(
                f"there is no model {name!r} of a processor",
                f"there are {', '.join(models())}",
            )
        return found
    if processor.is_emulated():
        return models()[DEFAULT]
    known = models()[_present()]
    try:
        calibration = cached()
    except UbError:
        return known  # code of our own must not be run here
    return known.calibrated(calibration.transition_ns)


@lru_cache(maxsize=1)
def models() -> Mapping[str, Model]:
    """All of ``models.toml``, by name."""
    return {name: _parsed(name, table) for name, table in _tables().items()}


def _present() -> str:
    """The name of the model of this machine's processor."""
    identity = processor.identify()
    for name, table in _tables().items():
        if (
            table.get("vendor") == identity.vendor
            and table.get("family") == identity.family
            and identity.model in table.get("models", ())
        ):
            return name
    return _GENERIC


@lru_cache(maxsize=1)
def _tables() -> dict[str, dict[str, Any]]:
    text = (files("ubypass.cost") / "models.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _parsed(name: str, table: Mapping[str, Any]) -> Model:
    values = {key: _parameter(f"{name}.{key}", table[key]) for key in _PARAMETERS}
    return Model(name=name, processor=table["processor"], **values)


def _parameter(name: str, value: Mapping[str, Any]) -> Parameter:
    low, likely, high = map(float, value["ns"])
    if not 0 <= low <= likely <= high or value["status"] not in _STATUS:
        raise ValueError(f"models.toml: {name} is no range with a status")
    return Parameter(Range(low, likely, high), value["status"], value["source"])
