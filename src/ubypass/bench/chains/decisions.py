# SPDX-License-Identifier: GPL-2.0-only
"""Decisions of the engine's cost model, compared with the replayed measurements.

A gap is chosen if its likely saving is positive. The entry and the exit of a run count
for the gap that contains them, as in the replay's own figures. Rare gaps are left out,
for the reason given in :mod:`.figures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ubypass.bench.chains.figures import Figures, ModeFigures
from ubypass.bench.chains.snapshot import Capture
from ubypass.bench.chains.translation import Image
from ubypass.bench.server.gaps import call_names
from ubypass.cost.gap import profile_gap
from ubypass.cost.model import Model, Range, mean
from ubypass.region.decode import Decoded

__all__ = ["Decision", "Decisions", "as_json", "decide", "decisions_of"]


@dataclass(frozen=True, slots=True)
class Decision:
    """All gaps between two calls; ``predicted`` and ``measured``: ns saved per gap."""

    call: str
    following: str
    count: int
    predicted: Range
    measured: float

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
    """The decisions for one chain by the cost model named ``model``."""

    model: str
    gaps: tuple[Decision, ...]

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
        """Share of the possible saving that is lost to wrong decisions."""
        possible = self.possible_ns
        return (possible - self.chosen_ns) / possible if possible else 0.0


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
            )
            for gap in data["gaps"]
        ),
    )


def decide(capture: Capture, figures: Figures, model: Model) -> Decisions | None:
    """The decisions for a replayed capture.

    None if it was not replayed in the mode ``whole``.
    """
    whole = figures.mode("whole")
    if whole is None:
        return None
    return Decisions(model.name, tuple(_decisions(capture, whole, model)))


def _decisions(capture: Capture, whole: ModeFigures, model: Model) -> list[Decision]:
    names = call_names()
    code = Decoded(Image(capture, {}))
    savings: dict[tuple[str, str], list[Range]] = {}
    for path, call in zip(capture.paths, capture.calls, strict=True):
        kind = (
            names.get(path.nr, f"call {path.nr}"),
            names.get(call.nr, f"call {call.nr}"),
        )
        savings.setdefault(kind, []).append(model.saving(profile_gap(path.ips, code)))
    return [
        Decision(
            gap.call,
            gap.following,
            gap.count,
            mean(savings[gap.call, gap.following]),
            gap.native - gap.translated,
        )
        for gap in whole.usual_gaps
    ]
