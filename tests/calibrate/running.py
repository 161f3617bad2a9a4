# SPDX-License-Identifier: GPL-2.0-only
"""Runs bodies, and counts what they execute."""

from __future__ import annotations

import ctypes
from collections import Counter

from iced_x86 import Code, Decoder, FlowControl, Instruction

from ubypass.calibrate.loops import Body, Data, assembled
from ubypass.executable import Executable

__all__ = ["executed", "run"]


def run(body: Body, turns: int) -> None:
    """So many turns, on this CPU."""
    code, starts = assembled([body])
    data = Data()
    with Executable(code) as mapped:
        loop = ctypes.CFUNCTYPE(*[ctypes.c_uint64] * 4)
        loop(mapped.address + starts[body.name])(1, turns, data.address)


def executed(body: Body) -> Counter[str]:
    """Instructions of one turn, by their text, on the way that is taken: calls and
    unconditional jumps are followed, conditional ones are not taken.
    """
    code, starts = assembled([body])
    listing = {i.ip: i for i in Decoder(64, code, ip=0)}
    at = _loop(listing, starts[body.name])
    found: Counter[str] = Counter()
    stack: list[int] = []
    while True:
        instruction = listing[at]
        if instruction.code == Code.DEC_RM64:
            assert not stack
            return found
        found[str(instruction)] += 1
        at = instruction.next_ip
        flow = instruction.flow_control
        if flow == FlowControl.CALL:
            if instruction.code == Code.CALL_REL32_64:
                stack.append(at)
                at = instruction.near_branch_target
        elif flow == FlowControl.UNCONDITIONAL_BRANCH:
            at = instruction.near_branch_target
        elif flow == FlowControl.RETURN:
            at = stack.pop()


def _loop(listing: dict[int, Instruction], start: int) -> int:
    """Where the loop begins: where the jump back at its end leads."""
    at = start
    while listing[at].code != Code.DEC_RM64 or str(listing[at]) != "dec rbx":
        at = listing[at].next_ip
    return listing[listing[at].next_ip].near_branch_target
