# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from iced_x86 import Decoder

from ubypass.region.block_end import block_end
from ubypass.region.graph import End

_AT = 0x1000


@pytest.mark.parametrize(
    ("code", "end", "targets"),
    [
        ("90", End.FALL, (_AT + 1,)),
        ("0f05", End.SYSCALL, (_AT + 2,)),
        ("eb10", End.JUMP, (_AT + 0x12,)),
        ("e900010000", End.JUMP, (_AT + 0x105,)),
        ("7410", End.BRANCH, (_AT + 0x12, _AT + 2)),
        ("e3fe", End.BRANCH, (_AT, _AT + 2)),
        ("e800010000", End.CALL, (_AT + 0x105,)),
        ("c3", End.RET, ()),
        ("ffe0", End.JUMP_INDIRECT, ()),
        ("ff25f0000000", End.JUMP_INDIRECT, ()),
        ("ffd0", End.CALL_INDIRECT, ()),
        # Processors disagree on its target; far ones leave the segment.
        ("66e90001", End.STOP, ()),
        ("ff2d00000000", End.JUMP_INDIRECT, ()),
        ("0f0b", End.STOP, ()),
        ("cd80", End.STOP, ()),
        ("f4", End.FALL, (_AT + 1,)),
    ],
)
def test_by_the_last_instruction(code: str, end: End, targets: tuple[int, ...]) -> None:
    last = Decoder(64, bytes.fromhex(code), ip=_AT).decode()
    assert block_end(last, last.flow_control, last.next_ip) == (end, targets)
