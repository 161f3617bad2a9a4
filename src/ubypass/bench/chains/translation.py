# SPDX-License-Identifier: GPL-2.0-only
"""The project's translation of a chain's paths, verified as always."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ubypass.abi import Abi, SiteKey, Translation
from ubypass.bench.chains.clock import Clock
from ubypass.bench.chains.snapshot import Area, Capture
from ubypass.cost.gap import profile_gap
from ubypass.cost.model import Model
from ubypass.engine.build import CANDIDATES, make_spec, uncollected
from ubypass.engine.growth import TracedPath, profile_of
from ubypass.errors import UbError
from ubypass.region.decode import Decoded
from ubypass.region.discover import Limits, discover
from ubypass.region.graph import Region
from ubypass.translate.clone import with_clones
from ubypass.translate.flow import solve
from ubypass.translate.layout import TooLarge, assemble
from ubypass.translate.translate import translate
from ubypass.verify.check import VerifyError, check

__all__ = ["Bounds", "Image", "Made", "full_paths", "make"]

_MAX_CODE = 1 << 22
_TURNS = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of the translator.

    ``instructions``: most user instructions in the region and in clones; ``aside``:
    most instructions beside traced paths; ``candidates``: most targets of an indirect
    branch; ``longest``: most instructions of a translated gap, longer ones stay native.
    ``model``: a cost model; gaps that it predicts to lose stay native, None: no gap.
    ``trusted``: translate as for a trusted program.
    """

    instructions: int = 12_000
    aside: int = 24
    candidates: int = CANDIDATES
    longest: int = 1 << 20
    model: Model | None = None
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A verified translation of ``instructions`` user instructions."""

    translation: Translation
    instructions: int


class Image:
    """A reader of the memory of a capture, with patched code."""

    def __init__(self, capture: Capture, patches: Mapping[int, bytes]) -> None:
        self._capture = capture
        self._patches = patches
        self._contents: dict[int, bytes] = {}

    def is_code(self, address: int) -> bool:
        """Whether the address is in executable memory that is not writable."""
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


def full_paths(capture: Capture, clock: Clock) -> tuple[TracedPath, ...]:
    """The paths, with the instructions of the vDSO's replacements."""
    return tuple(
        replace(
            path, ips=tuple(at for ip in path.ips for at in clock.paths.get(ip, (ip,)))
        )
        for path in capture.paths
    )


def make(
    paths: Sequence[TracedPath],
    image: Image,
    abi: Abi,
    bounds: Bounds,
    nonpointers: Mapping[int, int] | None = None,
) -> Made:
    """Translate one region with all paths. Raises UbError if there is nothing to build.

    ``nonpointers``: see :class:`ubypass.region.graph.Region`.
    """
    abi = replace(abi, max_code=_MAX_CODE, trusted=bounds.trusted)
    profile = profile_of(_taken(paths, Decoded(image), bounds))
    for site in profile.barriers:
        profile.remove_entry(site)
    spec = replace(
        make_spec(profile),
        traced=frozenset(profile.execution_counts),
        execution_counts=dict(profile.execution_counts),
        nonpointers=dict(sorted((nonpointers or {}).items())),
    )
    if not spec.entries:
        raise UbError(
            "no gap is short enough, or profitable by the model",
            "allow longer gaps with --longest, unprofitable ones without --chosen",
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


def _taken(
    paths: Sequence[TracedPath], code: Decoded, bounds: Bounds
) -> list[TracedPath]:
    """The paths; those of gaps that stay native are empty."""
    losing = _losing(paths, code, bounds.model) if bounds.model else frozenset()
    return [
        replace(path, ips=())
        if len(path.ips) > bounds.longest or path.key in losing
        else path
        for path in paths
    ]


def _losing(
    paths: Sequence[TracedPath], code: Decoded, model: Model
) -> frozenset[SiteKey]:
    """Sites whose gaps are likely to lose, on average."""
    savings: dict[SiteKey, list[float]] = {}
    for path in paths:
        saving = model.saving(profile_gap(path.ips, code)).likely
        savings.setdefault(path.key, []).append(saving)
    return frozenset(site for site, all_ in savings.items() if sum(all_) < 0)


def _translated(region: Region, abi: Abi, bounds: Bounds, careful: bool) -> Translation:
    with contextlib.suppress(TooLarge):
        shape = with_clones(region, bounds.instructions)
        return assemble(solve(shape, abi, _TURNS, careful))
    return translate(region, abi, careful=careful)
