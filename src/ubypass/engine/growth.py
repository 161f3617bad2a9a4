# SPDX-License-Identifier: GPL-2.0-only
"""What the instructions between system calls become in a translation, counted.

The ways that a program took are walked along in the code that the engine would make of
them: nothing runs, so the figures are exact and the same every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iced_x86 import Decoder, FlowControl, Instruction

from ubypass.abi import Abi, Translation
from ubypass.device.types import Path
from ubypass.engine.build import Builder
from ubypass.engine.built import NothingToBuild, Refused
from ubypass.engine.knowledge import HotSite, Knowledge
from ubypass.region.reader import CodeReader

__all__ = ["Walker", "Way", "executed", "knowledge_of"]


@dataclass(frozen=True, slots=True)
class Way:
    """From the return of call ``nr`` at ``resume`` through ``ips``, the addresses of
    the instructions, the last that of the next system call. Without any: too long.
    """

    resume: int
    nr: int
    ips: tuple[int, ...]


def executed(
    ways: Sequence[Way], reader: CodeReader, abi: Abi | None = None
) -> list[int | None]:
    """Instructions of the translation on each of ``ways``, which followed one another.

    None where it leaves before the next call. Where one way's call was dispatched the
    next one goes on behind it, elsewhere it begins at the entry.
    """
    abi = abi or Abi()
    try:
        built = Builder(abi)(knowledge_of(ways), reader)
    except (NothingToBuild, Refused):
        return [None] * len(ways)
    walker = Walker(built.translation, abi)
    found: list[int | None] = []
    start: int | None = None
    # A way ends at the call that the next one returns from.
    ends = [*(way.nr for way in ways[1:]), None]
    for way, nr in zip(ways, ends, strict=True):
        if start is None:
            start = walker.entries.get(way.resume)
        walked = None
        if start is not None and way.ips:
            walked = walker.walk(start, way.ips, nr)
        found.append(walked[0] if walked is not None else None)
        start = walked[1] if walked is not None else None
    return found


def knowledge_of(ways: Sequence[Way]) -> Knowledge:
    """What the engine would have learned from them."""
    knowledge = Knowledge()
    for way in ways:
        knowledge.number(way.resume, way.nr)
        if not way.ips:
            knowledge.stops.add(way.resume)
            continue
        knowledge.entries.setdefault(way.resume, HotSite(way.nr))
        knowledge.follow(Path(way.resume, way.nr, way.ips))
    return knowledge


class Walker:
    """Finds ways through one translation. ``entries``: their offsets by address."""

    def __init__(self, translation: Translation, abi: Abi) -> None:
        self.entries = {e.user_ip: e.code_offset for e in translation.entries}
        self._translation = translation
        size = abi.dispatch_vector_size if translation.vector else abi.dispatch_size
        self._behind = {
            d.code_offset: d.code_offset + size for d in translation.dispatches
        }
        self._numbers = {d.code_offset: d.nr for d in translation.dispatches}
        self._marks: dict[int, list[int]] = {}
        for at, ip in translation.user_ips:
            self._marks.setdefault(at, []).append(ip)
        self._decoded: dict[int, Instruction] = {}

    def walk(
        self, start: int, ips: Sequence[int], nr: int | None = None
    ) -> tuple[int, int] | None:
        """From the code at ``start`` to a dispatch, of call ``nr`` if that is given:
        instructions up to there, and where the code goes on behind it. None if there is
        no such way.
        """
        # What repeats itself shows its address again and again.
        way = [ip for n, ip in enumerate(ips) if n == 0 or ips[n - 1] != ip]
        repeats = len(ips) - len(way)
        todo = [(start, 0, True, 0)]
        seen: set[tuple[int, int]] = set()
        while todo:
            at, position, jumped, count = todo.pop()
            for there in self._positions(at, way, position, jumped):
                if (at, there) in seen:
                    continue
                seen.add((at, there))
                if at in self._behind:
                    if there == len(way) - 1 and nr in (None, self._numbers[at]):
                        return count + repeats, self._behind[at]
                    continue
                todo += [
                    (following, there, away, count + 1)
                    for following, away in self._following(at)
                ]
        return None

    def _positions(
        self, at: int, way: Sequence[int], position: int, jumped: bool
    ) -> set[int]:
        """Where on the way the code at ``at`` may be, coming from ``position``.

        The code's marks must follow the way. A jump may lead behind marks that belong
        to the code before.
        """
        marks = self._marks.get(at, [])
        found = set()
        for first in range(len(marks) + 1 if jumped else 1):
            there = position
            for mark in marks[first:]:
                if mark == way[there]:
                    continue
                there += 1
                if there == len(way) or mark != way[there]:
                    break
            else:
                found.add(there)
        return found

    def _following(self, at: int) -> list[tuple[int, bool]]:
        """Where control may go from the instruction at ``at``; whether by a jump."""
        code = self._translation.code
        if at >= self._translation.constants or at + 1 in self._translation.jumps:
            return []
        instruction = self._decoded.get(at)
        if instruction is None:
            instruction = Decoder(64, code[at : at + 15], ip=at).decode()
            self._decoded[at] = instruction
        flow = instruction.flow_control
        following: list[tuple[int, bool]] = []
        if flow in (FlowControl.NEXT, FlowControl.CONDITIONAL_BRANCH):
            following.append((at + instruction.len, False))
        if flow in (FlowControl.UNCONDITIONAL_BRANCH, FlowControl.CONDITIONAL_BRANCH):
            following.append((instruction.near_branch_target, True))
        return following
