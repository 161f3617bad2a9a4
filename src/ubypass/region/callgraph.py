# SPDX-License-Identifier: GPL-2.0-only
"""Which calls inside a region a ``ret`` may answer.

A ``ret`` that can be reached from a function's start without leaving the function
answers every call of that function. Only candidates: translated code compares.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from iced_x86 import Code, FlowControl, Instruction, OpKind


def internal_returns(
    found: Mapping[int, Instruction],
    learned: Mapping[int, Sequence[int]],
    calls: Collection[int],
) -> dict[int, list[int]]:
    """Address of each ``ret`` → return points of the calls it may answer.

    ``found`` are the region's instructions by address, ``learned`` the targets of
    its indirect branches and calls, ``calls`` the addresses of all calls. Return
    points come in address order.
    """
    points: dict[int, list[int]] = {}
    for address in sorted(calls):
        instruction = found[address]
        if instruction.next_ip not in found:
            continue
        for target in _callees(instruction, learned):
            points.setdefault(target, []).append(instruction.next_ip)
    answered: dict[int, list[int]] = {}
    for function, returns in sorted(points.items()):
        for site in _rets(function, found, learned):
            known = answered.setdefault(site, [])
            known.extend(p for p in returns if p not in known)
    return answered


def _callees(
    instruction: Instruction, learned: Mapping[int, Sequence[int]]
) -> Sequence[int]:
    if instruction.flow_control == FlowControl.INDIRECT_CALL:
        return learned.get(instruction.ip, ())
    if (
        instruction.flow_control == FlowControl.CALL
        and instruction.op0_kind == OpKind.NEAR_BRANCH64
    ):
        return (instruction.near_branch_target,)
    return ()


def _rets(
    function: int,
    found: Mapping[int, Instruction],
    learned: Mapping[int, Sequence[int]],
) -> list[int]:
    """Rets that the function reaches; calls are stepped over."""
    seen: set[int] = set()
    todo = [function]
    rets: list[int] = []
    while todo:
        address = todo.pop()
        instruction = found.get(address)
        if instruction is None or address in seen:
            continue
        seen.add(address)
        flow = instruction.flow_control
        if flow == FlowControl.RETURN:
            rets.append(address)
        elif flow == FlowControl.UNCONDITIONAL_BRANCH:
            todo.append(instruction.near_branch_target)
        elif flow == FlowControl.CONDITIONAL_BRANCH:
            todo += [instruction.near_branch_target, instruction.next_ip]
        elif flow == FlowControl.INDIRECT_BRANCH:
            todo += learned.get(address, ())
        elif (
            flow in (FlowControl.NEXT, FlowControl.CALL, FlowControl.INDIRECT_CALL)
            or instruction.code == Code.SYSCALL
        ):
            todo.append(instruction.next_ip)
    return sorted(rets)
