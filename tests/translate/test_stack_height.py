# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

from tests.region.asm import program
from ubypass.abi import Abi
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.graph import Region
from ubypass.translate.clone import with_clones
from ubypass.translate.flow import solve
from ubypass.translate.layout import assemble
from ubypass.translate.stack_height import stack_heights

_ABI = Abi(dispatch_size=16, dispatch_vector_size=24)
_CALLS = """
    first: mov eax, 39
    syscall
    start: push rbx
    call callee
    behind: pop rbx
    jmp first
    callee: push rbp
    mov rbp, rsp
    sub rsp, 32
    test eax, eax
    js other
    leave
    ret
    other: add rsp, 56
    jmp first
"""


def _region(text: str) -> tuple[Region, dict[str, int]]:
    reader, at = program(text)
    return discover(RegionSpec((HotEntry(at["start"], 39),)), reader), at


def test_follows_pushes_calls_and_returns() -> None:
    region, at = _region(_CALLS)
    found = stack_heights(region)
    assert found[at["start"]] == 0
    assert found[at["callee"]] == -16
    assert found[at["behind"]] == -8
    assert found[at["other"]] == -16 - 8 - 32
    assert found[at["first"]] == 0
    assert set(found) == set(region.blocks)


def test_what_cannot_be_told_is_left_out() -> None:
    region, at = _region(
        """
        first: mov eax, 39
        syscall
        start: and rsp, -16
        jz first
        next: nop
        jmp first
        """
    )
    found = stack_heights(region)
    assert at["start"] in found
    assert found.get(at["next"], 0) == 0


def test_another_entry_takes_over_the_same_point() -> None:
    reader, at = program(
        """
        first: mov eax, 39
        syscall
        start: push rbx
        push rbx
        second: mov eax, 39
        syscall
        inside: pop rbx
        add rsp, 8
        jmp first
        """
    )
    hot = (HotEntry(at["inside"], 39), HotEntry(at["start"], 39))
    found = stack_heights(discover(RegionSpec(hot), reader))
    assert found[at["inside"]] == 0
    assert found[at["start"]] == 16


def test_the_host_register_of_rsp_does_not_move() -> None:
    # Not with leave: that takes it from rbp.
    region, _ = _region(_CALLS.replace("leave", "add rsp, 32\npop rbp"))
    flow = solve(replace(region, traced=frozenset(region.blocks)), _ABI)
    translation = assemble(flow)
    host_rsp = flow.assignment.host_rsp
    # lea host_rsp, [host_rsp + disp8], as edges between blocks would have it.
    rex = 0x48 | (host_rsp >> 3) * 5
    moved = bytes((rex, 0x8D, 0x40 | (host_rsp & 7) * 9))
    inside = translation.code[: translation.entries[0].code_offset]
    assert moved not in inside


def test_traced_paths_say_where_rsp_is() -> None:
    # Cold code comes to the same place from another distance.
    text = """
        first: mov eax, 39
        syscall
        start: push rbx
        test eax, eax
        jns hot
        cold: jmp both
        hot: push rbx
        both: mov eax, 39
        syscall
        behind: add rsp, 16
        jmp first
    """
    region, at = _region(text)
    traced = replace(region, traced=frozenset(region.blocks) - {at["cold"]})
    cloned = with_clones(traced, 1000)
    assert stack_heights(cloned)[at["behind"]] == -16
