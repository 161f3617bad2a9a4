# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

import pytest

from tests.region.asm import program
from ubypass.abi import Abi, ExitReason
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.graph import End, Region
from ubypass.translate.clone import (
    _LARGE,
    CLONE_STRIDE,
    in_same_clone,
    user_address,
    with_clones,
)
from ubypass.translate.translate import translate
from ubypass.verify.check import check

_ABI = Abi(dispatch_size=16, dispatch_vector_size=24)
_TWICE = """
    first: mov eax, 39
    syscall
    start: call callee
    one: mov rbx, rax
    call callee
    two: add rbx, rax
    jmp first
    callee: mov rax, [rdi]
    test eax, eax
    js odd
    back: ret
    odd: neg eax
    jmp back
"""


def _region(text: str) -> tuple[Region, dict[str, int]]:
    reader, at = program(text)
    return discover(RegionSpec((HotEntry(at["start"], 39),)), reader), at


def test_without_traced_paths_nothing_is_cloned() -> None:
    region, _ = _region(_TWICE)
    assert with_clones(region, 1000) is region


def test_each_call_has_its_own_clone_of_traced_code() -> None:
    region, at = _region(_TWICE)
    traced = frozenset(region.blocks) - {at["odd"]}
    cloned = with_clones(replace(region, traced=traced), 1000)
    clones = [start for start in cloned.blocks if start >= 2 * CLONE_STRIDE]
    assert sorted(map(user_address, clones)) == sorted([at["callee"], at["back"]] * 2)
    # Each returns to where it was called.
    returns = [
        cloned.blocks[start] for start in clones if user_address(start) == at["back"]
    ]
    assert [block.targets for block in returns] == [(at["one"],), (at["two"],)]
    assert cloned.traced == {at["first"], at["start"], at["one"], at["two"], *clones}
    # What leaves a clone on another path stays apart up to the next system call.
    callee = cloned.blocks[in_same_clone(clones[0], at["callee"])]
    odd = CLONE_STRIDE + at["odd"]
    assert callee.targets == (odd, in_same_clone(clones[0], at["back"]))
    assert cloned.blocks[odd].targets == (CLONE_STRIDE + at["back"],)
    back = cloned.blocks[CLONE_STRIDE + at["back"]]
    assert back.targets == (CLONE_STRIDE + at["one"], CLONE_STRIDE + at["two"])
    assert cloned.blocks[CLONE_STRIDE + at["two"]].targets == (
        CLONE_STRIDE + at["first"],
    )
    assert cloned.blocks[CLONE_STRIDE + at["first"]].targets == (at["start"],)
    for start, block in cloned.blocks.items():
        assert block.start == start
        assert all(start in cloned.predecessors[t] for t in block.targets)


def test_no_more_than_there_is_room_for() -> None:
    region, at = _region(_TWICE)
    region = replace(region, traced=frozenset(region.blocks))
    size = len(region.blocks[at["callee"]].instructions)
    cloned = with_clones(region, size)
    clones = [start for start in cloned.blocks if start >= 2 * CLONE_STRIDE]
    assert [user_address(start) for start in clones] == [at["callee"]]


