# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.places import ROOT
from ubypass.calibrate import typical
from ubypass.calibrate.figures import Kind


def test_it_says_that_nothing_was_measured() -> None:
    assert not typical().measured
    assert typical().rounds == 0


def test_whoever_uses_it_finds_all_kinds() -> None:
    assert [transition.kind for transition in typical().transitions] == list(Kind)
    assert typical().transition_ns > 0


def test_its_figures_are_those_of_the_docs() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    rows = [line.split() for line in page.splitlines() if line.startswith("    ")]
    for transition in typical().transitions:
        first = f"{transition.ns:.1f}"
        more = [f"{f.ns - transition.ns:+.1f}" for f in transition.by_depth[1:]]
        assert any(first in row and more == row[-7:-2] for row in rows), transition.kind
    for figure in (
        *(typical().cycle, typical().predicted_return, typical().mispredicted_return),
        *(typical().clamp_latency, typical().clamp_throughput),
        *(typical().plain_add, typical().locked_add),
    ):
        assert any(f"{figure.ns:.3f}" in row for row in rows)
