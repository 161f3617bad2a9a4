# SPDX-License-Identifier: GPL-2.0-only
"""Rule *budget*: no cycle runs for free.

Takes the blocks that charge the budget or dispatch out of the graph; what is
left must have no cycle. A block runs from its start to its end, so a charge
anywhere in it stands on every path through it. Knows nothing of values.
"""

from __future__ import annotations

from ubypass.verify.errors import Rule
from ubypass.verify.flow import Blocks
from ubypass.verify.insn import Kind
from ubypass.verify.program import Program


def check_cycles(program: Program, blocks: Blocks) -> None:
    """Raises VerifyError when a cycle neither charges nor dispatches."""
    count = len(blocks.starts)
    free = [not _pays(program, blocks, block) for block in range(count)]
    waiting = [0] * count
    for block in range(count):
        if free[block]:
            for successor in _inside(blocks, block):
                waiting[successor] += 1
    ready = [block for block in range(count) if free[block] and not waiting[block]]
    left = sum(free)
    while ready:
        block = ready.pop()
        left -= 1
        free[block] = False
        for successor in _inside(blocks, block):
            waiting[successor] -= 1
            if free[successor] and not waiting[successor]:
                ready.append(successor)
    if left:
        at = blocks.starts[free.index(True)]
        raise program.error(at, Rule.BUDGET, "on a cycle that never pays")


def count_cycles(blocks: Blocks) -> int:
    """Edges that go back to where a depth-first walk still is."""
    cycles = 0
    seen: set[int] = set()
    for root in range(len(blocks.starts)):
        if root in seen:
            continue
        seen.add(root)
        path = {root}
        stack = [(root, iter(_inside(blocks, root)))]
        while stack:
            block, successors = stack[-1]
            for successor in successors:
                if successor in path:
                    cycles += 1
                elif successor not in seen:
                    seen.add(successor)
                    path.add(successor)
                    stack.append((successor, iter(_inside(blocks, successor))))
                    break
            else:
                stack.pop()
                path.discard(block)
    return cycles


def _pays(program: Program, blocks: Blocks, block: int) -> bool:
    positions = range(blocks.starts[block], blocks.ends[block])
    return any(
        at in program.charges or program.insns[at].kind is Kind.DISPATCH
        for at in positions
    )


def _inside(blocks: Blocks, block: int) -> list[int]:
    """All blocks that follow, without the end of the code."""
    follow = blocks.succs[block] + blocks.side[block]
    return [successor for successor in follow if successor < len(blocks.starts)]
