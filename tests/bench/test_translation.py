# SPDX-License-Identifier: GPL-2.0-only
"""The translator's cost is measured on real code, and its memory stays flat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ubypass.bench.translation import STAGES, measure, write
from ubypass.cli.main import main


def test_real_regions_and_flat_memory(tmp_path: Path) -> None:
    phrases: list[str] = []
    costs = measure(phrases.append, builds=300)
    assert phrases
    assert len(costs.regions) > 5
    assert sum(cost.instructions for cost in costs.regions) > 1000
    assert all(each > 0 for warm in (False, True) for each in costs.each(warm))
    # 300 builds that kept anything would keep megabytes.
    assert costs.after - costs.before < 4 << 20
    assert costs.peak >= costs.after
    file = tmp_path / "costs.json"
    write(file, costs)
    data = json.loads(file.read_text("utf-8"))
    assert data["record_version"] == 1
    each = data["us_per_instruction"]
    assert set(each) == {*STAGES, "total"}
    assert each["total"] == pytest.approx(sum(each[s] for s in STAGES), abs=0.05)
    assert data["machine"]["cpu"]


def test_a_negative_number_of_builds_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "translate", "--builds", "-1"]) == 2
    assert "-1 is less than 0" in capsys.readouterr().err
