# SPDX-License-Identifier: GPL-2.0-only
"""Rule *budget*: each cycle charges the budget or dispatches.

Removes from the graph the edges that leave a block behind a charge or a dispatch; the
rest must be acyclic. A block is entered at its start only, so the charge is on every
path along a removed edge. Edges to the exit stubs of faults and dispatches are not
needed: by rule *path* only stores and jumps follow an exit number, and those jumps are
edges. Must not depend on values.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from ubypass.verify.errors import Rule
from ubypass.verify.graph import Blocks
from ubypass.verify.program import Program

__all__ = ["check_cycles"]


def check_cycles(program: Program, blocks: Blocks) -> None:
    """Raises VerifyError when a cycle neither charges nor dispatches."""
    count = len(blocks.starts)
    succs = blocks.succs.copy()
    for at in [*program.charges, *program.dispatch]:
        block = bisect_right(blocks.starts, at) - 1
        # Branches before the charge do not pay.
        early = bisect_left(blocks.branches[block], at)
        if early < len(succs[block]):
            succs[block] = blocks.succs[block][:early]
    free = [True] * count
    # The end of the code is one more block, without successors.
    waiting = [0] * (count + 1)
    for block in range(count):
        for successor in succs[block]:
            waiting[successor] += 1
    ready = [block for block in range(count) if not waiting[block]]
    left = count - len(ready)
    while ready:
        block = ready.pop()
        free[block] = False
        for successor in succs[block]:
            waiting[successor] -= 1
            if not waiting[successor] and successor < count:
                ready.append(successor)
                left -= 1
    if left:
        at = blocks.starts[_on_a_cycle(succs, free)]
        raise program.error(at, Rule.BUDGET, "on a cycle that never pays")


def _on_a_cycle(succs: list[list[int]], left: list[bool]) -> int:
    """A block on a cycle; each remaining block must have a remaining predecessor."""
    before = {
        successor: block
        for block, following in enumerate(succs)
        if left[block]
        for successor in following
    }
    block = left.index(True)
    seen: set[int] = set()
    while block not in seen:
        seen.add(block)
        block = before[block]
    return block
