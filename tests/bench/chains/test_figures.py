# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.chains.samples import replayed
from ubypass.bench.chains.figures import Figures, figures, mode_name
from ubypass.bench.chains.job import Mode, Plan


def test_medians_in_ns() -> None:
    found = figures(replayed(), "a processor")
    assert found.cpu == "a processor"
    (whole,) = found.modes
    assert whole is found.mode("whole")
    first, second = whole.gaps
    assert (first.call, first.following, first.instructions) == ("read", "write", 1)
    assert (first.native, first.translated) == (110, 55)
    assert (second.native, second.translated) == (200, 150)
    assert whole.native == 310
    assert whole.saved == 105
    assert whole.low <= whole.saved <= whole.high
    assert whole.chain == 0.9


def test_spread_and_share_of_a_gap() -> None:
    found = figures(replayed(), "")
    first, second = found.modes[0].gaps
    # Savings of 50, 50 and 395 ns, and thrice 50.
    assert (first.low, first.high, first.spread) == (50, 395, 172.5)
    assert (second.low, second.high, second.spread) == (50, 50, 0)
    assert (first.saved, second.saved) == (55, 50)
    assert found.gap_share(first) == pytest.approx(0.055)
    assert found.gap_share(second) == pytest.approx(0.05)
    assert replace(found, request_ns=None).gap_share(first) is None
    assert replace(found, requests=None).gap_share(first) is None
    # A gap of another mode has none.
    assert found.gap_share(replace(first, native=0)) is None


def test_gaps_of_a_kind_have_their_spread_together() -> None:
    """Two gaps of one kind, of which one is 100 ns slower by turns."""
    whole = replayed()
    (ticks,) = whole.modes
    turns = replace(
        ticks,
        native=((400, 600), (600, 400), (400, 600)),
        translated=((300, 500), (500, 300), (300, 500)),
    )
    capture = whole.capture
    calls = (capture.calls[0], replace(capture.calls[1], nr=capture.calls[0].nr))
    paths = (capture.paths[0], replace(capture.paths[1], nr=capture.paths[0].nr))
    alike = replace(capture, calls=calls, paths=paths)
    (mode,) = figures(replace(whole, capture=alike, modes=(turns,)), "").modes
    (gap,) = mode.gaps
    assert (gap.count, gap.saved, gap.low, gap.high) == (2, 50, 50, 50)


def test_records_without_the_spread_of_gaps() -> None:
    data = figures(replayed(), "").as_json()
    for gap in data["modes"][0]["gaps"]:
        assert {"saved_low_ns", "saved_high_ns", "share_of_request"} <= gap.keys()
        del gap["saved_low_ns"], gap["saved_high_ns"], gap["share_of_request"]
    first, _ = Figures.from_json(data).modes[0].gaps
    assert (first.low, first.high, first.spread) == (None, None, None)
    assert first.saved == 55


def test_a_single_repetition_has_no_spread() -> None:
    whole = replayed()
    (ticks,) = whole.modes
    one = replace(
        ticks,
        native=ticks.native[:1],
        translated=ticks.translated[:1],
        native_chain=(1000,),
        translated_chain=(900,),
    )
    (mode,) = figures(replace(whole, modes=(one,)), "").modes
    assert mode.low == mode.high == mode.saved == 100
    assert mode.gaps[0].spread == 0


def test_there_and_back() -> None:
    """Up to what is rounded."""
    found = figures(replayed(), "a processor")
    again = Figures.from_json(found.as_json())
    assert again.as_json() == found.as_json()
    assert (again.name, again.region, again.modes) == (
        found.name,
        found.region,
        found.modes,
    )


@pytest.mark.parametrize("missing", ["modes", "region_instructions", "cpu"])
def test_data_of_another_shape(missing: str) -> None:
    data = figures(replayed(), "").as_json()
    del data[missing]
    with pytest.raises((KeyError, TypeError)):
        Figures.from_json(data)


def test_share_of_a_request() -> None:
    found = figures(replayed(), "")
    assert found.saved == 105
    assert found.share(found.saved) == pytest.approx(0.105)


def test_least_that_is_saved() -> None:
    """Hot gaps alike, and what the transitions add."""
    whole = replayed()
    (ticks,) = whole.modes
    faster = tuple(tuple(t - 100 for t in row) for row in ticks.native)
    work = replace(ticks, mode=Mode.WORK, native=faster)
    hot = replace(work, mode=Mode.HOT, translated=faster)
    found = figures(replace(whole, modes=(hot, work, ticks)), "")
    assert found.least_saved == 100
    left = tuple(tuple(t + 40 for t in row) for row in ticks.translated)
    found = figures(
        replace(whole, modes=(hot, work, replace(ticks, translated=left))), ""
    )
    assert found.least_saved == 100 - 40
    assert figures(whole, "").least_saved is None


def test_without_the_whole_mode_there_is_no_share() -> None:
    found = figures(replayed(Mode.HOT), "")
    assert found.mode("whole") is None
    assert found.saved is None
    assert found.share(None) is None


def test_rare_gaps_do_not_count_for_a_request() -> None:
    whole = figures(replayed(), "").mode("whole")
    assert whole is not None
    often = whole.gaps[0]
    many = [type(often)(*_values(often, count=199)), whole.gaps[1]]
    changed = type(whole)(whole.mode, tuple(many), 0, 0, 0, 0, 0)
    assert changed.usual == (199 * 110, 199 * 55)


def _values(gap: object, count: int) -> tuple[object, ...]:
    names = ("call", "following", "instructions", "native", "translated")
    call, following, *rest = (getattr(gap, name) for name in names)
    return (call, following, count, *rest)


def test_every_mode_has_a_name() -> None:
    names = {mode_name(mode) for mode in Plan().modes}
    assert len(names) == len(Plan().modes)
    assert not any(name.isdigit() for name in names)


def test_as_json() -> None:
    data = figures(replayed(), "here").as_json()
    assert data["cpu"] == "here"
    assert data["share_of_request"] == 0.105
    assert data["modes"][0]["saved_ns"] == 105
    first = data["modes"][0]["gaps"][0]
    assert first["native_ns"] == 110
    assert (first["saved_low_ns"], first["saved_high_ns"]) == (50, 395)
    assert first["share_of_request"] == 0.055
