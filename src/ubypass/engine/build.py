# SPDX-License-Identifier: GPL-2.0-only
"""From the profile of a process to a verified translation.

Importing this module imports the translator and the verifier: the engine does so
before a program starts, because their start-up would delay its first boost.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from ubypass.abi import Abi, SiteKey, Translation
from ubypass.engine.built import Built, NothingToBuild, Postponed, Reached, Refused
from ubypass.engine.ports import SharedLike
from ubypass.engine.profile import HotSite, Profile
from ubypass.engine.samples import sampled_blocks
from ubypass.errors import UbError
from ubypass.region.decode import Decoded
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover, regions
from ubypass.region.graph import Region
from ubypass.region.reader import BytesReader, CodeReader
from ubypass.region.stackwalk import learn_returns
from ubypass.translate.translate import translate
from ubypass.verify.check import VerifyError, check

__all__ = ["CANDIDATES", "Builder", "make_spec", "uncollected"]

#: Most user instructions of a region that is searched for, without traced paths.
_REGION = 3000

#: The same around traced paths with short side paths. A region that has to drop some of
#: its traced paths ends runs there, and costs more than it gains: those of Redis' GET
#: and SET have 3,400 and 3,900 instructions, and translations of 200 KiB.
_TRACED_REGION = 4800

#: Most user instructions that discovery decodes around traced paths.
_EXPLORED = 12_000

#: How far to explore, in instructions, by effort: from entries; around hot frontiers
#: even if no system call is within reach; and beyond the shortest path to one. A short
#: reach finds a tight loop and little else, so the first boost comes fast.
_REACHES = ((32, 0, None), (256, 24, 48), (512, 48, 48))

#: Around traced paths: how far to explore, and how long a detour may be; the first one
#: with which the region has at most so many instructions counts. Side paths double the
#: time of a large build.
_ASIDES = ((24, 2000), (12, 3000), (6, _TRACED_REGION), (3, _TRACED_REGION))

#: Most targets of one return or indirect branch, the most frequent first. nginx has
#: returns with five and more on the path of each request, and a run that misses one
#: costs as much as a dispatch gains (``ub bench chains nginx --candidates``: 1.5 %
#: of a request with log gained with 16, 0.7 % lost with 4).
CANDIDATES = 16

#: Most sampled addresses that are explored from, the hottest ones.
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
    """Disable the cyclic garbage collector meanwhile.

    A build allocates many small objects and hardly any cycles; searching for them takes
    a seventh of its time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Builder:
    """Builds for one module (``abi``); callable.

    ``shared``: translations of other machines, which are verified like own ones; None:
    all are made here.
    """

    def __init__(self, abi: Abi, shared: SharedLike | None = None) -> None:
        self._abi = abi
        self._shared = shared

    def warm_up(self) -> None:
        """Build a small sample, so that all tables exist for the first real build.

        This halves the time of a first build. The result is discarded.
        """
        sample = Profile(
            entries={SiteKey(_SAMPLE_RESUME, 39): HotSite([(_SAMPLE_RETURN,)])},
        )
        Builder(self._abi)(sample, BytesReader({_SAMPLE_START: _SAMPLE}))

    def __call__(self, profile: Profile, reader: CodeReader) -> Built:
        """Discover, translate or find, and verify.

        Raises :class:`NothingToBuild`, :class:`Refused`, :class:`Postponed`, or
        :class:`Reached` for a region that reaches ``others`` of the profile.
        """
        with uncollected():
            return self._build(profile, reader)

    def _build(self, profile: Profile, reader: CodeReader) -> Built:
        spec = make_spec(profile)
        if not spec.entries:
            raise NothingToBuild
        spec = _with_stacks(spec, profile, reader)
        reach, fringe, detour = _REACHES[min(profile.effort, len(_REACHES) - 1)]
        limits = Limits(_REGION, reach, fringe=fringe, detour=detour, explored=_REGION)
        if profile.has_traced:
            counts = profile.execution_counts
            spec = replace(
                spec,
                traced=frozenset(counts),
                rare=profile.rests.instructions.difference(counts),
                execution_counts=dict(counts),
            )
            return self._fitting(spec, reader, _limits_of_traced(), profile.others)
        if profile.samples:
            spec = _with_samples(spec, profile, reader, limits)
        return self._fitting(spec, reader, _halved(limits), profile.others)

    def _fitting(
        self,
        spec: RegionSpec,
        reader: CodeReader,
        choices: Iterable[Limits],
        others: frozenset[SiteKey],
    ) -> Built:
        """The first region of ``choices`` that fits and passes the verifier.

        Raises Reached before the translation, which takes most of the time.
        """
        reason = ""
        for limits, region in _discovered(spec, reader, choices):
            if region.instruction_count > limits.region:
                reason = f"the hot code has too many instructions (> {limits.region:,})"
                continue
            if reached := others.intersection(region.entries):
                raise Reached(reached)
            try:
                translation, doubt = self._found(region, reader)
            except VerifyError as error:
                reason = f"the verifier refused a translation: {error}"
            except UbError as error:
                reason = f"the hot code cannot be translated: {error.message}"
            else:
                if not translation.entries:
                    raise NothingToBuild
                return Built(region, translation, doubt)
        raise Refused(reason)

    def _found(self, region: Region, reader: CodeReader) -> tuple[Translation, str]:
        """A verified translation from another machine, or else from this one."""
        if self._shared is None:
            return self._verified(region)
        found, seconds = self._shared.find(region, reader)
        if found is not None:
            if not (reason := self._objection(found)):
                return found, ""
            self._shared.refuse(region, reason)
        elif seconds > 0:
            raise Postponed(seconds)
        translation, doubt = self._verified(region)
        self._shared.offer(region, careful=bool(doubt))
        return translation, doubt

    def _objection(self, translation: Translation) -> str:
        """Why a translation from elsewhere must not be loaded; "": it may be."""
        try:
            check(translation, self._abi)
        except VerifyError as error:
            return f"the verifier refused it: {error}"
        except Exception as error:
            # It may be anything: what the verifier cannot read is not safe either.
            return f"the verifier cannot read it: {type(error).__name__}"
        return ""

    def _verified(self, region: Region) -> tuple[Translation, str]:
        """A verified translation, and the verifier's objection to a faster one or "".

        Raises UbError if it does not fit, VerifyError if it is not safe.
        """
        translation = self._translated(region)
        if len(translation.code) > self._abi.max_code:
            raise UbError(
                f"the translation is too large ({len(translation.code)} bytes)"
            )
        try:
            check(translation, self._abi)
        except VerifyError as error:
            # An optimization that the verifier cannot follow: translate without.
            translation = self._translated(region, careful=True)
            check(translation, self._abi)
            doubt = f"rule {error.rule.value!r}: translated again with more checks"
            return translation, doubt
        return translation, ""

    def _translated(self, region: Region, *, careful: bool = False) -> Translation:
        with nullcontext() if self._shared is None else self._shared.exclusive():
            return translate(region, self._abi, careful=careful)


