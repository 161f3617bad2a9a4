# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.bench.chains.snapshot import Call
from ubypass.bench.chains.work import Work, work_for

_FAILED = (1 << 64) - 11


@pytest.mark.parametrize(
    ("nr", "result", "kind", "work", "size"),
    [
        (0, 64, "s", Work.RECEIVE, 64),
        (0, 64, "f", Work.READ, 64),
        (0, 8, "o", Work.NOTHING, 0),
        (0, _FAILED, "s", Work.NOTHING_THERE, 0),
        (45, 100, "d", Work.DATAGRAM, 100),
        (1, 70, "s", Work.SEND, 70),
        (1, 70, "f", Work.WRITE, 70),
        (17, 4096, "f", Work.READ, 4096),
        (40, 4096, "s", Work.SENDFILE, 4096),
        (40, _FAILED, "s", Work.SENDFILE, 1),
        (1, 1 << 30, "s", Work.SEND, 1 << 16),
        (232, 3, "o", Work.WAIT, 0),
        (3, 0, "f", Work.CLOSE, 0),
        (257, 5, "-", Work.OPEN, 0),
        (110, 1, "-", Work.NOTHING, 0),
    ],
)
def test_same_kind(nr: int, result: int, kind: str, work: Work, size: int) -> None:
    assert work_for(Call(0x1000, nr, result, kind, ())) == (work, size)
