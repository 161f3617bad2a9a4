# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.bench.gap import count_gap
from ubypass.bench.loop import Workload
from ubypass.bench.workloads import build_workload
from ubypass.errors import UbError

_PREAD64 = 17


def test_summing_lengthens_the_gap_word_by_word(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(bytes(1 << 16))
    ioloop, gapcount = build_workload("ioloop"), build_workload("gapcount")

    def gap(size: int, with_sum: bool) -> int:
        workload = Workload("pread", _PREAD64, size, with_sum)
        command = [str(ioloop), *workload.arguments(file)]
        return count_gap(gapcount, command, _PREAD64)

    plain = gap(64, False)
    assert 10 < plain < 60
    assert gap(1024, False) == plain
    # Four instructions a word, as the compiler has made it and a person would.
    assert gap(1024, True) - gap(64, True) == 4 * (1024 - 64) // 8


def test_says_that_there_was_no_such_call() -> None:
    with pytest.raises(UbError, match="ended before"):
        count_gap(build_workload("gapcount"), ["/bin/true"], _PREAD64)
