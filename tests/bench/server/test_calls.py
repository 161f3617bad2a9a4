# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ubypass.bench.server.calls import CallCounter
from ubypass.errors import UbError


def test_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="has no tracepoints") as error:
        CallCounter([os.getpid()], tmp_path / "id")
    assert "tracefs" in error.value.hint
    (tmp_path / "id").write_text("1000000\n")
    with pytest.raises(UbError, match="cannot count system calls"):
        CallCounter([os.getpid()], tmp_path / "id")
