# SPDX-License-Identifier: GPL-2.0-only
"""The figures of a replay: ns per gap, gains and shares.

The time of one gap is the median over the repetitions, because of interrupts; the time
of a kind of gap is the mean of its gaps. The spread of a gain, of a kind of gap or of a
chain, is that of the sum of its gaps: the quartiles of (native - translated) over the
interleaved repetitions.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ubypass.bench.chains.isolation import Isolation
from ubypass.bench.chains.job import Mode
from ubypass.bench.chains.replay import Replayed, Ticks
from ubypass.bench.server.gaps import call_names
from ubypass.cost.model import Range

__all__ = [
    "Figures",
    "Gap",
    "ModeFigures",
    "figures",
    "mode_name",
    "named",
    "rounded",
]

_NAMES = {
    Mode.HOT: "hot",
    Mode.WORK: "work",
    Mode.THRASH: "thrash",
    Mode.WORK | Mode.TRANSITION: "whole",
    Mode.WORK | Mode.TRANSITION | Mode.THRASH: "whole, thrashed",
}


#: Kinds of gaps with a smaller share of all gaps do not count for a request.
_RARE = 0.015


def mode_name(mode: Mode) -> str:
    """The name of a mode in reports."""
    return _NAMES.get(mode, str(mode.value))


@dataclass(frozen=True, slots=True)
class Gap:
    """All gaps between two calls in one mode; times are mean ns per gap.

    ``count``: gaps in a chain; ``instructions``: mean number of user instructions.
    ``low`` and ``high``: quartiles of the ns saved per gap; None in records without
    them.
    """

    call: str
    following: str
    count: int
    instructions: float
    native: float
    translated: float
    low: float | None = None
    high: float | None = None

    @property
    def saved(self) -> float:
        """ns that a gap saves."""
        return self.native - self.translated

    @property
    def spread(self) -> float | None:
        """Half the distance between the quartiles of the ns saved; None: unknown."""
        if self.low is None or self.high is None:
            return None
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class ModeFigures:
    """The times of one chain in one mode.

    ``native`` and ``translated``: ns of all gaps. ``low`` and ``high``: quartiles of
    the ns saved. ``chain``: translated to native time of the whole chain, system calls
    included.
    """

    mode: str
    gaps: tuple[Gap, ...]
    native: float
    translated: float
    low: float
    high: float
    chain: float

    @property
    def saved(self) -> float:
        """ns that the gaps of a chain save."""
        return self.native - self.translated

    @property
    def usual_gaps(self) -> tuple[Gap, ...]:
        """The gaps that are not rare."""
        total = sum(gap.count for gap in self.gaps)
        return tuple(gap for gap in self.gaps if gap.count / total >= _RARE)

    @property
    def usual(self) -> tuple[float, float]:
        """``native`` and ``translated`` without rare gaps.

        In a single-stepped program timers expire far too often.
        """
        usual = self.usual_gaps
        return (
            sum(gap.count * gap.native for gap in usual),
            sum(gap.count * gap.translated for gap in usual),
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one replayed chain.

    ``name``: of the chain, with "trusted" if it was replayed as that of a trusted
    program. ``request_ns``: CPU time of a request; ``requests``: requests in the chain;
    None: unknown. ``command`` repeats the measurement; ``date`` is its date; "" in
    records without these fields. ``isolation``: what page-table isolation would add to
    a transition; None in records without it.
    """

    name: str
    cpu: str
    captured_on: str
    calls: int
    changed_words: int
    wrong_words: int
    runs: int
    dispatched: int
    exits: dict[str, int]
    region: int
    code_bytes: int
    request_ns: float | None
    requests: float | None
    modes: tuple[ModeFigures, ...]
    command: str = ""
    date: str = ""
    isolation: Isolation | None = None

    def mode(self, name: str) -> ModeFigures | None:
        """The mode with that name; None if it was not replayed."""
        return next((mode for mode in self.modes if mode.mode == name), None)

    @property
    def saved(self) -> float | None:
        """ns that the gaps of a request save, entries and exits included."""
        whole = self.mode("whole")
        if whole is None or not self.requests:
            return None
        native, translated = whole.usual
        return (native - translated) / self.requests

    @property
    def least_saved(self) -> float | None:
        """ns that the gaps of a request save if returns are predicted well.

        As well as without system calls: the sum of the savings of hot gaps and of the
        transitions saved after real work.
        """
        modes = [self.mode(name) for name in ("hot", "work", "whole")]
        if None in modes or not self.requests:
            return None
        hot, work, whole = (mode.usual for mode in modes if mode is not None)
        # Behind an exit the gap in user mode pays a transition, too.
        transitions = (whole[0] - work[0]) - (whole[1] - work[1])
        return (hot[0] - hot[1] + transitions) / self.requests

    def share(self, saved: float | None) -> float | None:
        """``saved`` as a share of the CPU time of a request; None if unknown."""
        return (
            saved / self.request_ns if saved is not None and self.request_ns else None
        )

    def gap_share(self, gap: Gap) -> float | None:
        """Share of the CPU time of a request that all gaps as ``gap`` save.

        ``gap``: of the mode "whole". None if unknown, and for a rare gap.
        """
        whole = self.mode("whole")
        if whole is None or gap not in whole.usual_gaps or not self.requests:
            return None
        return self.share(gap.count * gap.saved / self.requests)

    @property
    def isolated_shares(self) -> Range | None:
        """The share of a request that is saved with page-table isolation; modelled.

        Each transition costs more: those that are saved, and those that the request
        makes natively. None if unknown.
        """
        whole, added = self.mode("whole"), self.isolation
        saved = self.saved
        if whole is None or added is None or saved is None:
            return None
        if not self.request_ns or not self.requests:
            return None
        usual = sum(gap.count for gap in whole.usual_gaps)
        part = usual / sum(gap.count for gap in whole.gaps) / self.requests
        shares = [
            (saved + ns * self.dispatched * part)
            / (self.request_ns + ns * self.calls * part)
            for ns in (added.ns.low, added.ns.likely, added.ns.high)
        ]
        return Range(min(shares), shares[1], max(shares))

    def as_json(self) -> dict[str, Any]:
        """Plain data; the names are part of the interface of ``--json``."""
        isolated = self.isolated_shares
        return {
            "name": self.name,
            "cpu": self.cpu,
            "captured_on": self.captured_on,
            "calls": self.calls,
            "changed_words": self.changed_words,
            "wrong_words": self.wrong_words,
            "runs": self.runs,
            "dispatched": self.dispatched,
            "exits": self.exits,
            "region_instructions": self.region,
            "code_bytes": self.code_bytes,
            "request_ns": rounded(self.request_ns),
            "requests": rounded(self.requests),
            "saved_ns_per_request": rounded(self.saved),
            "share_of_request": rounded(self.share(self.saved), 5),
            "least_saved_ns_per_request": rounded(self.least_saved),
            "least_share_of_request": rounded(self.share(self.least_saved), 5),
            "isolation": self.isolation and self.isolation.as_json(),
            "isolated_share_of_request": isolated and rounded(isolated.likely, 5),
            "isolated_share_low": isolated and rounded(isolated.low, 5),
            "isolated_share_high": isolated and rounded(isolated.high, 5),
            "modes": [
                {
                    "mode": m.mode,
                    "native_ns": rounded(m.native),
                    "translated_ns": rounded(m.translated),
                    "saved_ns": rounded(m.saved),
                    "saved_low_ns": rounded(m.low),
                    "saved_high_ns": rounded(m.high),
                    "chain_ratio": rounded(m.chain, 5),
                    "gaps": [
                        {
                            "call": g.call,
                            "following": g.following,
                            "count": g.count,
                            "instructions": rounded(g.instructions),
                            "native_ns": rounded(g.native),
                            "translated_ns": rounded(g.translated),
                            "saved_low_ns": rounded(g.low),
                            "saved_high_ns": rounded(g.high),
                            "share_of_request": rounded(self.gap_share(g), 5),
                        }
                        for g in m.gaps
                    ],
                }
                for m in self.modes
            ],
            "command": self.command,
            "date": self.date,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Figures:
        """The inverse of :meth:`as_json` up to rounding; recomputes derived values.

        Raises KeyError, TypeError or ValueError for other data.
        """
        own = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
        read = {
            "modes": tuple(_mode_of(mode) for mode in data["modes"]),
            "region": data["region_instructions"],
            "isolation": Isolation.from_json(data.get("isolation")),
        }
        return cls(**(own | read))


def figures(replayed: Replayed, cpu: str) -> Figures:
    """The figures of a replay on the processor named ``cpu``."""
    capture = replayed.capture
    exits: dict[str, int] = {}
    for reason, _, count in replayed.exits:
        exits[reason.name.lower()] = exits.get(reason.name.lower(), 0) + count
    return Figures(
        name=_name(replayed),
        cpu=cpu,
        captured_on=capture.origin.cpu,
        calls=len(capture.calls),
        changed_words=replayed.changed,
        wrong_words=replayed.wrong,
        runs=replayed.runs,
        dispatched=replayed.dispatched,
        exits=exits,
        region=replayed.made.instructions,
        code_bytes=len(replayed.made.translation.code),
        request_ns=capture.origin.request_ns,
        requests=capture.origin.requests,
        modes=tuple(_mode(replayed, ticks) for ticks in replayed.modes),
    )


def _name(replayed: Replayed) -> str:
    trusted = ", trusted" if replayed.made.translation.trusted else ""
    return replayed.capture.origin.name + trusted


def _mode_of(data: Mapping[str, Any]) -> ModeFigures:
    return ModeFigures(
        mode=data["mode"],
        gaps=tuple(
            Gap(
                call=gap["call"],
                following=gap["following"],
                count=gap["count"],
                instructions=gap["instructions"],
                native=gap["native_ns"],
                translated=gap["translated_ns"],
                low=gap.get("saved_low_ns"),
                high=gap.get("saved_high_ns"),
            )
            for gap in data["gaps"]
        ),
        native=data["native_ns"],
        translated=data["translated_ns"],
        low=data["saved_low_ns"],
        high=data["saved_high_ns"],
        chain=data["chain_ratio"],
    )


def _mode(replayed: Replayed, ticks: Ticks) -> ModeFigures:
    scale = replayed.ticks_per_ns
    names = call_names()
    native = _medians(ticks.native, scale)
    inside = _medians(ticks.translated, scale)
    kinds: dict[tuple[str, str], list[int]] = {}
    for number, (path, call) in enumerate(
        zip(replayed.capture.paths, replayed.capture.calls, strict=True)
    ):
        key = (named(names, path.nr), named(names, call.nr))
        kinds.setdefault(key, []).append(number)
    gaps = []
    for (before, after), numbers in kinds.items():
        low, high = _quartiles(_saved(ticks, scale, numbers))
        gaps.append(
            Gap(
                call=before,
                following=after,
                count=len(numbers),
                instructions=_mean(
                    [len(replayed.capture.paths[n].ips) - 1 for n in numbers]
                ),
                native=_mean([native[n] for n in numbers]),
                translated=_mean([inside[n] for n in numbers]),
                low=low / len(numbers),
                high=high / len(numbers),
            )
        )
    low, high = _quartiles(_saved(ticks, scale, range(len(native))))
    return ModeFigures(
        mode=mode_name(ticks.mode),
        gaps=tuple(sorted(gaps, key=lambda gap: -gap.count)),
        native=sum(native),
        translated=sum(inside),
        low=low,
        high=high,
        chain=statistics.median(ticks.translated_chain)
        / statistics.median(ticks.native_chain),
    )


def _saved(ticks: Ticks, scale: float, numbers: Sequence[int]) -> list[float]:
    """ns that the gaps with these numbers save together, by repetition."""
    return [
        sum(native[n] - translated[n] for n in numbers) / scale
        for native, translated in zip(ticks.native, ticks.translated, strict=True)
    ]


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4)
    return low, high


def _medians(rows: Sequence[Sequence[int]], scale: float) -> list[float]:
    """The median of each gap, in ns."""
    return [statistics.median(column) / scale for column in zip(*rows, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def named(names: dict[int, str], nr: int) -> str:
    """The name of the system call with number ``nr``."""
    return names.get(nr, f"call {nr}")


def rounded(value: float | None, digits: int = 1) -> float | None:
    """``value`` for JSON, which may be unknown."""
    return None if value is None else round(value, digits)
