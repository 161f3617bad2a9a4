# SPDX-License-Identifier: GPL-2.0-only
"""Predicates that hold at a point, besides the values of registers; bits of one number.

A set bit is a proven fact. So fewer bits are always safe, and the merge of two paths is
``one & other``. Must not depend on instructions.
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
#: flags are still from this compare.
COMPARED: Final[int] = 0xFFFF
#: Bit n + 16: host register n holds no kernel data; after the registers the same for
#: the slots in :data:`.slots.UNDEFINED`, in that order.
DEFINED_SHIFT: Final[int] = 16
DEFINED: Final[int] = ((1 << (16 + len(UNDEFINED))) - 1) << DEFINED_SHIFT
_NEXT: Final[int] = DEFINED_SHIFT + 16 + len(UNDEFINED)
#: The slot of the user's rsp holds the value that the module checked.
USER_RSP: Final[int] = 1 << _NEXT
#: The slot holds flags that generated code saved, with AC set. At an entry they are the
#: user's: restoring those would clear AC, and user accesses would fault by SMAP.
FLAGS_SAVED: Final[int] = 1 << _NEXT + 1
SYSFLAGS_SAVED: Final[int] = 1 << _NEXT + 2
#: Host flags are from a compare of rcx with a bound of at most REP_MAX.
RCX_COMPARED: Final[int] = 1 << _NEXT + 3
#: rcx is at most REP_MAX, and rcx was charged to the budget.
RCX_SMALL: Final[int] = 1 << _NEXT + 4
RCX_PAID: Final[int] = 1 << _NEXT + 5
#: The exit number is written. Unlike the others it must be the same on all paths.
LEAVING: Final[int] = 1 << _NEXT + 6

#: Predicates that a change of host flags ends, and that a change of rcx ends.
OF_FLAGS: Final[int] = COMPARED | RCX_COMPARED
OF_RCX: Final[int] = RCX_COMPARED | RCX_SMALL | RCX_PAID

_RSP: Final[int] = 4
#: At an entry: all registers except rsp hold kernel data.
ENTRY: Final[int] = USER_RSP | 1 << _RSP + DEFINED_SHIFT


def defined(register: int) -> int:
    """The predicate that a host register holds no kernel data."""
    return 1 << register + DEFINED_SHIFT


def slot_defined(start: int) -> int:
    """The same for a slot at frame offset ``start``; 0 if always defined."""
    if start not in UNDEFINED:
        return 0
    return 1 << UNDEFINED.index(start) + 16 + DEFINED_SHIFT
