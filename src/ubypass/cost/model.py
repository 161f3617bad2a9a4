# SPDX-License-Identifier: GPL-2.0-only
"""The time that boosting saves, by the cost model of a processor.

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

#: The model in use where no clock can be trusted: in emulators.
DEFAULT = "zen4"

_GENERIC = "generic"
_STATUS = ("measured", "estimated", "recalled")
_PARAMETERS = (
    *("transition", "dispatch", "spoiled_return", "access", "branch", "turn"),
    *("instruction", "run"),
)


@dataclass(frozen=True, slots=True)
class Range:
    """ns; the value is almost always between ``low`` and ``high``."""

    low: float
    likely: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(
            self.low + other.low, self.likely + other.likely, self.high + other.high
        )

    def times(self, count: float) -> Range:
        """The sum of ``count`` values of this range; ``count`` is 0 or more."""
        return Range(self.low * count, self.likely * count, self.high * count)

    def most(self, other: Range) -> Range:
        """The greater low, likely and high value of both."""
        return Range(
            max(self.low, other.low),
            max(self.likely, other.likely),
            max(self.high, other.high),
        )

    def less(self, other: Range) -> Range:
        """The difference: ``low`` is this ``low`` less the other ``high``."""
        return Range(
            self.low - other.high, self.likely - other.likely, self.high - other.low
        )


def mean(ranges: Sequence[Range]) -> Range:
    """The mean low, likely and high value of one or more ranges."""
    return sum(ranges, Range(0.0, 0.0, 0.0)).times(1 / len(ranges))


@dataclass(frozen=True, slots=True)
class Parameter:
    """``ns`` with its source; ``status``: measured, estimated or recalled."""

    ns: Range
    status: str
    source: str


@dataclass(frozen=True, slots=True)
class Model:
    """Parameters of one processor.

    ``transition``: into the kernel and back, as programs pay for it between their gaps,
    without the handler; ``dispatch``: the cost in a translation instead;
    ``spoiled_return``: a return that is mispredicted because the kernel's own calls
    have overwritten the processor's return stack; ``access``: the clamp of a pointer;
    ``branch``: the comparison of the target of a return or an indirect branch;
    ``turn``: the charge of a backward jump to the budget; ``instruction``: one
    instruction of the program; ``run``: the entry into a translation and its exit.
    ``isolation``: what page-table isolation adds to a transition; ``transition`` has it
    already on a processor that needs it.
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
    isolation: Parameter

    def saving(self, gap: GapProfile) -> Range:
        """ns that a gap saves if the call behind the gap is dispatched.

        Below 0: a loss. The cost of the run is not included.
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
        """ns of the gap and the transition behind the gap, natively."""
        return (
            self.instruction.ns.times(gap.instructions)
            + self.spoiled_return.ns.times(gap.spoiled)
            + self.transition.ns
        )

    def calibrated(self, empty_call: float) -> Model:
        """This model with the transition as measured on the present processor.

        ``empty_call``: ns of a system call without a handler in a loop. It replaces the
        low value of ``transition``; the other values keep their ratio to the low value.
        """
        known = self.transition.ns
        ns = known.times(empty_call / known.low)
        return replace(self, transition=Parameter(ns, "measured", "ub calibrate, here"))

    def describe(self) -> str:
        """One line for people: name, processor, and parameters without measurement."""
        open_ = [
            name.replace("_", " ")
            for name in _PARAMETERS
            if getattr(self, name).status != "measured"
        ]
        note = f"; not measured there: {', '.join(open_)}" if open_ else ""
        return f"{self.name}: {self.processor}{note}"


def model_of(name: str | None = None) -> Model:
    """The model ``name``; None: the calibrated model of the present processor.

    In an emulator None gives :data:`DEFAULT` without calibration, as measurements there
    mean nothing. Raises UsageError for an unknown name.
    """
    if name is not None:
        found = models().get(name)
        if found is None:
            raise UsageError(
                f"there is no model {name!r} of a processor in cost/models.toml",
                f"choose from {', '.join(models())}",
            )
        return found
    if processor.is_emulated():
        return models()[DEFAULT]
    known = models()[_present()]
    try:
        calibration = cached()
    except UbError:
        return known  # this process may not run code of its own
    return known.calibrated(calibration.transition_ns)


@lru_cache(maxsize=1)
def models() -> Mapping[str, Model]:
    """All models of ``models.toml``, by name."""
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
    keys = (*_PARAMETERS, "isolation")
    values = {key: _parameter(f"{name}.{key}", table[key]) for key in keys}
    return Model(name=name, processor=table["processor"], **values)


def _parameter(name: str, value: Mapping[str, Any]) -> Parameter:
    low, likely, high = map(float, value["ns"])
    if not 0 <= low <= likely <= high or value["status"] not in _STATUS:
        raise ValueError(f"models.toml: {name} is not a range with a status")
    return Parameter(Range(low, likely, high), value["status"], value["source"])
