# SPDX-License-Identifier: GPL-2.0-only
"""Predicates that hold at a point, besides the values of registers; bits of one number.

Every bit says something that is certain. So fewer bits are always safe, and the merge
of two paths is ``one & other``. Knows the bits and
nothing of instructions.
"""

from __future__ import annotations

from typing import Final

from ubypass.verify.slots import UNDEFINED

__all__ = [
    "COMPARED",
    "DEFINED",
    "DEFINED_SHIFT",
    "ENTRY",
    "FLAGS_SAVED",
    "LEAVING",
    "OF_FLAGS",
    "OF_RCX",
    "RCX_COMPARED",
    "RCX_PAID",
    "RCX_SMALL",
    "SYSFLAGS_SAVED",
    "USER_RSP",
    "defined",
    "slot_defined",
]

#: Bit n: host register n holds the value last compared with LIMIT, and the host
#: flags still are of that comparison.
COMPARED: Final[int] = 0xFFFF
#: Bit n + 16: host register n holds nothing of the kernel's; after the registers
#: the same for the slots in :data:`.slots.UNDEFINED`, in that order.
DEFINED_SHIFT: Final[int] = 16
DEFINED: Final[int] = ((1 << (16 + len(UNDEFINED))) - 1) << DEFINED_SHIFT
_NEXT: Final[int] = DEFINED_SHIFT + 16 + len(UNDEFINED)
#: The slot of the user's rsp is as the module checked it.
USER_RSP: Final[int] = 1 << _NEXT
#: The slot holds flags that code like this saved, with AC set. At an entry they are
#: the user's, and to restore those would shut SMAP.
FLAGS_SAVED: Final[int] = 1 << _NEXT + 1
SYSFLAGS_SAVED: Final[int] = 1 << _NEXT + 2
#: Host flags are of a comparison of rcx with no more than REP_MAX.
RCX_COMPARED: Final[int] = 1 << _NEXT + 3
#: rcx is no more than REP_MAX, and the same taken from the budget.
RCX_SMALL: Final[int] = 1 << _NEXT + 4
RCX_PAID: Final[int] = 1 << _NEXT + 5
#: The exit number is written. Unlike the others it must be the same on all paths.
LEAVING: Final[int] = 1 << _NEXT + 6

#: What a change of host flags ends, and what a change of rcx ends.
OF_FLAGS: Final[int] = COMPARED | RCX_COMPARED
OF_RCX: Final[int] = RCX_COMPARED | RCX_SMALL | RCX_PAID

_RSP: Final[int] = 4
#: At an entry: registers hold kernel data, rsp aside.
ENTRY: Final[int] = USER_RSP | 1 << _RSP + DEFINED_SHIFT


def defined(register: int) -> int:
    """The predicate that a host register holds nothing of the kernel's."""
    return 1 << register + DEFINED_SHIFT


def slot_defined(start: int) -> int:
    """The same for a slot at frame offset ``start``; 0 for those that always do."""
    if start not in UNDEFINED:
        return 0
    return 1 << UNDEFINED.index(start) + 16 + DEFINED_SHIFT
