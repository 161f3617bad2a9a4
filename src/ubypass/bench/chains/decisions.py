# SPDX-License-Identifier: GPL-2.0-only
"""Decisions about gaps, compared with the replayed measurements.

Of the cost model alone: a gap is chosen if its likely saving is positive. And of the
engine: what it admits (:mod:`.admission`), and on a processor then measures. There it
leaves what loses; what such trials cost is neglected, as the engine bounds it to a
thousandth of the CPU time. The replay's saving is taken for what it measures.

The entry and the exit of a run count for the gap that contains them, as in the replay's
own figures. Rare gaps are left out, for the reason given in :mod:`.figures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ubypass.bench.chains.admission import admitted
from ubypass.bench.chains.figures import Figures, ModeFigures, named, rounded
from ubypass.bench.chains.snapshot import Capture
from ubypass.bench.chains.translation import Image
from ubypass.bench.server.gaps import call_names
from ubypass.cost.gap import profile_gap
from ubypass.cost.model import Range, mean
from ubypass.engine.admission import AdmissionPolicy
from ubypass.region.decode import Decoded

__all__ = ["Decision", "Decisions", "as_json", "decide", "decisions_of"]


@dataclass(frozen=True, slots=True)
class Decision:
    """All gaps between two calls; ``predicted`` and ``measured``: ns saved per gap.

    ``admitted``: those of the ``count`` gaps that the engine admits; None in records
    without it.
    """

    call: str
    following: str
    count: int
    predicted: Range
    measured: float
    admitted: int | None = None

    @property
    def chosen(self) -> bool:
        """Whether the model alone would boost the gap."""
        return self.predicted.likely > 0

    @property
    def is_right(self) -> bool:
        """Whether the decision agrees with the measured sign."""
        return self.chosen == (self.measured > 0)


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions for one chain by the cost model named ``model``.

    ``model_decides``: the engine does not measure what it admits, as in an emulator.
    """

    model: str
    gaps: tuple[Decision, ...]
    model_decides: bool = False

    @property
    def possible_ns(self) -> float:
        """ns saved by a chain if each gap is decided by its measurement."""
        return sum(gap.count * max(gap.measured, 0.0) for gap in self.gaps)

    @property
    def chosen_ns(self) -> float:
        """ns saved by the gaps that the model chooses."""
        return sum(gap.count * gap.measured for gap in self.gaps if gap.chosen)

    @property
    def regret(self) -> float:
        """Share of the possible saving that is lost to wrong decisions of the model."""
        return self._lost(self.chosen_ns)

    def engine_count(self, gap: Decision) -> int | None:
        """The number of such gaps that the engine boosts in the end; None: unknown."""
        if gap.admitted is None:
            return None
        return gap.admitted if self.model_decides or gap.measured > 0 else 0

    @property
    def engine_ns(self) -> float | None:
        """ns saved by the gaps that the engine boosts in the end; None: unknown."""
        counts = [self.engine_count(gap) for gap in self.gaps]
        known = [count for count in counts if count is not None]
        if len(known) < len(counts):
            return None
        pairs = zip(known, self.gaps, strict=True)
        return sum((count * gap.measured for count, gap in pairs), 0.0)

    @property
    def engine_regret(self) -> float | None:
        """Share of the possible saving that the engine's decisions lose."""
        saved = self.engine_ns
        return None if saved is None else self._lost(saved)

    def _lost(self, saved: float) -> float:
        possible = self.possible_ns
        return (possible - saved) / possible if possible else 0.0


def as_json(figures: Figures, decisions: Decisions | None) -> dict[str, Any]:
    """The figures of a chain and the decisions, as plain data; see ``--json``."""
    if decisions is None:
        return {**figures.as_json(), "decisions": None}
    return {
        **figures.as_json(),
        "decisions": {
            "model": decisions.model,
            "possible_ns": round(decisions.possible_ns, 1),
            "chosen_ns": round(decisions.chosen_ns, 1),
            "regret": round(decisions.regret, 5),
            "model_decides": decisions.model_decides,
            "engine_ns": rounded(decisions.engine_ns, 1),
            "engine_regret": rounded(decisions.engine_regret, 5),
            "gaps": [
                {
                    "call": gap.call,
                    "following": gap.following,
                    "count": gap.count,
                    "predicted_low_ns": round(gap.predicted.low, 1),
                    "predicted_ns": round(gap.predicted.likely, 1),
                    "predicted_high_ns": round(gap.predicted.high, 1),
                    "measured_ns": round(gap.measured, 1),
                    "chosen": gap.chosen,
                    "admitted": gap.admitted,
                    "engine_count": decisions.engine_count(gap),
                }
                for gap in decisions.gaps
            ],
        },
    }


def decisions_of(data: Mapping[str, Any] | None) -> Decisions | None:
    """The inverse of :func:`as_json` for its decisions; None for None.

    Raises KeyError, TypeError or ValueError for other data.
    """
    if data is None:
        return None
    return Decisions(
        data["model"],
        tuple(
            Decision(
                gap["call"],
                gap["following"],
                gap["count"],
                Range(
                    gap["predicted_low_ns"],
                    gap["predicted_ns"],
                    gap["predicted_high_ns"],
                ),
                gap["measured_ns"],
                gap.get("admitted"),
            )
            for gap in data["gaps"]
        ),
        data.get("model_decides", False),
    )


def decide(
    capture: Capture, figures: Figures, policy: AdmissionPolicy
) -> Decisions | None:
    """The decisions for a replayed capture, with the engine's ``policy``.

    None if it was not replayed in the mode ``whole``.
    """
    whole = figures.mode("whole")
    if whole is None:
        return None
    gaps = _decisions(capture, whole, policy)
    return Decisions(policy.model.name, tuple(gaps), policy.model_decides)


def _decisions(
    capture: Capture, whole: ModeFigures, policy: AdmissionPolicy
) -> list[Decision]:
    names = call_names()
    image = Image(capture, {})
    code = Decoded(image)
    savings: dict[tuple[str, str], list[Range]] = {}
    taken: dict[tuple[str, str], int] = {}
    usual = {(gap.call, gap.following) for gap in whole.usual_gaps}
    kinds = [
        (named(names, p.nr), named(names, c.nr))
        for p, c in zip(capture.paths, capture.calls, strict=True)
    ]
    # The engine sees rare gaps rarely.
    chain = [
        (kind, path)
        for kind, path in zip(kinds, capture.paths, strict=True)
        if kind in usual
    ]
    passed = admitted([path for _, path in chain], image, policy)
    for (kind, path), is_passed in zip(chain, passed, strict=True):
        saving = policy.saving(profile_gap(path.ips, code))
        savings.setdefault(kind, []).append(saving)
        taken[kind] = taken.get(kind, 0) + is_passed
    return [
        Decision(
            gap.call,
            gap.following,
            gap.count,
            mean(savings[gap.call, gap.following]),
            gap.native - gap.translated,
            taken[gap.call, gap.following],
        )
        for gap in whole.usual_gaps
    ]