def make_spec(profile: Profile) -> RegionSpec:
    """The specification for discovery, with the hottest targets first."""
    entries = tuple(
        HotEntry(*key, stack)
        for key, site in profile.entries.items()
        for stack in site.stacks or [()]
    )
    counts: dict[int, Counter[int]] = {}
    for known in (profile.branch_targets, profile.traced_jumps):
        for site, seen in known.items():
            counts.setdefault(site, Counter()).update(seen)
    targets: Mapping[int, tuple[int, ...]] = {
        site: tuple(sorted(seen, key=lambda t: (-seen[t], t)))
        for site, seen in counts.items()
    }
    return RegionSpec(
        entries,
        profile.seeds,
        targets,
        stops=frozenset(profile.barriers),
        numbers={
            site: tuple(sorted(seen, key=lambda nr: -seen[nr]))
            for site, seen in profile.call_numbers.items()
        },
        nonpointers=profile.nonpointers,
    )


def _discovered(
    spec: RegionSpec, reader: CodeReader, choices: Iterable[Limits]
) -> Iterator[tuple[Limits, Region]]:
    """The regions with ``choices``. Raises NothingToBuild."""
    try:
        yield from regions(spec, reader, choices)
    except UbError as error:
        raise NothingToBuild from error


def _halved(limits: Limits) -> Iterator[Limits]:
    """``limits``, and others with half of the size each."""
    for n in range(_SHRINKS):
        yield replace(limits, region=limits.region >> n, explored=limits.explored >> n)


def _limits_of_traced() -> Iterator[Limits]:
    """For a region around traced paths: with shorter side paths, then smaller."""
    for aside, most in _ASIDES:
        yield _aside(aside, most, _EXPLORED)
    shortest, most = _ASIDES[-1]
    yield from _halved(_aside(shortest, most, most))


def _aside(aside: int, most: int, explored: int) -> Limits:
    return Limits(most, aside, candidates=CANDIDATES, detour=aside, explored=explored)


def _with_stacks(spec: RegionSpec, profile: Profile, reader: CodeReader) -> RegionSpec:
    """Add the targets of returns that the stacks at missed branches show."""
    code = Decoded(reader)
    targets = {site: list(known) for site, known in spec.targets.items()}
    for ip, stack in profile.miss_stacks.items():
        for site, points in learn_returns(code, ip, stack).items():
            known = targets.setdefault(site, [])
            known.extend(point for point in points if point not in known)
    return replace(
        spec, targets={site: tuple(known) for site, known in targets.items()}
    )


def _with_samples(
    spec: RegionSpec, profile: Profile, reader: CodeReader, limits: Limits
) -> RegionSpec:
    """Add the sampled basic blocks as seeds."""
    hottest = [address for address, _ in profile.samples.most_common(_SAMPLES)]
    samples = sorted(set(hottest) - set(spec.seeds))
    try:
        region = discover(replace(spec, seeds=(*spec.seeds, *samples)), reader, limits)
    except UbError as error:
        raise NothingToBuild from error
    starts = sampled_blocks(region, samples, limits.reach)
    return replace(spec, seeds=tuple(dict.fromkeys((*spec.seeds, *starts))))
