# SPDX-License-Identifier: GPL-2.0-only
"""The runner's findings as Python values and as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ubypass.abi import ExitReason
from ubypass.native import types
from ubypass.native.case import Case

__all__ = ["Failure", "Report", "report"]

_NAMES = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
_REGISTER, _FLAGS, _VECTOR, _MEMORY, _PATH = (1 << n for n in range(5))
_CRASH, _FRAME, _TARGET, _NEEDLESS = (1 << n for n in range(5, 9))


@dataclass(frozen=True, slots=True)
class Failure:
    """The first state that showed a difference.

    ``index``: number of the state (see :func:`ubypass.native.runner.run`);
    ``differences``: sentences for people.
    """

    index: int
    entry: int
    exit: str
    differences: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"state {self.index}, entered at {self.entry:#x}, {self.exit}: "
            + "; ".join(self.differences)
        )


@dataclass(frozen=True, slots=True)
class Report:
    """Counts of one run.

    ``undecided``: the original did not reach the address of the exit within a fixed
    number of visits. ``faults``: exits because of a fault that the CPU reported;
    ``needless``: those at which the original does not fault, which are mismatches.
    ``careful``: exits because an address could not be a user's. ``careless``: exits of
    either kind that the original does not need, because the displacement makes a user
    address of a base that is none. ``inexact``: by reason, exits at which dead flags
    differ from the original's. ``exits``: how often each was taken, for the first 64.
    """

    executions: int
    mismatches: int
    undecided: int
    faults: int
    needless: int
    careful: int
    careless: int
    reasons: Mapping[ExitReason, int] = field(default_factory=dict)
    inexact: Mapping[ExitReason, int] = field(default_factory=dict)
    exits: tuple[int, ...] = ()
    failure: Failure | None = None


def report(case: Case, result: types.Result) -> Report:
    """The report of one run of ``case``."""
    failure = None
    if result.mismatches:
        found = result.failure
        exits = case.translation.exits
        left = (
            f"exit {found.leave} ({exits[found.leave].reason.name} "
            f"at {exits[found.leave].user_ip:#x}) after {found.dispatched} calls"
            if found.leave < len(exits)
            else "no exit"
        )
        failure = Failure(found.index, found.entry, left, _differences(found))
    return Report(
        executions=result.executions,
        mismatches=result.mismatches,
        undecided=result.undecided,
        faults=result.faults,
        needless=result.needless,
        careful=result.careful,
        careless=result.careless,
        reasons={r: result.reasons[r] for r in ExitReason if result.reasons[r]},
        inexact={r: result.inexact[r] for r in ExitReason if result.inexact[r]},
        exits=tuple(result.exits[: len(case.translation.exits)]),
        failure=failure,
    )


def _differences(found: types.Failure) -> tuple[str, ...]:
    native, translated = found.native, found.translated
    words = []
    if found.wrong & _REGISTER:
        words += [
            f"{name} is {translated.gpr[n]:#x}, not {native.gpr[n]:#x}"
            for n, name in enumerate(_NAMES)
            if found.registers >> n & 1
        ]
    if found.wrong & _FLAGS:
        words.append(
            f"flags are {translated.flags & 0x8D5:#x}, not {native.flags & 0x8D5:#x}"
        )
    if found.wrong & _VECTOR:
        words.append(f"vector state differs at byte {found.vector} of the XSAVE area")
    if found.wrong & _MEMORY:
        words.append(
            f"memory at {found.memory:#x} is {found.memory_translated:#x}, "
            f"not {found.memory_native:#x}"
        )
    if found.wrong & _PATH:
        words.append(f"the original does not get there; it stops at {found.stopped:#x}")
    if found.wrong & _CRASH:
        words.append(f"the translation crashes at +{found.stopped:#x}")
    if found.wrong & _FRAME:
        words.append("the frame is damaged")
    if found.wrong & _TARGET:
        words.append(
            f"the branch wants to go to {found.target_translated:#x}, "
            f"not {found.target_native:#x}"
        )
    if found.wrong & _NEEDLESS:
        words.append("it faults where the original does not")
    return tuple(words)
