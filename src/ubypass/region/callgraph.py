# SPDX-License-Identifier: GPL-2.0-only
"""The calls inside a region to which a ``ret`` may return.

A ``ret`` that can be reached from the start of a function without leaving the function
may return to every call of that function. These are only candidates: translated code
compares the return address.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from iced_x86 import Code, FlowControl, OpKind

from ubypass.region.decode import Step

__all__ = ["internal_returns"]

# Plain integers, because they are compared often.
_NEXT: Final[int] = FlowControl.NEXT
_CALL: Final[int] = FlowControl.CALL
_JUMP: Final[int] = FlowControl.UNCONDITIONAL_BRANCH
_BRANCH: Final[int] = FlowControl.CONDITIONAL_BRANCH
_JUMP_INDIRECT: Final[int] = FlowControl.INDIRECT_BRANCH
_CALL_INDIRECT: Final[int] = FlowControl.INDIRECT_CALL
_RETURN: Final[int] = FlowControl.RETURN


def internal_returns(
    found: dict[int, Step],
    learned: Mapping[int, Sequence[int]],
    calls: Collection[int],
) -> dict[int, list[int]]:
    """Address of each ``ret`` → return points of the calls to which it may return.

    ``found`` are the region's instructions by address, ``learned`` the targets of
    its indirect branches and calls, ``calls`` the addresses of all calls. Return
    points come in address order.
    """
    points: dict[int, list[int]] = {}
    for address in sorted(calls):
        step = found[address]
        if step.next_ip not in found:
            continue
        for target in _callees(step, learned):
            points.setdefault(target, []).append(step.next_ip)
    answered: dict[int, list[int]] = {}
    # Memo, so that shared parts of functions are walked once.
    paths: dict[int, _Path] = {}
    for function, returns in sorted(points.items()):
        for site in _rets(function, found, learned, paths):
            known = answered.setdefault(site, [])
            known.extend(p for p in returns if p not in known)
    return answered


def _callees(step: Step, learned: Mapping[int, Sequence[int]]) -> Sequence[int]:
    instruction = step.instruction
    if step.flow == _CALL_INDIRECT:
        return learned.get(instruction.ip, ())
    if step.flow == _CALL and instruction.op0_kind == OpKind.NEAR_BRANCH64:
        return (instruction.near_branch_target,)
    return ()


#: The end address of straight-line code, whether it is a ret, and the successors
#: inside the function.
_Path = tuple[int, bool, Sequence[int]]


def _rets(
    function: int,
    found: dict[int, Step],
    learned: Mapping[int, Sequence[int]],
    paths: dict[int, _Path],
) -> list[int]:
    """Rets reachable in the function; calls are stepped over. ``paths``: a memo."""
    seen: set[int] = set()
    todo = [function]
    rets: list[int] = []
    while todo:
        address = todo.pop()
        if address in seen:
            continue
        path = paths.get(address)
        if path is None:
            if address not in found:
                continue
            path = paths[address] = _path(address, found, learned)
        seen.add(address)
        last, is_ret, following = path
        if address != last and last in seen:
            continue
        seen.add(last)
        if is_ret:
            rets.append(last)
        todo += following
    return sorted(rets)


def _path(
    address: int, found: dict[int, Step], learned: Mapping[int, Sequence[int]]
) -> _Path:
    """The straight-line code from ``address``, which is in ``found``."""
    step = found[address]
    while step.flow == _NEXT:
        following = step.following
        if following is None or not following.found:
            following = found.get(step.next_ip)
            if following is None:
                return address, False, ()
        address = step.next_ip
        step = following
    flow, instruction = step.flow, step.instruction
    if flow == _RETURN:
        return address, True, ()
    if flow == _JUMP:
        return address, False, (instruction.near_branch_target,)
    if flow == _BRANCH:
        return address, False, (instruction.near_branch_target, step.next_ip)
    if flow == _JUMP_INDIRECT:
        return address, False, learned.get(address, ())
    if flow in (_CALL, _CALL_INDIRECT) or instruction.code == Code.SYSCALL:
        return address, False, (step.next_ip,)
    return address, False, ()
