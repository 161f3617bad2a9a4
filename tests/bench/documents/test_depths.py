# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.bench.uring.samples import comparison
from tests.page.wellformed import problems, text_of
from ubypass.bench.documents.depths import gains
from ubypass.bench.uring.record import BOOSTED, NATIVE
from ubypass.bench.uring.words import lines
from ubypass.page.content import Standard


def test_a_plot_for_each_place_with_the_lead_at_each_depth() -> None:
    own = lines([*comparison(), *comparison(place="cached")])
    memory, cached = gains(own, "instructions", Standard.COUNTED, "ub")
    assert memory.caption[0] != cached.caption[0]
    assert (memory.standard, memory.command) == (Standard.COUNTED, "ub")
    picture = memory.draw("k")
    assert problems(picture) == []
    assert "64 bytes" in text_of(picture)
    # Of 2,000 and of 900: boosted reads take 1,000.
    assert "64 bytes: 50% at 1, -11% at 32." in picture


def test_without_boosted_reads_native_ones_are_compared() -> None:
    native = [row for row in comparison() if row.way != BOOSTED]
    (gain,) = gains(lines(native), "instructions", Standard.COUNTED, "ub")
    assert gain.caption[0].startswith("What pread needs less")
    # Of 2,000 and of 900: pread takes 1,400.
    assert "64 bytes: 30% at 1, -56% at 32." in gain.draw("k")


def test_nothing_to_compare() -> None:
    uring = [row for row in comparison() if row.way not in (BOOSTED, NATIVE)]
    assert gains(lines(uring), "instructions", Standard.COUNTED, "ub") == []
