# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from tests.pictures import openmetrics

_TEXT = """\
# HELP ubypass_up Whether.
# TYPE ubypass_up gauge
ubypass_up 1.0
# TYPE ubypass_runs_total counter
ubypass_runs_total{rule="a\\"b"} 7.0
other_total 3.0
"""


def test_samples_have_a_time_and_a_target() -> None:
    assert list(openmetrics.samples(_TEXT, 12.5)) == [
        'ubypass_up{instance="lab:9464",job="ubypass"} 1.0 12.500',
        'ubypass_runs_total{rule="a\\"b",instance="lab:9464",job="ubypass"} 7.0 12.500',
    ]


def test_a_value() -> None:
    assert openmetrics.value(_TEXT, "ubypass_up") == 1
    assert openmetrics.value(_TEXT, "ubypass_runs_total", rule='a"b') == 7
    with pytest.raises(LookupError):
        openmetrics.value(_TEXT, "ubypass_runs_total")
    with pytest.raises(LookupError):
        openmetrics.value(_TEXT, "ubypass_down")


def test_a_file_and_its_span(tmp_path: Path) -> None:
    file = tmp_path / "f.om"
    lines = [line for time in (10.0, 30.0) for line in openmetrics.samples(_TEXT, time)]
    openmetrics.write(file, lines)
    assert file.read_text().endswith("\n# EOF\n")
    assert openmetrics.span(file) == (10.0, 30.0)
