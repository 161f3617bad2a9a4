# SPDX-License-Identifier: GPL-2.0-only
"""Whether stepped gaps would be translated, and how much time they would save.

Uses the engine's own builder with its own bounds; nothing is loaded into the kernel.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from iced_x86 import FlowControl

from ubypass.abi import Abi, SiteKey
from ubypass.cost.gap import profile_gap
from ubypass.cost.model import Model, Range
from ubypass.engine import growth
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.build import Builder
from ubypass.engine.built import NothingToBuild, Refused
from ubypass.errors import UbError
from ubypass.estimate.steps import End, SteppedPath
from ubypass.region.decode import Decoded
from ubypass.translate.allowlist import group, reason

__all__ = ["Kind", "Looked", "Memory", "Offline", "Verdict"]


#: A gap that took too long to step counts as long from this number of instructions on.
_LATE_IS_LONG = 1500


class Kind(NamedTuple):
    """A kind of gap: from the return of call ``nr`` at ``resume`` to the call that
    returns to ``following``; 0: no call was reached.
    """

    resume: int
    nr: int
    following: int

    @property
    def site(self) -> SiteKey:
        """The site behind whose call it is."""
        return SiteKey(self.resume, self.nr)


class Verdict(enum.StrEnum):
    """How the engine would treat the gaps of a kind."""

    TRANSLATED = "translated"
    UNSEEN = "not looked at"
    LONG = "too long"
    UNTRANSLATABLE = "not translatable"
    LEAVES = "leaves early"
    REFUSED = "refused"
    NATIVE_CALL = "call not dispatched"


_NOTHING = Range(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Looked:
    """The result for one kind of gap, from ``paths`` paths.

    ``instructions``: the median number of user instructions. ``growth``: factor of
    instructions in the translation, None without one. ``saving``: ns for each gap, if
    dispatched. ``why`` there is no translation, as text for people.
    """

    verdict: Verdict
    paths: int
    instructions: int
    growth: float | None = None
    saving: Range = _NOTHING
    why: str = ""


class Memory(Protocol):
    """The part of ``ProcessMemory`` in use."""

    def read(self, address: int, size: int) -> bytes: ...

    def read_data(self, address: int, size: int) -> bytes: ...


class Offline:
    """Translates paths through the code in ``memory`` without running anything."""

    def __init__(self, memory: Memory, model: Model, abi: Abi | None = None) -> None:
        self._memory = memory
        self._model = model
        self._abi = abi or Abi()
        self._longest = AdmissionPolicy().max_distinct

    def look(self, paths: Sequence[SteppedPath]) -> dict[Kind, Looked]:
        """The results for all kinds of gaps in ``paths``."""
        kinds: dict[Kind, list[SteppedPath]] = {}
        for path in paths:
            if path.end is End.LATE and len(path.ips) < _LATE_IS_LONG:
                continue
            if path.end is not End.SIGNAL:
                kinds.setdefault(Kind(path.resume, path.nr, path.following), []).append(
                    path
                )
        decoded = Decoded(self._memory)
        found: dict[Kind, Looked] = {}
        short: dict[Kind, list[SteppedPath]] = {}
        for kind, its in kinds.items():
            seen = self._unfit(its, decoded)
            if seen is None:
                short[kind] = its
            else:
                found[kind] = seen
        found.update(self._translated(short, decoded))
        return found

    def _unfit(self, paths: Sequence[SteppedPath], code: Decoded) -> Looked | None:
        """The verdict without a translation; None: a translation has to be tried."""
        length = _median(len(path.ips) - 1 for path in paths)
        if any(path.end in (End.LONG, End.LATE) for path in paths):
            why = f"at least {length:,} instructions to the next call"
            return Looked(Verdict.LONG, len(paths), length, why=why)
        distinct = min(len(set(path.ips)) for path in paths)
        if distinct > self._longest:
            why = f"{distinct:,} different instructions to the next call"
            return Looked(Verdict.LONG, len(paths), length, why=why)
        unsteppable = next(
            (path for path in paths if path.end is End.UNSTEPPABLE), None
        )
        if unsteppable is not None:
            what = code.at(unsteppable.ips[-1])
            name = "an instruction" if what is None else f"'{what}'"
            why = f"{name} depends on user mode"
            return Looked(Verdict.UNTRANSLATABLE, len(paths), length, why=why)
        for path in paths:
            for ip in path.ips[:-1]:
                what = code.at(ip)
                if what is None:
                    why = f"no unmodifiable code at {ip:#x}"
                    return Looked(Verdict.UNTRANSLATABLE, len(paths), length, why=why)
                if what.flow_control == FlowControl.NEXT and group(what.code) is None:
                    why = f"'{what}': {reason(what)}"
                    return Looked(Verdict.UNTRANSLATABLE, len(paths), length, why=why)
        return None

    def _translated(
        self, kinds: dict[Kind, list[SteppedPath]], code: Decoded
    ) -> dict[Kind, Looked]:
        """Try all kinds in one region; kinds that exit early there, in one each."""
        if not kinds:
            return {}
        walk, refused = self._built(
            [path for paths in kinds.values() for path in paths]
        )
        found = {}
        for kind, paths in kinds.items():
            inside, why = self._walked(walk, paths), refused
            if inside is None:
                alone, why = self._built(paths)
                inside = self._walked(alone, paths)
            length = _median(len(path.ips) - 1 for path in paths)
            if inside is None:
                verdict = Verdict.REFUSED if why else Verdict.LEAVES
                why = why or "the translation exits before the next call"
                found[kind] = Looked(verdict, len(paths), length, why=why)
                continue
            native = sum(len(path.ips) - 1 for path in paths)
            saving = self._saving(paths, code)
            grown = sum(inside) / native if native else None
            verdict = Verdict.TRANSLATED
            found[kind] = Looked(verdict, len(paths), length, grown, saving)
        return found

    def _saving(self, paths: Sequence[SteppedPath], code: Decoded) -> Range:
        """The mean saving of a gap in ns."""
        each = (self._model.saving(profile_gap(path.ips, code)) for path in paths)
        return sum(each, _NOTHING).times(1 / len(paths))

    def _built(self, paths: Sequence[SteppedPath]) -> tuple[_Walk | None, str]:
        """A walker of paths in a translation of ``paths``; or None, and the reason."""
        known = growth.profile_of(
            [growth.TracedPath(path.resume, path.nr, path.ips) for path in paths]
        )
        try:
            built = Builder(self._abi)(known, self._memory)
        except NothingToBuild:
            return None, "there is no translatable code"
        except Refused as error:
            return None, str(error)
        except UbError as error:
            return None, error.message
        walker = growth.Walker(built.translation, self._abi)

        def walk(path: SteppedPath) -> int | None:
            start = walker.entries.get(path.resume)
            walked = None if start is None else walker.walk(start, path.ips)
            return None if walked is None else walked[0]

        return walk, ""

    def _walked(
        self, walk: _Walk | None, paths: Sequence[SteppedPath]
    ) -> list[int] | None:
        """Instructions in the translation by path; None unless most paths complete."""
        if walk is None:
            return None
        inside = [count for path in paths if (count := walk(path)) is not None]
        return inside if 2 * len(inside) > len(paths) else None


_Walk = Callable[[SteppedPath], int | None]


def _median(lengths: Iterable[int]) -> int:
    return round(statistics.median(lengths))
