# SPDX-License-Identifier: GPL-2.0-only
"""From what is known of a process to a verified translation.

Importing this module imports the translator and the verifier: the engine does so
before a program starts, because their start-up would delay its first boost.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from ubypass.abi import Abi, Translation
from ubypass.engine.built import Built, NothingToBuild, Refused
from ubypass.engine.heat import natural_starts
from ubypass.engine.knowledge import HotSite, Knowledge
from ubypass.errors import UbError
from ubypass.region.decode import Decoded
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover
from ubypass.region.graph import Region
from ubypass.region.reader import BytesReader, CodeReader
from ubypass.region.stackwalk import learn_returns
from ubypass.translate.translate import translate
from ubypass.verify.check import VerifyError, check

__all__ = ["CANDIDATES", "Builder", "make_spec", "uncollected"]

#: User instructions in a region at most. Larger ones take seconds to build, and so
#: long a gap gains little.
_REGION = 1500

#: User instructions looked at for it at most.
_EXPLORED = 1500

#: How far to explore, in instructions, by effort: from entries; around hot frontiers
#: even where no system call is in sight; and beyond the shortest way to one. A short
#: reach finds a tight loop and little else, so the first boost comes fast.
_REACHES = ((32, 0, None), (256, 24, 48), (512, 48, 48))

#: Where ways were traced: how far to explore around them, and how long a way around
#: may be.
_ASIDE = 24

#: Targets of one return or indirect branch, most often taken first. nginx has returns
#: with five and more on the way of each request, and runs that miss one cost as much as
#: a dispatch gains (``ub bench chains nginx --candidates``: 1.5 % of a request with
#: log gained with 16, 0.7 % lost with 4).
CANDIDATES = 16

#: Sampled addresses that are explored from, the hottest.
_SAMPLES = 512

#: Halvings of the region's size when its translation does not fit or is refused.
_SHRINKS = 4


#: A loop around getpid, with a call, a return and memory, for :meth:`warm_up`.
_SAMPLE_START = 0x1000
_SAMPLE_RETURN = 0x1005
_SAMPLE_RESUME = 0x1017
_SAMPLE = bytes.fromhex(
    "e80b000000"  # 1000 call 1010
    "480145f8"  # 1005 add [rbp-8], rax
    "48ffcb"  # 1009 dec rbx
    "75f2"  # 100c jne 1000
    "c390"  # 100e ret; nop
    "b827000000"  # 1010 mov eax, 39
    "0f05"  # 1015 syscall
    "c3"  # 1017 ret
)


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for cyclic garbage meanwhile.

    A build makes a great many small objects and hardly any cycles; looking for
    them takes a seventh of its time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Builder:
    """Builds for one module (``abi``); callable."""

    def __init__(self, abi: Abi) -> None:
        self._abi = abi

    def warm_up(self) -> None:
        """Build something small, so that the first real build finds all tables made.

        Halves the time of a first build. What comes out is thrown away.
        """
        sample = Knowledge(
            entries={_SAMPLE_RESUME: HotSite(39, [(_SAMPLE_RETURN,)])},
        )
        self(sample, BytesReader({_SAMPLE_START: _SAMPLE}))

    def __call__(self, knowledge: Knowledge, reader: CodeReader) -> Built:
        """Discover, translate and verify.

        Raises :class:`NothingToBuild` or :class:`Refused`.
        """
        with uncollected():
            return self._build(knowledge, reader)

    def _build(self, knowledge: Knowledge, reader: CodeReader) -> Built:
        spec = make_spec(knowledge)
        if not spec.entries:
            raise NothingToBuild
        spec = _with_stacks(spec, knowledge, reader)
        reach, fringe, detour = _REACHES[min(knowledge.effort, len(_REACHES) - 1)]
        limits = Limits(
            _REGION, reach, fringe=fringe, detour=detour, explored=_EXPLORED
        )
        if knowledge.is_traced:
            limits = replace(
                limits, reach=_ASIDE, fringe=0, candidates=CANDIDATES, detour=_ASIDE
            )
            trodden = knowledge.trodden
            spec = replace(
                spec, traced=frozenset(trodden), execution_counts=dict(trodden)
            )
        elif knowledge.samples:
            spec = _with_samples(spec, knowledge, reader, limits)
        return self._fitting(spec, reader, limits)

    def _fitting(self, spec: RegionSpec, reader: CodeReader, limits: Limits) -> Built:
        """The largest region, halving by halving, that fits and passes the verifier."""
        reason = ""
        for _ in range(_SHRINKS):
            try:
                region = discover(spec, reader, limits)
            except UbError as error:
                raise NothingToBuild from error
            try:
                translation = self._verified(region)
            except VerifyError as error:
                reason = f"the verifier refused a translation: {error}"
            except UbError as error:
                reason = f"the hot code cannot be translated: {error.message}"
            else:
                if not translation.entries:
                    raise NothingToBuild
                return Built(region, translation)
            limits = replace(
                limits, region=limits.region // 2, explored=limits.explored // 2
            )
        raise Refused(reason)

    def _verified(self, region: Region) -> Translation:
        """Raises UbError if it does not fit, VerifyError if it is not safe."""
        translation = translate(region, self._abi)
        if len(translation.code) > self._abi.max_code:
            raise UbError(f"{len(translation.code)} bytes of code are too many")
        try:
            check(translation, self._abi)
        except VerifyError:
            # Cleverness that the verifier cannot follow: do without.
            translation = translate(region, self._abi, careful=True)
            check(translation, self._abi)
        return translation


def make_spec(knowledge: Knowledge) -> RegionSpec:
    """What the discoverer asks for, hottest targets first."""
    entries = tuple(
        HotEntry(resume, site.nr, stack)
        for resume, site in knowledge.entries.items()
        for stack in site.stacks or [()]
    )
    counts: dict[int, Counter[int]] = {}
    for known in (knowledge.targets, knowledge.jumps):
        for site, seen in known.items():
            counts.setdefault(site, Counter()).update(seen)
    targets: Mapping[int, tuple[int, ...]] = {
        site: tuple(sorted(seen, key=lambda t: (-seen[t], t)))
        for site, seen in counts.items()
    }
    return RegionSpec(
        entries,
        knowledge.warm_starts,
        targets,
        stops=frozenset(knowledge.stops),
        numbers={
            site: tuple(sorted(seen, key=lambda nr: -seen[nr]))
            for site, seen in knowledge.numbers.items()
        },
        nonpointers=knowledge.nonpointers,
    )


def _with_stacks(
    spec: RegionSpec, knowledge: Knowledge, reader: CodeReader
) -> RegionSpec:
    """Add where returns will go, as told by the stacks at missed branches."""
    code = Decoded(reader)
    targets = {site: list(known) for site, known in spec.targets.items()}
    for ip, stack in knowledge.missed.items():
        for site, points in learn_returns(code, ip, stack).items():
            known = targets.setdefault(site, [])
            known.extend(point for point in points if point not in known)
    return replace(
        spec, targets={site: tuple(known) for site, known in targets.items()}
    )


def _with_samples(
    spec: RegionSpec, knowledge: Knowledge, reader: CodeReader, limits: Limits
) -> RegionSpec:
    """Add the basic blocks in which user mode was seen, to be explored from as well."""
    hottest = [address for address, _ in knowledge.samples.most_common(_SAMPLES)]
    samples = sorted(set(hottest) - set(spec.seeds))
    try:
        region = discover(replace(spec, seeds=(*spec.seeds, *samples)), reader, limits)
    except UbError as error:
        raise NothingToBuild from error
    starts = natural_starts(region, samples, limits.reach)
    return replace(spec, seeds=tuple(dict.fromkeys((*spec.seeds, *starts))))
