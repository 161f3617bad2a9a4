# SPDX-License-Identifier: GPL-2.0-only
"""The number of instructions that the gaps of a program become in a translation.

Traced paths are followed through the code that the engine would generate for them.
Nothing runs, so the numbers are exact and reproducible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iced_x86 import Decoder, FlowControl, Instruction

from ubypass.abi import Abi, SiteKey, Translation
from ubypass.device.types import Path
from ubypass.engine.build import Builder
from ubypass.engine.built import NothingToBuild, Refused
from ubypass.engine.profile import Profile
from ubypass.region.reader import CodeReader

__all__ = ["TracedPath", "Walker", "executed", "profile_of"]


@dataclass(frozen=True, slots=True)
class TracedPath:
    """The path of one gap, from the return of call ``nr`` at ``resume``.

    ``ips``: addresses of the instructions in order, the last one that of the next
    system call; empty for a gap that is too long.
    """

    resume: int
    nr: int
    ips: tuple[int, ...]

    @property
    def key(self) -> SiteKey:
        """The site whose gap it is."""
        return SiteKey(self.resume, self.nr)


def executed(
    paths: Sequence[TracedPath], reader: CodeReader, abi: Abi | None = None
) -> list[int | None]:
    """Number of translated instructions on each of ``paths``, which are consecutive.

    None where the translation exits before the next call. A path continues behind the
    dispatch of the one before it, or else begins at the entry.
    """
    abi = abi or Abi()
    try:
        built = Builder(abi)(profile_of(paths), reader)
    except (NothingToBuild, Refused):
        return [None] * len(paths)
    walker = Walker(built.translation, abi)
    found: list[int | None] = []
    start: int | None = None
    # A path ends at the call that the next one returns from.
    ends = [*(path.nr for path in paths[1:]), None]
    for path, nr in zip(paths, ends, strict=True):
        if start is None:
            start = walker.entries.get(path.resume)
        walked = None
        if start is not None and path.ips:
            walked = walker.walk(start, path.ips, nr)
        found.append(walked[0] if walked is not None else None)
        start = walked[1] if walked is not None else None
    return found


def profile_of(paths: Sequence[TracedPath]) -> Profile:
    """The profile that the engine would have after these paths."""
    profile = Profile()
    for path in paths:
        profile.count_call(path.resume, path.nr)
        if not path.ips:
            profile.set_barriers(profile.barriers | {path.key})
            continue
        profile.add_entry(path.key)
        profile.add_path(Path(path.resume, path.nr, path.ips))
    return profile


class Walker:
    """Finds paths through one translation. ``entries``: their offsets by address."""

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
        """Follow ``ips`` from the code at ``start`` to a dispatch of call ``nr``.

        None for ``nr``: of any call. The number of instructions up to the dispatch, and
        the offset behind it; None if the code has no such path.
        """
        # An instruction that repeats itself is in ``ips`` once per repetition.
        path = [ip for n, ip in enumerate(ips) if n == 0 or ips[n - 1] != ip]
        repeats = len(ips) - len(path)
        todo = [(start, 0, True, 0)]
        seen: set[tuple[int, int]] = set()
        while todo:
            at, position, jumped, count = todo.pop()
            for there in self._positions(at, path, position, jumped):
                if (at, there) in seen:
                    continue
                seen.add((at, there))
                if at in self._behind:
                    if there == len(path) - 1 and nr in (None, self._numbers[at]):
                        return count + repeats, self._behind[at]
                    continue
                todo += [
                    (following, there, away, count + 1)
                    for following, away in self._following(at)
                ]
        return None

    def _positions(
        self, at: int, path: Sequence[int], position: int, jumped: bool
    ) -> set[int]:
        """Where on the path the code at ``at`` may be, coming from ``position``.

        The code's marks must follow the path. A jump may lead behind marks that belong
        to the code before.
        """
        marks = self._marks.get(at, [])
        found = set()
        for first in range(len(marks) + 1 if jumped else 1):
            there = position
            for mark in marks[first:]:
                if mark == path[there]:
                    continue
                there += 1
                if there == len(path) or mark != path[there]:
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
