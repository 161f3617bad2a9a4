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
    assert data["modes"][0]["gaps"][0]["native_ns"] == 110
