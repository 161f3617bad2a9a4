# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

from tests.region.asm import program
from ubypass.abi import Abi, ExitReason, SiteKey
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover
from ubypass.translate.budget import MOST_OWED, PATIENCE
from ubypass.translate.flow import Flow, entry_state, solve
from ubypass.translate.layout import assemble
from ubypass.translate.registers import R11, RCX, RSP
from ubypass.translate.state import Flags, Loc
from ubypass.verify.check import check

_ABI = Abi(dispatch_size=8, dispatch_vector_size=12)
_VECTOR = """
    first: mov eax, 39
    syscall
    start: test eax, eax
    js cold
    jmp first
    cold: pxor xmm0, xmm0
    jmp first
"""


def test_entry_state() -> None:
    state = entry_state(0x1234, fred=False)
    assert (state.loc[RSP], state.loc[RCX], state.loc[R11]) == (Loc.B, Loc.S, Loc.S)
    assert (state.cx, state.flags) == (0x1234, Flags.SYS)
    assert state.intervals[RSP] == (0, 0, False, False)
    kept = entry_state(0x1234, fred=True)
    assert (kept.loc[RCX], kept.loc[R11]) == (Loc.M, Loc.M)


def test_cold_vector_code_stays_outside_until_asked_for() -> None:
    reader, at = program(_VECTOR)
    hot = (HotEntry(at["start"], 39),)
    region = discover(RegionSpec(hot), reader)
    translation = assemble(solve(region, _ABI, 8))
    assert not translation.vector
    assert (at["cold"], ExitReason.FRONTIER) in [
        (e.user_ip, e.reason) for e in translation.exits
    ]
    region = discover(RegionSpec(hot, (at["cold"],)), reader)
    translation = assemble(solve(region, _ABI, 8))
    assert translation.vector
    place = translation.dispatches[0].code_offset
    assert translation.code[place : place + 12] == b"\xcc" * 12


def test_rare_paths_get_a_version_of_their_own() -> None:
    reader, at = program(
        """
        first: mov eax, 39
        syscall
        start: test eax, eax
        js odd
        join: mov rdi, rbx
        mov ecx, 5
        jmp first
        odd: mov ecx, 7
        jmp join
        """
    )
    region = discover(RegionSpec((HotEntry(at["start"], 39),)), reader)
    flow = solve(region, _ABI, 8)
    versions = [node for node in flow.order if node.start == at["join"]]
    # With rcx as the system call left it, and with another value there.
    assert sorted(node.cx for node in versions) == [0, at["start"]]


def test_refused_call_numbers_are_no_dispatches() -> None:
    reader, at = program(
        """
        first: mov eax, 59
        syscall
        start: mov eax, 39
        syscall
        last: test edi, edi
        jne start
        jmp first
        """
    )
    entries = (HotEntry(at["start"], 59), HotEntry(at["last"], 39))
    region = discover(RegionSpec(entries), reader)
    flow = solve(region, _ABI, 8)
    translation = assemble(flow)
    assert [d.nr for d in translation.dispatches] == [39]
    # Nor is there an entry behind one: it is never hooked.
    assert [e.key for e in translation.entries] == [(at["last"], 39)]
    assert ExitReason.SYSCALL in {e.reason for e in translation.exits}


def test_a_region_ends_behind_the_only_call_of_several_that_is_dispatched() -> None:
    reader, at = program("start: mov eax, ebx\nsyscall\nlast: dec ecx\njmp start")
    wait = SiteKey(at["last"], 232)
    spec = RegionSpec(
        (HotEntry(at["start"], 39),),
        numbers={at["last"]: (12, 232)},  # brk is none of those that can be
        stops=frozenset({wait}),
    )
    translation = assemble(solve(discover(spec, reader), _ABI, 8))
    check(translation, _ABI)
    assert [d.nr for d in translation.dispatches] == [232]
    assert [e.key for e in translation.entries] == [(at["start"], 39)]
    ends = [e.user_ip for e in translation.exits if e.reason is ExitReason.FRONTIER]
    assert ends == [at["last"]]


def test_code_off_the_traced_paths_has_one_version() -> None:
    reader, at = program(
        """
        first: mov eax, 39
        syscall
        start: test eax, eax
        js odd
        mov ecx, 5
        jmp first
        odd: test ebx, ebx
        js odder
        mov r11, 7
        odder: mov ecx, 7
        jmp first
        """
    )
    region = discover(RegionSpec((HotEntry(at["start"], 39),)), reader)
    traced = frozenset({at["start"], at["first"], at["start"] + 4})

    def versions(flow: Flow) -> list[bool]:
        return sorted(n.derived for n in flow.order if n.start == at["odder"])

    assert versions(solve(region, _ABI, 8)) == [False, True]
    assert versions(solve(replace(region, traced=traced), _ABI, 8)) == [False]


def test_who_is_used_most_often_has_a_host_register() -> None:
    always = ("r10", "r11", "r14", "r15")
    often = "\n".join(f"add {register}, 1" for register in always for _ in range(6))
    source = f"""
        first: mov eax, 39
        syscall
        start: add rbx, 5
        {often}
        add rbp, rbx
        add rbp, rbx
        test eax, eax
        js odd
        add r8, r9
        add r8, r9
        jmp first
        odd: add r12, r13
        add r12, r13
        jmp first
        """
    reader, at = program(source)
    region = discover(RegionSpec((HotEntry(at["start"], 39),)), reader)
    blocks = frozenset(region.blocks)
    for often_at, kept, spilled in (("odd", 12, 8), ("start", 8, 12)):
        execution_counts = dict.fromkeys(blocks, 1) | {at[often_at]: 100}
        if often_at == "start":
            # What follows it straight on.
            execution_counts |= {
                b: 100 for b in blocks if b not in (at["odd"], at["first"])
            }
        flow = solve(
            replace(region, traced=blocks, execution_counts=execution_counts), _ABI, 8
        )
        assert not flow.assignment.spilled(kept)
        assert flow.assignment.spilled(spilled)


def test_paths_of_jumps_alone_charge_too() -> None:
    count = 3 * (MOST_OWED + PATIENCE)
    jumps = "\n".join(f"j{n}: jmp [rbx+{8 * n}]" for n in range(count))
    reader, at = program(
        f"first: mov eax, 39\nsyscall\nstart:\n{jumps}\nj{count}: jmp first"
    )
    targets = {at[f"j{n}"]: (at[f"j{n + 1}"],) for n in range(count)}
    spec = RegionSpec((HotEntry(at["start"], 39),), targets=targets)
    region = discover(spec, reader, Limits(2 * count, reach=2 * count))
    translation = assemble(solve(region, _ABI, 8))
    charges = [
        leave.user_ip
        for leave in translation.exits
        if leave.reason == ExitReason.BUDGET
    ]
    assert count // MOST_OWED >= len(charges) >= count // (MOST_OWED + PATIENCE)