def test_recursion_ends() -> None:
    region, at = _region(
        """
        first: mov eax, 39
        syscall
        start: call callee
        jmp first
        callee: dec ebx
        js back
        call callee
        inner: nop
        back: ret
        """
    )
    cloned = with_clones(replace(region, traced=frozenset(region.blocks)), 1000)
    calls = [b for b in cloned.blocks.values() if b.end is End.CALL]
    inner = [b.start // CLONE_STRIDE for b in calls if b.next_ip == at["inner"]]
    # Called from outside and from there; then without a copy, and from there.
    assert sorted(inner) == [0, 2, 3, 4]


def test_what_is_known_of_addresses_outlives_a_call() -> None:
    text = """
        first: mov eax, 39
        syscall
        start: mov rcx, [rbp]
        call callee
        mov rcx, [rbp+8]
        call callee
        mov rcx, [rbp+16]
        jmp first
        callee: mov [rcx], rdx
        ret
    """
    region, _ = _region(text)
    apart = translate(replace(region, traced=frozenset(region.blocks)), _ABI)
    check(apart, _ABI)
    misses = [e for e in apart.exits if e.reason is ExitReason.RET_MISS]
    assert len({e.user_ip for e in misses}) == 1
    # cmovae: this pointer is clamped once, and not again behind each call.
    assert apart.code.count(b"\x48\x0f\x43\x6c\x24") == 1


def test_too_large_with_copies_is_translated_without() -> None:
    more = "\n".join(f"add rax, [rdi+{8 * n}]" for n in range(40))
    region, _ = _region(_TWICE.replace("back: ret", f"back: {more}\nret"))
    plain = translate(region, _ABI)
    traced = replace(region, traced=frozenset(region.blocks))
    with_copies = translate(traced, _ABI)
    assert len(with_copies.code) > len(plain.code)
    small = replace(_ABI, max_code=len(with_copies.code) - 1)
    assert len(translate(traced, small).code) <= small.max_code


_SWITCH = """
    first: mov eax, 39
    syscall
    start: call switch
    here: mov rbx, rax
    jmp first
    other: mov eax, 39
    syscall
    resumed: call switch
    there: add rbx, rax
    jmp other
    switch: push rbp
    mov [rdi], rsp
    {switch}
    pop rbp
    ret
"""


@pytest.mark.parametrize(
    "switch", ["mov rsp, [rsi]", "mov rsp, rsi", "xchg rsp, rsi", "pop rsp"]
)
def test_behind_a_change_of_the_stack_the_caller_is_unknown(switch: str) -> None:
    reader, at = program(_SWITCH.format(switch=switch))
    entries = HotEntry(at["start"], 39), HotEntry(at["resumed"], 39)
    region = discover(RegionSpec(entries), reader)
    cloned = with_clones(replace(region, traced=frozenset(region.blocks)), 1000)
    rets = [block for block in cloned.blocks.values() if block.end is End.RET]
    # Both coroutines continue where the other one was called.
    assert rets
    for ret in rets:
        assert sorted(map(user_address, ret.targets)) == [at["here"], at["there"]]


def test_a_frame_pointer_does_not_change_the_stack() -> None:
    region, at = _region(
        """
        first: mov eax, 39
        syscall
        start: call callee
        one: call callee
        two: jmp first
        callee: push rbp
        mov rbp, rsp
        sub rsp, 32
        mov rsp, rbp
        pop rbp
        ret
        """
    )
    cloned = with_clones(replace(region, traced=frozenset(region.blocks)), 1000)
    rets = [block for block in cloned.blocks.values() if block.end is End.RET]
    assert [block.targets for block in rets] == [(at["one"],), (at["two"],)]


@pytest.mark.parametrize("own", ["call next\n next: pop rcx", "lea rsp, [rsp-8]"])
def test_a_popped_return_address_leads_to_the_callers_caller(own: str) -> None:
    restored = "add rsp, 8" if own.startswith("lea") else "nop"
    region, at = _region(
        f"""
        first: mov eax, 39
        syscall
        start: call callee
        one: call callee
        two: jmp first
        callee: {own}
        {restored}
        back: ret
        """
    )
    cloned = with_clones(replace(region, traced=frozenset(region.blocks)), 1000)
    rets = [block for block in cloned.blocks.values() if block.end is End.RET]
    assert [block.targets for block in rets] == [(at["one"],), (at["two"],)]


def test_a_ret_to_a_pushed_address_stays_in_its_clone() -> None:
    reader, at = program(
        """
        first: mov eax, 39
        syscall
        start: call callee
        one: call callee
        two: jmp first
        callee: push rcx
        jump: ret
        body: mov rax, [rdi]
        back: ret
        """
    )
    # The target was observed.
    spec = RegionSpec(
        (HotEntry(at["start"], 39),),
        targets={at["jump"]: (at["body"],)},
        traced=frozenset(at.values()),
    )
    cloned = with_clones(discover(spec, reader), 1000)
    back = [b for b in cloned.blocks.values() if user_address(b.start) == at["body"]]
    assert [block.targets for block in back] == [(at["one"],), (at["two"],)]


@pytest.mark.parametrize(("more", "clones"), [(_LARGE - 5, 4), (_LARGE, 0)])
def test_large_functions_are_not_cloned(more: int, clones: int) -> None:
    """Copies of them would be in no cache."""
    adds = "\n".join(["add rax, rcx"] * more)
    region, at = _region(_TWICE.replace("back: ret", f"back: {adds}\nret"))
    traced = frozenset(region.blocks) - {at["odd"]}
    cloned = with_clones(replace(region, traced=traced), 10_000)
    assert sum(start >= 2 * CLONE_STRIDE for start in cloned.blocks) == clones
    # Code of a function that is not traced does not count.
    traced -= {at["back"]}
    cloned = with_clones(replace(region, traced=traced), 10_000)
    assert any(start >= 2 * CLONE_STRIDE for start in cloned.blocks)
