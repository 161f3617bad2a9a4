# SPDX-License-Identifier: GPL-2.0-only
"""The exit status of ``ub bench io``, which ``make demo`` passes on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.samples import record
from ubypass.cli.bench.io import show


@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, 0), ({"bypass_rate": 0.0}, 1), ({"same_results": False}, 1)],
)
def test_one_bad_loop_is_a_failure(
    changes: dict[str, Any], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show([record(), record(**changes), record()]) == status
    assert "pread" in capsys.readouterr().out


def test_nothing_measured_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert show([]) == 0
    assert "Nothing" in capsys.readouterr().out
