# SPDX-License-Identifier: GPL-2.0-only
"""From what is known of a process to a verified translation.

Importing this module imports the translator and the verifier: the engine does so
before a program starts, because their start-up would delay its first boost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ubypass.abi import Abi, Translation
from ubypass.engine.built import Built, NothingToBuild, Refused
from ubypass.engine.knowledge import Knowledge
from ubypass.errors import UbError
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover
from ubypass.region.graph import Region
from ubypass.region.reader import CodeReader
from ubypass.translate.translate import translate
from ubypass.verify.check import VerifyError, check

__all__ = ["Builder", "make_spec"]

#: How far to explore (instructions), by how many frontiers turned out hot. A short
#: reach finds a tight loop and little else, so the first boost comes fast; the more
#: frontiers are hit, the longer the gap is, and the fewer rounds it should take.
_REACHES = ((2, 32), (4, 48), (8, 64), (16, 96))
_LONGEST_REACH = 128

#: Halvings of the region's size when its translation does not fit.
_SHRINKS = 4


class Builder:
    """Builds for one module (``abi``); callable."""

    def __init__(self, abi: Abi) -> None:
        self._abi = abi

    def __call__(self, knowledge: Knowledge, reader: CodeReader) -> Built:
        """Discover, translate and verify.

        Raises :class:`NothingToBuild` or :class:`Refused`.
        """
        spec = make_spec(knowledge)
        if not spec.entries:
            raise NothingToBuild
        region, translation = self._fitting(spec, reader)
        if not translation.dispatches:
            raise NothingToBuild
        try:
            check(translation, self._abi)
        except VerifyError as error:
            raise Refused(f"the verifier refused a translation: {error}") from error
        return Built(region, translation)

    def _fitting(
        self, spec: RegionSpec, reader: CodeReader
    ) -> tuple[Region, Translation]:
        """The largest region, halving by halving, whose translation fits."""
        limits = Limits(reach=_reach(len(spec.blocks)))
        reason = ""
        for _ in range(_SHRINKS):
            try:
                region = discover(spec, reader, limits)
            except UbError as error:
                raise NothingToBuild from error
            try:
                translation = translate(region, self._abi)
            except UbError as error:
                reason = error.message
            else:
                if len(translation.code) <= self._abi.max_code:
                    return region, translation
                reason = f"{len(translation.code)} bytes of code are too many"
            limits = replace(limits, region=limits.region // 2)
        raise Refused(f"the hot code cannot be translated: {reason}")


def make_spec(knowledge: Knowledge) -> RegionSpec:
    """What the discoverer asks for, hottest targets first."""
    entries = tuple(
        HotEntry(resume, site.nr, stack)
        for resume, site in knowledge.entries.items()
        for stack in site.stacks or [()]
    )
    targets: Mapping[int, tuple[int, ...]] = {
        site: tuple(sorted(seen, key=lambda t: (-seen[t], t)))
        for site, seen in knowledge.targets.items()
    }
    return RegionSpec(entries, tuple(knowledge.starts), targets)


def _reach(frontiers: int) -> int:
    return next((r for most, r in _REACHES if frontiers <= most), _LONGEST_REACH)
