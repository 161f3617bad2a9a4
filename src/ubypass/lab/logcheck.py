# SPDX-License-Identifier: GPL-2.0-only
"""Finds a kernel's complaints in its log. Knows nothing of machines."""

from __future__ import annotations

import re

__all__ = ["log_problems"]

# What a kernel prints when something is wrong with it, as opposed to with a program:
# "traps: prog[12] general protection fault ip:" is a program's and does not match.
_COMPLAINTS = re.compile(
    r"BUG:|kernel BUG at|WARNING:|\bOops\b|general protection fault,|stack segment:"
    r"|soft lockup|hard LOCKUP|INFO: rcu|rcu: INFO|INFO: task .* blocked|lockdep"
    r"|possible (?:recursive|circular|irq) lock|Kernel panic|unchecked MSR"
    r"|Call Trace|invalid opcode:|divide error:|scheduling while atomic"
    r"|refcount_t:|list_(?:add|del) corruption|detected stall|bad unlock balance"
    r"|sleeping function called|UBSAN:|KASAN:|double fault:"
)
# User faults share their words with the kernel's own; the kernel says whose it was.
_USERS = re.compile(r"^traps: |\bsegfault at\b")
_PREFIX = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")


def log_problems(log: str, mark: str) -> tuple[str, ...]:
    """Complaints in ``log`` after the last line that contains ``mark``.

    Without the mark all of ``log`` counts. Lines come without time and level, each
    once, in order.
    """
    _, found, rest = log.rpartition(mark)
    lines = (rest if found else log).splitlines()
    texts = (_PREFIX.sub("", line).strip() for line in lines)
    wrong = (t for t in texts if _COMPLAINTS.search(t) and not _USERS.search(t))
    return tuple(dict.fromkeys(wrong))
