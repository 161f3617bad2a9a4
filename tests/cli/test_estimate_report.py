# SPDX-License-Identifier: GPL-2.0-only
"""The verdict, in one sentence, from made-up estimates."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from ubypass.cli.estimate_report import show, show_ranking, verdict
from ubypass.cost.model import Range, models
from ubypass.estimate.estimate import Estimate
from ubypass.estimate.judge import NOTHING, Judged, Site
from ubypass.estimate.machine import Machine, Ranked
from ubypass.estimate.offline import Kind, Looked, Verdict
from ubypass.estimate.reasons import Reason
from ubypass.estimate.survey import Process, Program

_SHARE = Range(0.021, 0.032, 0.045)
_GOOD = Looked(Verdict.TRANSLATED, 3, 1234, 1.2, Range(50.0, 100.0, 150.0))
_LASTING = Reason("seccomp", "a filter looks at its calls", "end it", lasting=True)


def _estimate(
    share: Range = _SHARE, looked: Looked = _GOOD, *reasons: Reason, many: int = 1
) -> Estimate:
    site = Site(Kind(0x7F00_1234_5678, 0, 0x12), 1, 123456.7, 1.0, 45.0, looked, share)
    process = Process(4711, "server", Program(), seconds=10.0, last_ns=5 * 10**9)
    judged = Judged(process, share, (site,), 1e5, 2e5, True, 0.0, 0.9, 20.0, ())
    each = tuple(
        replace(judged, process=replace(process, pid=4711 + n)) for n in range(many)
    )
    against = tuple((4711, reason) for reason in reasons)
    return Estimate(
        *(each, share, against, models()["zen4"], "tracepoints", ""),
        *(10.0, 0.01, 500, 20, {0x7F00_1234_5678: "libc.so.6:a_long_name_of_it+0x12"}),
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            _estimate(),
            "Boosting would save 2.1 to 4.5% of its CPU time (likely 3.2%).",
        ),
        (
            _estimate(many=2),
            "Boosting would save 2.1 to 4.5% of the CPU time of all (likely 3.2%).",
        ),
        (
            _estimate(_SHARE, _GOOD, _LASTING),
            "Not at present: a filter looks at its calls. Otherwise boosting would "
            "save 2.1 to 4.5% of its CPU time (likely 3.2%).",
        ),
        (
            _estimate(NOTHING, _GOOD, Reason("idle", "it sleeps")),
            "Nothing to gain: it sleeps.",
        ),
        (
            _estimate(NOTHING),
            "Nothing to gain: boosting would save at most 0.0% of its CPU time.",
        ),
        (
            _estimate(NOTHING, Looked(Verdict.UNSEEN, 0, 0)),
            "Unknown: 100% of the gaps were not stepped through. Observe longer, with "
            "--seconds 20.",
        ),
    ],
)
def test_verdicts(found: Estimate, said: str) -> None:
    assert verdict(found) == said


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_fits(width: int) -> None:
    out = io.StringIO()
    show(_estimate(_SHARE, _GOOD, _LASTING, many=2), out, width)
    text = out.getvalue()
    lines = text.splitlines()
    assert lines[0].startswith("Not at present")
    if width == 80:
        assert max(map(len, lines)) <= 80
    assert "ub attach 4711" in " ".join(text.split())
    assert "zen4" in text


_UNSEEN = Looked(Verdict.UNSEEN, 0, 0)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (_estimate(), "'ub attach 4711'"),
        (_estimate(NOTHING), "leave the program native."),
        (_estimate(NOTHING, _UNSEEN), "'ub estimate 4711' again, for longer."),
        # There is nothing to gain, whatever its gaps are.
        (
            _estimate(NOTHING, _UNSEEN, Reason("idle", "it sleeps")),
            "leave the program native.",
        ),
    ],
)
def test_what_to_do_next(found: Estimate, said: str) -> None:
    out = io.StringIO()
    show(found, out, 80)
    assert said in out.getvalue().splitlines()[-1]


def _ranked(pid: int, share: float, use: float = 0.5, why: str = "") -> Ranked:
    reasons = (Reason(why, "a text", lasting=True),) if why else ()
    return Ranked(pid, "a [name] of 15c", use, 1e6, 0.25, share, reasons)


def test_a_ranking_names_the_next_step() -> None:
    out = io.StringIO()
    rows = (_ranked(8, 0.5, why="seccomp"), _ranked(7, 0.25), _ranked(9, 0.0, use=0.0))
    show_ranking(Machine(rows, 2.0, 0.003, models()["zen4"]), out, 80)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "a [name] of 15c" in text
    assert "native: seccomp" in text
    # Not that of the first, which would not be boosted.
    assert text.splitlines()[-1] == "Next: ub estimate 7"
    assert not re.search(r"^ *9 ", text, re.MULTILINE)


def test_a_process_that_was_not_observed_is_no_process_without_calls() -> None:
    rows = (replace(_ranked(8, 0.0), seen=False), _ranked(9, 0.0))
    out = io.StringIO()
    show_ranking(Machine(rows, 2.0, 0.0, models()["zen4"]), out, 80)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    (row,) = [line for line in lines if line.startswith("  8")]
    assert row.split()[-6:] == ["50.0%", "?", "?", "?", "not", "observed"]
    assert lines[-1] == "Next: ub estimate --seconds 6"


def test_a_ranking_of_nothing() -> None:
    for rows, said in (
        ((), "No process is busy"),
        ((_ranked(7, 0.0),), "would gain much"),
    ):
        out = io.StringIO()
        show_ranking(Machine(rows, 2.0, 0.0, models()["zen4"]), out, 80)
        assert said in out.getvalue()
