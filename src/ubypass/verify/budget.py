# SPDX-License-Identifier: GPL-2.0-only
"""Rule *budget*: no cycle runs for free.

Takes the blocks that charge the budget or dispatch out of the graph; what is
left must have no cycle. A block runs from its start to its end, so a charge
anywhere in it stands on every path through it. Exit stubs that a fault or a
dispatch leads to need no edges: rule *path* lets nothing but stores and jumps
follow an exit number, and those jumps are edges. Knows nothing of values.
"""

from __future__ import annotations

from bisect import bisect_right

from ubypass.verify.errors import Rule
from ubypass.verify.graph import Blocks
from ubypass.verify.insn import Kind
from ubypass.verify.program import Program


def check_cycles(program: Program, blocks: Blocks) -> None:
    """Raises VerifyError when a cycle neither charges nor dispatches."""
    count, succs = len(blocks.starts), blocks.succs
    free = [True] * count
    for at in program.noted:
        if at in program.charges or program.insns[at].kind is Kind.DISPATCH:
            free[bisect_right(blocks.starts, at) - 1] = False
    # The end of the code is one block more, which nothing follows.
    waiting = [0] * (count + 1)
    for block in range(count):
        if free[block]:
            for successor in succs[block]:
                waiting[successor] += 1
    ready = [block for block in range(count) if free[block] and not waiting[block]]
    left = sum(free) - len(ready)
    while ready:
        block = ready.pop()
        free[block] = False
        for successor in succs[block]:
            waiting[successor] -= 1
            if not waiting[successor] and successor < count and free[successor]:
                ready.append(successor)
                left -= 1
    if left:
        at = blocks.starts[free.index(True)]
        raise program.error(at, Rule.BUDGET, "on a cycle that never pays")
