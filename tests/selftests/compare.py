# SPDX-License-Identifier: GPL-2.0-only
"""Native and boosted runs of one program, compared test by test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Compared", "compare", "needs_more"]

_ABSENT = "not run"


@dataclass
class Compared:
    """Of one program.

    ``equal``: the number of tests with the same verdict in all runs. ``differing``: by
    test, where native runs agree and a boosted one does not. ``unstable``: by test,
    where native runs do not agree among themselves. Both hold what native and what
    boosted runs said, with counts.
    """

    equal: int = 0
    passed: int = 0
    differing: dict[str, dict[str, Any]] = field(default_factory=dict)
    unstable: dict[str, dict[str, Any]] = field(default_factory=dict)


def compare(
    native: Sequence[dict[str, str]], boosted: Sequence[dict[str, str]]
) -> Compared:
    """Compare runs, each given as verdicts by test. ``passed`` counts equal passes."""
    result = Compared()
    tests = dict.fromkeys(test for run in (*native, *boosted) for test in run)
    for test in tests:
        natively = Counter(run.get(test, _ABSENT) for run in native)
        boostedly = Counter(run.get(test, _ABSENT) for run in boosted)
        both = {"native": dict(natively), "boosted": dict(boostedly)}
        if len(natively) > 1:
            result.unstable[test] = both
        elif natively.keys() != boostedly.keys():
            result.differing[test] = both
        else:
            result.equal += 1
            result.passed += next(iter(natively)) in ("ok", "OK", "PASS", "status 0")
    return result


def needs_more(
    native: Sequence[dict[str, str]], boosted: Sequence[dict[str, str]]
) -> bool:
    """Whether more runs would tell more: not all of them said the same."""
    runs = (*native, *boosted)
    return any(run != runs[0] for run in runs)
