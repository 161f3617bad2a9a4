# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.cli.bench.options import command_line
from ubypass.cli.options import LAB_COMMAND


def test_the_command_as_a_user_types_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/ub", "bench", "io", "--json", "a b"])
    monkeypatch.delenv(LAB_COMMAND, raising=False)
    assert command_line() == "ub bench io --json 'a b'"
    monkeypatch.setenv(LAB_COMMAND, "ub lab run --pti on")
    assert command_line() == "ub lab run --pti on -- ub bench io --json 'a b'"
