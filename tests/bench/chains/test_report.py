# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from tests.bench.chains.samples import made_up, replayed
from ubypass.bench.chains import report
from ubypass.bench.chains.decisions import Decision, Decisions, decide
from ubypass.bench.chains.figures import Figures, figures
from ubypass.bench.chains.isolation import Isolation
from ubypass.cost.model import Range, model_of
from ubypass.engine.admission import AdmissionPolicy

_POLICY = AdmissionPolicy(model_of("zen4"))


def _shown(wrong: int = 0) -> str:
    out = io.StringIO()
    console = Console(file=out, width=80)
    found = figures(replayed(wrong=wrong), "a processor")
    report.show([(found, decide(made_up(), found, _POLICY))], console)
    return " ".join(out.getvalue().split())


def test_shows_gaps_and_what_they_come_to() -> None:
    text = _shown()
    assert "read→write" in text
    assert "sample, whole" in text
    assert "+55 ±172 │ +5.5%" in text
    assert "10.5%" in text
    assert "On a processor." in text
    assert "not stac and clac" in text
    assert "the sign of the model zen4 saves 105, regret 0.0%" in text
    assert "the engine, by measured times, 105, regret 0.0%" in text


def test_shows_that_a_translation_is_wrong() -> None:
    text = _shown(wrong=3)
    assert "3 words of memory DIFFER" in text
    assert "saved" not in text.split("ns per gap")[0]


def test_records_without_spread_have_none() -> None:
    found = figures(replayed(), "")
    (mode,) = found.modes
    old = tuple(replace(gap, low=None, high=None) for gap in mode.gaps)
    text = _text(replace(found, modes=(replace(mode, gaps=old),)))
    assert "+55 │ +5.5%" in text
    assert "±" not in text


def test_rare_gaps_have_no_share() -> None:
    found = figures(replayed(), "")
    (mode,) = found.modes
    often = replace(mode.gaps[0], count=199)
    gaps = (often, mode.gaps[1])
    text = _text(replace(found, modes=(replace(mode, gaps=gaps),)))
    assert "+50 ±0 │ │" in text


def test_shows_isolation_as_modelled() -> None:
    found = replace(
        figures(replayed(), ""), isolation=Isolation(Range(50, 100, 200), "made up")
    )
    text = _text(found)
    assert "25.4% with page-table isolation (modelled: 18.6% to 36.1%" in text
    on = replace(found, isolation=Isolation(Range(0, 0, 0), "on"))
    assert "isolation" not in _text(on)


def _text(found: Figures) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(report.render(found))
    return " ".join(out.getvalue().split())


def test_fits_a_terminal() -> None:
    out = io.StringIO()
    one = Decision("newfstatat", "epoll_wait", 9, Range(-1300, 1000, 1200), -1000.0, 4)
    decided = Decisions("sapphire-rapids", (one, one), model_decides=True)
    found = figures(replayed(), "")
    (mode,) = found.modes
    gap = replace(
        mode.gaps[0],
        call="newfstatat",
        following="epoll_wait",
        count=1000,
        instructions=10_000,
        native=10_000,
        translated=11_000,
        low=-1_500,
        high=1_000,
    )
    found = replace(found, modes=(replace(mode, gaps=(gap,)),))
    Console(file=out, width=80).print(report.render(found, decided))
    assert "newfstatat→epoll" in out.getvalue()
    assert "-1,000 ±1,250" in out.getvalue()
    assert "4 of 9" in out.getvalue()
    assert max(len(line.rstrip()) for line in out.getvalue().splitlines()) <= 80


def test_what_model_and_engine_choose() -> None:
    gaps = (
        Decision("read", "write", 9, Range(-300, 100, 120), -50.0, 9),
        Decision("write", "read", 9, Range(-300, -100, 120), 50.0, 9),
        Decision("read", "read", 9, Range(-300, 100, 120), 50.0, 0),
    )
    measured = _rows(Decisions("zen4", gaps))
    assert measured == [("boost", "native"), ("native", "boost"), ("boost", "native")]
    alone = _rows(Decisions("zen4", gaps, model_decides=True))
    assert alone == [("boost", "boost"), ("native", "boost"), ("boost", "native")]
    old = _rows(Decisions("zen4", tuple(replace(gap, admitted=None) for gap in gaps)))
    assert old == [("boost", "unknown"), ("native", "unknown"), ("boost", "unknown")]


def _rows(decisions: Decisions) -> list[tuple[str, str]]:
    """The choices of model and engine, in the last two columns."""
    out = io.StringIO()
    found = figures(replayed(), "")
    Console(file=out, width=80).print(report.render(found, decisions))
    text = out.getvalue().split("decisions")[1]
    lines = [line.split("│") for line in text.splitlines() if "→" in line]
    return [(words[-3].strip(), words[-2].strip()) for words in lines]
