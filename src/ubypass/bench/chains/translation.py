# SPDX-License-Identifier: GPL-2.0-only
"""What the project's translator makes of a chain's ways, verified as always."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ubypass.abi import Abi, Translation
from ubypass.bench.chains.clock import Clock
from ubypass.bench.chains.snapshot import Area, Capture
from ubypass.cost.gap import profile
from ubypass.cost.model import Model
from ubypass.engine.build import CANDIDATES, make_spec, uncollected
from ubypass.engine.growth import Way, knowledge_of
from ubypass.errors import UbError
from ubypass.region.decode import Decoded
from ubypass.region.discover import Limits, discover
from ubypass.region.graph import Region
from ubypass.translate.clone import with_clones
from ubypass.translate.flow import solve
from ubypass.translate.layout import TooLarge, assemble
from ubypass.translate.translate import translate
from ubypass.verify.check import VerifyError, check

__all__ = ["Bounds", "Image", "Made", "full_ways", "make"]

_MAX_CODE = 1 << 22
_TURNS = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the translator may take on: user ``instructions`` in the region and in
    copies of called code, ``aside`` of traced ways, ``candidates`` of an indirect
    branch, and the ``longest`` gap; what is longer stays native. ``model``: so does
    what that one finds likely to lose.
    """

    instructions: int = 12_000
    aside: int = 24
    candidates: int = CANDIDATES
    longest: int = 1 << 20
    model: Model | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """``instructions`` of user code were translated; ``translation`` is verified."""

    translation: Translation
    instructions: int


class Image:
    """Memory of a capture with bytes of its code replaced, to read code from."""

    def __init__(self, capture: Capture, patches: Mapping[int, bytes]) -> None:
        self._capture = capture
        self._patches = patches
        self._contents: dict[int, bytes] = {}

    def is_code(self, address: int) -> bool:
        """Whether the address is in executable memory that cannot be written."""
        area = self._area(address)
        return area is not None and area.executable and not area.writable

    def read(self, address: int, size: int) -> bytes:
        """See :class:`ubypass.region.reader.CodeReader`."""
        return self.read_data(address, size) if self.is_code(address) else b""

    def read_data(self, address: int, size: int) -> bytes:
        """See :class:`ubypass.region.reader.DataReader`."""
        area = self._area(address)
        if area is None:
            return b""
        content = self._contents.get(area.start)
        if content is None:
            content = self._content(area)
            self._contents[area.start] = content
        return content[address - area.start : address - area.start + size]

    def _area(self, address: int) -> Area | None:
        for area in self._capture.areas:
            if area.start <= address < area.end:
                return area
        return None

    def _content(self, area: Area) -> bytes:
        content = bytearray(self._capture.content(area))
        for at, new in self._patches.items():
            if area.start <= at < area.end:
                content[at - area.start : at - area.start + len(new)] = new
        return bytes(content)


def full_ways(capture: Capture, clock: Clock) -> tuple[Way, ...]:
    """The ways with what is executed in the vDSO's place."""
    return tuple(
        replace(
            way, ips=tuple(at for ip in way.ips for at in clock.ways.get(ip, (ip,)))
        )
        for way in capture.ways
    )


def make(
    ways: Sequence[Way],
    image: Image,
    abi: Abi,
    bounds: Bounds,
    nonpointers: Mapping[int, int] | None = None,
) -> Made:
    """One region for all ways. Raises UbError if none of it can be translated.

    ``nonpointers``: see :class:`ubypass.region.graph.Region`.
    """
    abi = replace(abi, max_code=_MAX_CODE)
    knowledge = knowledge_of(_taken(ways, Decoded(image), bounds))
    for resume in knowledge.stops:
        knowledge.entries.pop(resume, None)
    spec = replace(
        make_spec(knowledge),
        traced=frozenset(knowledge.trodden),
        execution_counts=dict(knowledge.trodden),
        nonpointers=dict(sorted((nonpointers or {}).items())),
    )
    if not spec.entries:
        raise UbError(
            "no gap is short enough, or likely to gain",
            "allow longer ones with --longest, others without --model",
        )
    limits = Limits(
        bounds.instructions,
        bounds.aside,
        candidates=bounds.candidates,
        detour=bounds.aside,
        explored=bounds.instructions,
    )
    with uncollected():
        region = discover(spec, image, limits)
        try:
            made = _translated(region, abi, bounds, careful=False)
            check(made, abi)
        except VerifyError:
            made = _translated(region, abi, bounds, careful=True)
            check(made, abi)
    return Made(made, region.instruction_count)


def _taken(ways: Sequence[Way], code: Decoded, bounds: Bounds) -> list[Way]:
    """The ways; those that are to stay native without their instructions."""
    losing = _losing(ways, code, bounds.model) if bounds.model else frozenset()
    return [
        replace(way, ips=())
        if len(way.ips) > bounds.longest or way.resume in losing
        else way
        for way in ways
    ]


def _losing(ways: Sequence[Way], code: Decoded, model: Model) -> frozenset[int]:
    """Sites whose gaps are likely to lose, on average."""
    savings: dict[int, list[float]] = {}
    for way in ways:
        saving = model.saving(profile(way.ips, code)).likely
        savings.setdefault(way.resume, []).append(saving)
    return frozenset(resume for resume, all_ in savings.items() if sum(all_) < 0)


def _translated(region: Region, abi: Abi, bounds: Bounds, careful: bool) -> Translation:
    with contextlib.suppress(TooLarge):
        shape = with_clones(region, bounds.instructions)
        return assemble(solve(shape, abi, _TURNS, careful))
    return translate(region, abi, careful=careful)
