# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.words import signed64


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (0, 0),
        (1, 1),
        ((1 << 63) - 1, (1 << 63) - 1),
        (1 << 63, -(1 << 63)),
        ((1 << 64) - 1, -1),
        (1 << 64, 0),
        (-5, -5),
    ],
)
def test_two_s_complement(value: int, wanted: int) -> None:
    assert signed64(value) == wanted
