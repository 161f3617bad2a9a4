# SPDX-License-Identifier: GPL-2.0-only
"""Rule *budget*: each cycle, and each long path, charges the budget or dispatches.

Removes from the graph the edges that leave a block behind a charge or a dispatch; the
rest must be acyclic, and its longest path at most ``LONGEST`` instructions. A block is
entered at its start only, so the charge is on every path along a removed edge. Edges to
the exit stubs of faults and dispatches are not needed: by rule *path* only stores and
jumps follow an exit number, and those jumps are edges. Must not depend on values.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

from ubypass.verify.errors import Rule
from ubypass.verify.graph import Blocks
from ubypass.verify.program import Program

__all__ = ["LONGEST", "check_budget"]

#: Instructions of generated code from an entry, a charge or a dispatch to the next
#: charge or dispatch, at most. The translator charges after 192 to 256 instructions of
#: the program (translate/budget.py), which become 1,400 at most in random programs and
#: 700 in redis and nginx.
LONGEST: Final = 4096


def check_budget(program: Program, blocks: Blocks, longest: int = LONGEST) -> None:
    """Raises VerifyError when a cycle or long path neither charges nor dispatches.

    ``longest``: instructions of a path that may do without.
    """
    count = len(blocks.starts)
    succs = blocks.succs.copy()
    # Where each block charges first; without a charge, its end.
    firsts = blocks.ends.copy()
    # Instructions since the last charge, at the start of each block. The end of the
    # code is one more block, without successors.
    since = [0] * (count + 1)
    last: dict[int, int] = {}
    for at in sorted([*program.charges, *program.dispatch], reverse=True):
        block = bisect_right(blocks.starts, at) - 1
        length = last.get(block, blocks.ends[block]) - at
        _check_length(program, at, length, longest)
        # Branches before the charge do not pay.
        early = bisect_left(blocks.branches[block], at)
        for successor in succs[block][early:]:
            since[successor] = max(since[successor], length)
        succs[block] = blocks.succs[block][:early]
        firsts[block] = last[block] = at
    free = [True] * count
    waiting = [0] * (count + 1)
    for block in range(count):
        for successor in succs[block]:
            waiting[successor] += 1
    ready = [block for block in range(count) if not waiting[block]]
    left = count - len(ready)
    while ready:
        block = ready.pop()
        free[block] = False
        start = blocks.starts[block]
        length = since[block] + firsts[block] - start
        _check_length(program, start, length, longest)
        for successor in succs[block]:
            since[successor] = max(since[successor], length)
            waiting[successor] -= 1
            if not waiting[successor] and successor < count:
                ready.append(successor)
                left -= 1
    if left:
        at = blocks.starts[_on_a_cycle(succs, free)]
        raise program.error(at, Rule.BUDGET, "on a cycle that never pays")


def _check_length(program: Program, at: int, length: int, longest: int) -> None:
    if length > longest:
        reason = f"a path of {length:,} instructions without a charge (> {longest:,})"
        raise program.error(at, Rule.BUDGET, reason)


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
