# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from iced_x86 import Decoder, Formatter, FormatterSyntax

from ubypass.abi import Exit, ExitFlag, ExitReason
from ubypass.translate.emit import Buffer
from ubypass.translate.exits import Exits
from ubypass.translate.labels import ExitKey, Tail

_NOTHING = Tail(())
_RAX = Tail(((0x850, 0),))


def _key(ip: int, tail: Tail = _NOTHING) -> ExitKey:
    return ExitKey(ip, ExitReason.FAULT, ExitFlag.NONE, 0, tail)


def _emitted(*keys: ExitKey) -> tuple[list[str], Exits, list[int]]:
    exits, out = Exits(11), Buffer()
    for key in keys:
        exits.want(key)
    jumps = exits.emit(out)
    formatter = Formatter(FormatterSyntax.INTEL)
    text = [formatter.format(i) for i in Decoder(64, bytes(out.code), ip=0)]
    return text, exits, jumps


def test_tails_are_shared() -> None:
    text, exits, jumps = _emitted(_key(1, _RAX), _key(2, _RAX), _key(3))
    assert [e.user_ip for e in exits.exits] == [1, 2, 3]
    assert text.count("mov [rsp+850h],rax") == 1
    # One for the exit without stores, one for the tail.
    assert len(jumps) == 2


def test_exits_that_differ_in_stores_only_share_a_number() -> None:
    _, exits, _ = _emitted(_key(1, _RAX), _key(1))
    assert exits.exits == (Exit(1, ExitReason.FAULT),)


def test_the_target_is_stored_before_scratch_is_used() -> None:
    text, _, _ = _emitted(
        ExitKey(
            *(1, ExitReason.RET_MISS, ExitFlag.TARGET, 0, _NOTHING),
            target=11,
            stack=(15, -8),
        )
    )
    assert text[:4] == [
        "mov [rsp+20h],r11",
        "lea r11,[r15-8]",
        "mov dword ptr [rsp],0",
        "mov [rsp+958h],r11",
    ]


def test_one_exit_without_all_flags_makes_its_number_doubtful() -> None:
    keys = [ExitKey(1, ExitReason.FAULT, 0, 0, _RAX, exact=True)]
    assert _emitted(*keys)[1].exact == (True,)
    keys.append(ExitKey(1, ExitReason.FAULT, 0, 0, _NOTHING, exact=False))
    keys.append(ExitKey(2, ExitReason.FAULT, 0, 0, _NOTHING, exact=True))
    assert _emitted(*keys)[1].exact == (False, True)
