# SPDX-License-Identifier: GPL-2.0-only
"""The front door, and how much code the usual loops cost."""

from __future__ import annotations

import pytest

from tests.translate.assemble import assemble
from tests.translate.machine import NAMES, Native, Translated, User, differences
from ubypass.abi import Abi, Translation
from ubypass.errors import UbError
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate

TEXT = 0x7F00_1234_5000
_ABI = Abi(dispatch_size=16, dispatch_vector_size=24)

# What a C compiler and glibc make of "while (--n) getppid();": the program, its
# PLT and the library's function.
_GETPPID = """
    loop: call plt
    back: sub ebx, 1
    jne loop
    hlt
    plt: jmp [rip+slot]
    f: mov eax, 110
    syscall
    start: ret
    .balign 8
    slot: .quad f
"""
_PREAD = """
    loop: xor ecx, ecx
    mov edx, 64
    mov rsi, r13
    mov edi, r12d
    call plt
    back: add rbp, rax
    sub ebx, 1
    jne loop
    hlt
    plt: jmp [rip+slot]
    f: cmp byte ptr [rip+single], 0
    mov r10, rcx
    je slow
    mov eax, 17
    syscall
    start: cmp rax, -4096
    ja error
    ret
    slow: jmp slow
    error: neg eax
    mov fs:[8], eax
    mov rax, -1
    ret
    .balign 8
    slot: .quad f
    single: .byte 1
"""


def _user(code: bytes, at: dict[str, int], rounds: int) -> User:
    stack = 0x7FFE_0000_0000
    content = bytearray(4096)
    content[0x800:0x808] = at["back"].to_bytes(8, "little")
    regs = dict.fromkeys(NAMES, 0)
    regs |= {"rsp": stack + 0x800, "rbx": rounds, "r12": 3, "r13": stack}
    memory = {TEXT: code + bytes(-len(code) % 4096), stack: bytes(content)}
    return User(memory, regs, at["start"], fsbase=stack + 0x100)


def _translated(source: str, nr: int) -> tuple[Translation, bytes, dict[str, int]]:
    code, at = assemble(source, TEXT)
    spec = RegionSpec((HotEntry(at["start"], nr, (at["back"],)),))
    return translate(discover(spec, BytesReader({TEXT: code})), _ABI), code, at


@pytest.mark.parametrize(
    ("source", "nr", "user", "most"),
    # Instructions of a round that are the user's (without the system call), and
    # the most that may run instead.
    [(_GETPPID, 110, 6, 16), (_PREAD, 17, 16, 30)],
    ids=["getppid", "pread"],
)
def test_instructions_per_dispatch(source: str, nr: int, user: int, most: int) -> None:
    translation, code, at = _translated(source, nr)
    executed = []
    for rounds in (20, 40):
        process = _user(code, at, 1000)
        outcome = Translated(translation, process, _ABI).run(at["start"], rounds)
        assert outcome.dispatched == rounds
        assert not differences(outcome, Native(process, _ABI), None)
        executed.append(outcome.executed)
    each = (executed[1] - executed[0]) / 20
    print(f"{each} instructions for {user}")
    assert user <= each <= most


def test_too_large() -> None:
    code, at = assemble(_PREAD, TEXT)
    spec = RegionSpec((HotEntry(at["start"], 17, (at["back"],)),))
    region = discover(spec, BytesReader({TEXT: code}))
    with pytest.raises(UbError, match="the module accepts 64"):
        translate(region, Abi(max_code=64))


def test_loops_are_not_written_out_where_there_is_no_room() -> None:
    body = 8 * "lea rax, [rax+rbx+1]\n"
    text = f"first: mov eax, 39\nsyscall\nstart: {body}dec ecx\njne start\njmp first"
    code, at = assemble(text, TEXT)
    spec = RegionSpec((HotEntry(at["start"], 39),))
    region = discover(spec, BytesReader({TEXT: code}))
    large, small = translate(region), translate(region, turns=1)
    assert len(large.code) > len(small.code)
    room = len(large.code) - 1
    assert translate(region, Abi(max_code=room)) == small


def test_entries_for_every_dispatch() -> None:
    translation, _, at = _translated(_PREAD, 17)
    assert [entry.user_ip for entry in translation.entries] == [at["start"]]
    assert len(translation.dispatches) == 1
    assert translation.dispatches[0].nr == 17
    assert not translation.vector
    assert translation.constants % 8 == 0
    assert (len(translation.code) - translation.constants) % 8 == 0
    assert [o for o, _ in translation.user_ips] == sorted(
        o for o, _ in translation.user_ips
    )


def test_careful_code_relies_on_nothing_from_other_blocks() -> None:
    source = """
        first: mov eax, 39
        syscall
        start: mov rdx, [rbx]
        test edx, edx
        je start
        back: mov rcx, [rbx+8]
        jmp first
    """
    code, at = assemble(source, TEXT)
    region = discover(
        RegionSpec((HotEntry(at["start"], 39),)), BytesReader({TEXT: code})
    )
    guard = b"\x48\x3b\x5c\x24\x08"  # cmp rbx, [rsp+8]
    usual = translate(region, _ABI)
    careful = translate(region, _ABI, careful=True)
    assert careful.code.count(guard) > usual.code.count(guard) > 0
