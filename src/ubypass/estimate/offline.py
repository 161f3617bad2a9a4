# SPDX-License-Identifier: GPL-2.0-only
"""Whether gaps that were stepped would be translated, and what they would save.

With the engine's own builder, so within the bounds that it has; nothing is loaded.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from iced_x86 import FlowControl

from ubypass.abi import Abi
from ubypass.cost.gap import profile
from ubypass.cost.model import Model, Range
from ubypass.engine import growth
from ubypass.engine.build import Builder
from ubypass.engine.built import NothingToBuild, Refused
from ubypass.engine.forecast import Forecast
from ubypass.errors import UbError
from ubypass.estimate.steps import End, Way
from ubypass.region.decode import Decoded
from ubypass.translate.allowlist import group, reason

__all__ = ["Kind", "Looked", "Memory", "Offline", "Verdict"]


#: Instructions of a gap that took too long to step, from which on it is a long one.
_LATE_IS_LONG = 1500


class Kind(NamedTuple):
    """Gaps from the return of call ``nr`` at ``resume`` to the call that returns to
    ``following``; 0: no call was reached.
    """

    resume: int
    nr: int
    following: int


class Verdict(enum.StrEnum):
    """What would become of the gaps of a kind."""

    TRANSLATED = "translated"
    UNSEEN = "not looked at"
    LONG = "too long"
    ODD = "not translatable"
    LEAVES = "left half-way"
    REFUSED = "refused"
    NATIVE_CALL = "call not dispatched"


_NOTHING = Range(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Looked:
    """``instructions`` of user code in such a gap, the median, and by what factor they
    grow in the translation, if there is one; ``saving``: ns of each, if dispatched.
    ``why`` it is not, for people.
    """

    verdict: Verdict
    ways: int
    instructions: int
    growth: float | None = None
    saving: Range = _NOTHING
    why: str = ""


class Memory(Protocol):
    """What is needed of a ``ProcessMemory``."""

    def read(self, address: int, size: int) -> bytes: ...

    def read_data(self, address: int, size: int) -> bytes: ...


class Offline:
    """Looks at ways through the code in ``memory``."""

    def __init__(self, memory: Memory, model: Model, abi: Abi | None = None) -> None:
        self._memory = memory
        self._model = model
        self._abi = abi or Abi()
        self._longest = Forecast().distinct

    def look(self, ways: Sequence[Way]) -> dict[Kind, Looked]:
        """All kinds of gaps in ``ways``."""
        kinds: dict[Kind, list[Way]] = {}
        for way in ways:
            if way.end is End.LATE and len(way.ips) < _LATE_IS_LONG:
                continue
            if way.end is not End.SIGNAL:
                kinds.setdefault(Kind(way.resume, way.nr, way.following), []).append(
                    way
                )
        decoded = Decoded(self._memory)
        found: dict[Kind, Looked] = {}
        short: dict[Kind, list[Way]] = {}
        for kind, its in kinds.items():
            seen = self._unfit(its, decoded)
            if seen is None:
                short[kind] = its
            else:
                found[kind] = seen
        found.update(self._translated(short, decoded))
        return found

    def _unfit(self, ways: Sequence[Way], code: Decoded) -> Looked | None:
        """What is known without translating; None: it has to be tried."""
        length = _median(len(way.ips) - 1 for way in ways)
        if any(way.end in (End.LONG, End.LATE) for way in ways):
            why = f"{length:,} instructions and more to the next call"
            return Looked(Verdict.LONG, len(ways), length, why=why)
        distinct = min(len(set(way.ips)) for way in ways)
        if distinct > self._longest:
            why = f"{distinct:,} different instructions to the next call"
            return Looked(Verdict.LONG, len(ways), length, why=why)
        odd = next((way for way in ways if way.end is End.ODD), None)
        if odd is not None:
            what = code.at(odd.ips[-1])
            name = "an instruction" if what is None else f"'{what}'"
            why = f"{name} shows or changes what only user mode has"
            return Looked(Verdict.ODD, len(ways), length, why=why)
        for way in ways:
            for ip in way.ips[:-1]:
                what = code.at(ip)
                if what is None:
                    why = f"no code that stays as it is at {ip:#x}"
                    return Looked(Verdict.ODD, len(ways), length, why=why)
                if what.flow_control == FlowControl.NEXT and group(what.code) is None:
                    why = f"'{what}': {reason(what)}"
                    return Looked(Verdict.ODD, len(ways), length, why=why)
        return None

    def _translated(
        self, kinds: dict[Kind, list[Way]], code: Decoded
    ) -> dict[Kind, Looked]:
        """In one region, as far as that goes; what leaves there, in one of its own."""
        if not kinds:
            return {}
        walk, refused = self._built([way for ways in kinds.values() for way in ways])
        found = {}
        for kind, ways in kinds.items():
            inside, why = self._walked(walk, ways), refused
            if inside is None:
                alone, why = self._built(ways)
                inside = self._walked(alone, ways)
            length = _median(len(way.ips) - 1 for way in ways)
            if inside is None:
                verdict = Verdict.REFUSED if why else Verdict.LEAVES
                why = why or "the translation leaves before the next call"
                found[kind] = Looked(verdict, len(ways), length, why=why)
                continue
            native = sum(len(way.ips) - 1 for way in ways)
            saving = self._saving(ways, code)
            grown = sum(inside) / native if native else None
            verdict = Verdict.TRANSLATED
            found[kind] = Looked(verdict, len(ways), length, grown, saving)
        return found

    def _saving(self, ways: Sequence[Way], code: Decoded) -> Range:
        """Of one of them, the mean."""
        each = (self._model.saving(profile(way.ips, code)) for way in ways)
        return sum(each, _NOTHING).times(1 / len(ways))

    def _built(self, ways: Sequence[Way]) -> tuple[_Walk | None, str]:
        """Finds ways in a translation of ``ways``; or None, and why there is none."""
        known = growth.knowledge_of(
            [growth.Way(way.resume, way.nr, way.ips) for way in ways]
        )
        try:
            built = Builder(self._abi)(known, self._memory)
        except NothingToBuild:
            return None, "there is no code that could be translated"
        except Refused as error:
            return None, str(error)
        except UbError as error:
            return None, error.message
        walker = growth.Walker(built.translation, self._abi)

        def walk(way: Way) -> int | None:
            start = walker.entries.get(way.resume)
            walked = None if start is None else walker.walk(start, way.ips)
            return None if walked is None else walked[0]

        return walk, ""

    def _walked(self, walk: _Walk | None, ways: Sequence[Way]) -> list[int] | None:
        """Instructions in the translation; None unless most of them come through."""
        if walk is None:
            return None
        inside = [count for way in ways if (count := walk(way)) is not None]
        return inside if 2 * len(inside) > len(ways) else None


_Walk = Callable[[Way], int | None]


def _median(lengths: Iterable[int]) -> int:
    return round(statistics.median(lengths))
