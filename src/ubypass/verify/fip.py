# SPDX-License-Identifier: GPL-2.0-only
"""The FIP slot: no kernel address stays in the FPU (docs/abi.md, section 9).

Depends only on which instructions set FIP, not on their other effects.
"""

from __future__ import annotations

from ubypass.verify.errors import Rule
from ubypass.verify.insn import Kind
from ubypass.verify.program import Program

__all__ = ["check_fip"]

_USER_HIGH_BITS = 15  # of the upper half of an address below TASK_SIZE_MIN


def check_fip(program: Program) -> None:
    """Code that sets FIP in the FPU also sets the slot, which is not 0 from then on.

    Otherwise the module would leave a kernel address in the FPU. So stores to the slot
    are directly behind such an instruction and nowhere else, one half of the stored
    value is not 0, and the slot always holds a user address.
    """
    insns, values = program.insns, program.values
    stores: set[int] = set()
    for at in program.faulty:
        if not insns[at].x87:
            continue
        after = at + 1
        halves = [0, 0]
        while after < len(insns) and insns[after].kind is Kind.FIP:
            stores.add(after)
            halves[insns[after].a] = values[after]
            after += 1
        if not any(halves):
            raise program.error(at, Rule.LEAK, "FIP is not stored behind it")
    for at in program.kinds[Kind.FIP]:
        if at not in stores:
            raise program.error(at, Rule.LEAK, "FIP stored without an x87 address")
        if insns[at].a and values[at] >> _USER_HIGH_BITS:
            raise program.error(at, Rule.PATH, "FIP would be no user address")
    for source, target in program.targets.items():
        if target in stores:
            raise program.error(source, Rule.LEAK, "a branch behind an x87 instruction")
    for target in program.entries:
        if target in stores:
            raise program.error(target, Rule.LEAK, "an entry behind an x87 instruction")
