# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from iced_x86 import FlowControl

from tests.region.asm import program
from ubypass.abi import Abi
from ubypass.engine.growth import TracedPath, Walker, executed
from ubypass.region.decode import Decoded
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate

_ABI = Abi(dispatch_size=16, dispatch_vector_size=24)
_LOOP = """
    first: mov eax, 39
    syscall
    start: test ebx, ebx
    je first
    load: mov rdx, [rdi]
    call callee
    behind: jmp first
    callee: endbr64
    add rdx, rax
    ret
"""


def _addresses(reader: BytesReader, at: dict[str, int], text: str) -> tuple[int, ...]:
    """Of the straight pieces of code at the labels in ``text``, each up to a branch."""
    code = Decoded(reader)
    found = []
    for label in text.split():
        address = at[label]
        while True:
            instruction = code.at(address)
            assert instruction is not None
            found.append(address)
            if instruction.flow_control != FlowControl.NEXT:
                break
            address = instruction.next_ip
    return tuple(found)


def test_counts_along_the_way() -> None:
    reader, at = program(_LOOP)
    short = _addresses(reader, at, "start first")
    long = _addresses(reader, at, "start load callee behind first")
    paths = [TracedPath(at["start"], 39, ips) for ips in (short, long, long, long)]
    found = executed(paths, reader, _ABI)
    assert None not in found
    # Once inside it is the same every time.
    assert found[2] == found[3]
    # A call with its return costs three, a clamp three, the flags two or four.
    assert len(long) < (found[3] or 0) < len(long) + 12


def test_a_path_to_one_of_several_calls() -> None:
    reader, at = program("first: mov eax, ecx\nsyscall\nstart: jmp first")
    path = _addresses(reader, at, "start first")
    paths = [TracedPath(at["start"], nr, path) for nr in (39, 39, 1, 1, 39)]
    found = executed(paths, reader, _ABI)
    assert None not in found
    # The most frequent one is asked for first.
    assert (found[3] or 0) < (found[2] or 0)


def test_a_path_that_leads_out_has_no_figure() -> None:
    reader, at = program(_LOOP)
    short = _addresses(reader, at, "start first")
    assert executed([TracedPath(at["start"], 39, ())], reader, _ABI) == [None]
    out = (*short[:1], 0x1234, *short[1:])
    found = executed(
        [TracedPath(at["start"], 39, w) for w in (short, out)], reader, _ABI
    )
    assert found[0] is not None
    assert found[1] is None


def test_what_repeats_itself_counts_as_often() -> None:
    reader, at = program(
        """
        first: mov eax, 39
        syscall
        start: rep stosb
        jmp first
        """
    )
    region = discover(RegionSpec((HotEntry(at["start"], 39),)), reader)
    translation = translate(region, _ABI)
    walker = Walker(translation, _ABI)
    start = walker.entries[at["start"]]
    path = [at["start"], at["start"] + 2, at["first"], at["first"] + 5]
    once = walker.walk(start, path)
    often = walker.walk(start, [at["start"]] * 7 + path)
    assert once is not None
    assert often == (once[0] + 7, once[1])
